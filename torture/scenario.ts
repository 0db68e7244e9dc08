import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { type ApiTarget, connect } from '../bench/api-target.ts'
import type { TargetDatabase } from '../bench/target.ts'
import type { TestDaemon } from '../test/support/daemon.ts'

export interface Context {
  /** Times that what is left to chance is tried. */
  readonly rounds: number
  /** Empty directory of the scenario. */
  readonly directory: string
  /** Tells the user what happens. */
  say(this: void, line: string): void
}

export interface Scenario {
  /** What is done to the daemon. */
  readonly title: string
  /** Throws if something is wrong afterwards. */
  run(context: Context): Promise<void>
}

/** What a machine does not allow is no failure. */
export class Skipped extends Error {}

const POLL_MS = 100
const PATIENCE_MS = 120_000

export function clientOf(daemon: TestDaemon): ApiTarget {
  return connect(daemon.grpcAddress, daemon.pid)
}

/** Has a client of its own work on a database that is there. */
export async function using<T>(
  daemon: TestDaemon,
  id: Uint8Array,
  work: (database: TargetDatabase) => Promise<T>,
): Promise<T> {
  await using client = clientOf(daemon)
  return await work(client.open(id))
}

/** Makes a database at one daemon, and has the others join it. Answers its id. */
export async function share(first: TestDaemon, ...others: readonly TestDaemon[]): Promise<Uint8Array> {
  await using client = clientOf(first)
  const database = await client.newDatabase()
  for (const other of others) {
    await using joiner = clientOf(other)
    await joiner.join(await database.invitation())
  }
  return database.id
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

export function between(min: number, max: number): number {
  return min + Math.floor(Math.random() * (max - min + 1))
}

/** Tries again until `check` does not throw. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (performance.now() > deadline) throw error
      await pause(POLL_MS)
    }
  }
}

export interface Ended {
  readonly code: number | null
  readonly output: string
}

/** Runs a command of the daemon's program. */
export async function command(...args: string[]): Promise<Ended> {
  return run(process.execPath, [join(import.meta.dirname, '../daemon/main.ts'), ...args])
}

export async function run(program: string, args: readonly string[]): Promise<Ended> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  }
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}

/** Throws unless `threadsd verify` finds nothing. The daemon must be stopped. */
export async function verified(repo: string): Promise<void> {
  const { code, output } = await command('verify', '-repo', repo)
  if (code !== 0) throw new Error(`threadsd verify ends with ${code}: ${output.slice(0, 2_000)}`)
}
