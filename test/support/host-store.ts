import type { Batch, Change, Commit } from '../../src/store/commit.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { type HostStore, type HostStoreOptions, openHostStore } from '../../src/store/host-store.ts'
import type { JournalUpdate } from '../../src/store/journal.ts'
import { rowKey } from '../../src/store/key-codec.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { FakeClock } from './fake-clock.ts'
import { FaultyStore } from './faulty-store.ts'

export interface TestStore {
  readonly host: HostStore
  readonly faulty: FaultyStore
  readonly clock: FakeClock
  /** Opens what is stored once more, as after a restart. */
  readonly restart: () => Promise<HostStore>
}

/** A host store over a memory store that fails on demand, on a clock that moves by hand. */
export async function openTestStore(options: Partial<HostStoreOptions> = {}): Promise<TestStore> {
  const clock = new FakeClock()
  const faulty = new FaultyStore(await openMemoryStore())
  const restart = (): Promise<HostStore> =>
    openHostStore({ open: faulty.open, clock, random: countingBytes, logger: silentLogger, ...options })
  return { host: await restart(), faulty, clock, restart }
}

/** A batch that puts instance `id` of a thread, with its text as document. */
export function putBatch(thread: number, id: string, text: string = id): Batch {
  const value = new Uint8Array(Buffer.from(text))
  const change: Change = { collection: 'dogs', id, kind: 'created', after: value }
  return {
    thread,
    operations: () => [{ type: 'put', key: instanceKey(thread, id), value }],
    heads: [{ log: 1, from: 0, to: 1 }],
    changes: [change],
  }
}

export function instanceKey(thread: number, id: string): Uint8Array {
  return rowKey('d', thread, 0, 'dogs', id)
}

/** The next `count` commits of a subscription; ends it then. */
export async function takeCommits(updates: AsyncIterable<JournalUpdate>, count: number): Promise<Commit[]> {
  const commits: Commit[] = []
  for await (const update of updates) {
    if (update.kind === 'resync') throw new Error(`resync at ${update.seq} after ${commits.length} commits`)
    commits.push(update.commit)
    if (commits.length === count) break
  }
  return commits
}

function countingBytes(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => i)
}
