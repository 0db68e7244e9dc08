import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { median, quantile } from '../../bench/measure.ts'
import { residentMib } from '../../bench/processes.ts'
import type { TargetDatabase } from '../../bench/target.ts'
import { startDaemon, type TestDaemon } from '../../test/support/daemon.ts'
import { clientOf, eventually, pause, type Scenario, share } from '../scenario.ts'

const ROUND_MS = 5_000
const WRITE_EVERY_MS = 20
const LOOK_MS = 200
/**
 * What the daemon may grow by. A peer can make it hold some 80 MiB, see ARCHITECTURE.md, small messages and their values
 * included; the flood comes as one peer at a time, and what is left of the one before goes within 20 s.
 */
const MEMORY_BOUND_MIB = 512

export const flood: Scenario = {
  title: 'a peer that floods one of two daemons with forged records, garbage, streams and replies it does not take',
  async run({ rounds, say }) {
    for (let round = 0; round < rounds; round++) await measureRound(say)
  },
}

async function measureRound(say: (line: string) => void): Promise<void> {
  await using first = await startDaemon()
  await using second = await startDaemon()
  const id = await share(first, second)
  await using writer = clientOf(first)
  await using reader = clientOf(second)
  const changes = new Changes(writer.open(id), reader.open(id))
  await changes.begin()
  const calm = await changes.measure()
  const before = await residentMib(first.pid)
  await using flooder = startFlooder(first)
  const memory = watchMemory(first)
  const flooded = await changes.measure()
  const peak = await memory.stop()
  say(`calm:    ${textOf(calm)}`)
  say(`flooded: ${textOf(flooded)}, memory from ${mib(before)} to ${mib(peak)}; ${await flooder.stop()}`)
  await changes.end()
  if (peak - before > MEMORY_BOUND_MIB) throw new Error(`the daemon grew by ${mib(peak - before)}`)
}

/** Documents written at one daemon, and when they are told at the other. */
class Changes {
  readonly #here: TargetDatabase
  readonly #there: TargetDatabase
  readonly #ending = new AbortController()
  readonly #sentMs = new Map<string, number>()
  readonly #waiting = new Set<string>()
  #latenciesMs: number[] = []
  #listening: Promise<void> = Promise.resolve()
  #count = 0

  constructor(here: TargetDatabase, there: TargetDatabase) {
    this.#here = here
    this.#there = there
  }

  /** Resolves when the other daemon tells of changes. */
  async begin(): Promise<void> {
    this.#listening = this.#listen()
    await eventually(async () => {
      await this.#write()
      await pause(LOOK_MS)
      if (this.#latenciesMs.length === 0) throw new Error('nothing is told')
    })
    // Those before the listener was there are not told.
    this.#waiting.clear()
  }

  /** Writes for a while, and answers how long each change took. */
  async measure(): Promise<readonly number[]> {
    this.#latenciesMs = []
    const endMs = performance.now() + ROUND_MS
    while (performance.now() < endMs) {
      const write = this.#write()
      await pause(WRITE_EVERY_MS)
      await write
    }
    await this.#settled()
    return this.#latenciesMs
  }

  async end(): Promise<void> {
    await this.#settled()
    this.#ending.abort()
    await this.#listening
  }

  /** Throws if a change does not arrive. */
  async #settled(): Promise<void> {
    await eventually(async () => {
      if (this.#waiting.size > 0) throw new Error(`${this.#waiting.size} changes have not arrived`)
    })
  }

  async #write(): Promise<void> {
    const id = `change-${this.#count++}`
    this.#waiting.add(id)
    this.#sentMs.set(id, performance.now())
    await this.#here.create([Buffer.from(JSON.stringify({ _id: id, age: 1 }))])
  }

  async #listen(): Promise<void> {
    for await (const document of this.#there.listen(this.#ending.signal)) {
      const { _id: id } = JSON.parse(Buffer.from(document).toString()) as { _id: string }
      const sentMs = this.#sentMs.get(id)
      if (sentMs !== undefined) this.#latenciesMs.push(performance.now() - sentMs)
      this.#waiting.delete(id)
    }
  }
}

interface Flooder extends AsyncDisposable {
  /** Ends it; answers what it did. */
  stop(): Promise<string>
}

function startFlooder({ hostAddress }: TestDaemon): Flooder {
  const script = join(import.meta.dirname, '../flooder.ts')
  const child = spawn(process.execPath, [...process.execArgv, script, hostAddress], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const closed = once(child, 'close')
  const stop = async (): Promise<string> => {
    child.kill()
    await closed
    if (output === '') throw new Error('the flood ended by itself')
    return output
      .trim()
      .replaceAll(/[{}"]/g, '')
      .replaceAll(/(\w):(\d)/g, '$1 $2')
      .replaceAll(',', ', ')
  }
  return {
    stop,
    async [Symbol.asyncDispose]() {
      child.kill()
      await closed
    },
  }
}

function watchMemory({ pid }: TestDaemon): { stop(): Promise<number> } {
  let peak = 0
  const look = async (): Promise<void> => {
    peak = Math.max(peak, await residentMib(pid))
  }
  const looking = setInterval(() => void look(), LOOK_MS)
  return {
    async stop() {
      clearInterval(looking)
      await look()
      return peak
    },
  }
}

function textOf(latenciesMs: readonly number[]): string {
  const [middle, most] = [median(latenciesMs), quantile(latenciesMs, 0.99)].map((ms) => `${ms.toFixed(1)} ms`)
  return `${latenciesMs.length} changes, median ${middle}, 99 % within ${most}`
}

function mib(memoryMib: number): string {
  return `${Math.round(memoryMib)} MiB`
}
