/** A daemon of ours with many documents: its memory, its disk, and its start. */
import { startDaemon, type TestDaemon } from '../../test/support/daemon.ts'
import { connect } from '../api-target.ts'
import type { Figure } from '../measure.ts'
import { bytesOf, diskBytesOf, residentMib } from '../processes.ts'
import type { Target, TargetDatabase } from '../target.ts'
import { ofAge } from './reads.ts'
import { fill } from './writes.ts'

const LOOKS_MS = 500

export interface Loading {
  readonly documents: number
  /** Memory is looked at for so long, since V8 gives some back after seconds without work. */
  readonly settleMs: number
}

/** A daemon of ours, from its first start on. */
export async function loadedFigures({ documents, settleMs }: Loading): Promise<Figure[]> {
  const settledMib = ({ pid }: TestDaemon): Promise<number> => leastMib(pid, settleMs)
  await using daemon = await startDaemon()
  const empty = await settledMib(daemon)
  const id = await load(daemon, documents)
  const loaded = await settledMib(daemon)
  const startedAt = performance.now()
  await daemon.restart()
  await using target = connect(daemon.grpcAddress, daemon.pid)
  await target.open(id).find(Buffer.from(JSON.stringify({ ...ofAge(0), limit: 10 })))
  const found = performance.now() - startedAt
  const restarted = await settledMib(daemon)
  const text = `${documents.toLocaleString('en')} documents`
  return [
    { work: 'daemon: start, to its banner', value: daemon.readyMs, unit: 'ms' },
    { work: `daemon: stop, start, first find among ${text}`, value: found, unit: 'ms' },
    { work: 'daemon: memory when empty', value: empty, unit: 'MiB' },
    { work: `daemon: memory more after loading ${text}, idle`, value: loaded - empty, unit: 'MiB' },
    { work: `daemon: memory more after a start with ${text}, idle`, value: restarted - empty, unit: 'MiB' },
    { work: `daemon: disk for each of ${text}`, value: (await bytesOf(daemon.repo)) / documents, unit: 'bytes' },
  ]
}

async function load(daemon: TestDaemon, documents: number): Promise<Uint8Array> {
  await using target = connect(daemon.grpcAddress, daemon.pid)
  const database: TargetDatabase = await target.newDatabase()
  await fill(database, documents)
  return database.id
}

/** What documents cost a daemon that runs already, and may have others. */
export async function fillingFigures(target: Target, { documents, settleMs }: Loading): Promise<Figure[]> {
  const state = async (): Promise<{ mib: number; bytes: number }> => ({
    mib: await leastMib(target.pid, settleMs),
    bytes: await diskBytesOf(target.pid),
  })
  const before = await state()
  await fill(await target.newDatabase(), documents)
  const after = await state()
  const text = `${documents.toLocaleString('en')} documents`
  return [
    { work: `daemon: memory more after loading ${text}, idle`, value: after.mib - before.mib, unit: 'MiB' },
    { work: `daemon: disk for each of ${text}`, value: (after.bytes - before.bytes) / documents, unit: 'bytes' },
  ]
}

/** The least that a process has in use in a time. */
async function leastMib(pid: number, ms: number): Promise<number> {
  let least = await residentMib(pid)
  for (let waited = 0; waited < ms; waited += LOOKS_MS) {
    await new Promise((resolve) => setTimeout(resolve, LOOKS_MS))
    least = Math.min(least, await residentMib(pid))
  }
  return least
}
