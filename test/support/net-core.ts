import { randomBytes } from 'node:crypto'
import { identityOf } from '../../src/core/identity.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { type PeerId, peerIdOf } from '../../src/core/peer-id.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { App, FoldContext, FoldOutcome, ThreadRecord } from '../../src/net/index.ts'
import { HostReplica } from '../../src/net/host-replica.ts'
import { Membership } from '../../src/net/membership.ts'
import { type NetOptions, resolveNetOptions } from '../../src/net/options.ts'
import { Receiver } from '../../src/net/receive.ts'
import { RecordReader } from '../../src/net/record-reader.ts'
import type { ThreadEntry } from '../../src/net/thread-entry.ts'
import { Threads } from '../../src/net/threads.ts'
import { Writer } from '../../src/net/writer.ts'
import { openStamp } from '../../src/store/format.ts'
import type { FreeSpace } from '../../src/store/free-space.ts'
import type { HostStore, HostStoreOptions } from '../../src/store/host-store.ts'
import { LocalHostStore } from '../../src/store/local-host-store.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { ReopenableStore } from '../../src/store/reopenable-store.ts'
import { FakeClock } from './fake-clock.ts'
import { openTestStore, type TestStore } from './host-store.ts'

export interface NetCore {
  readonly hostId: PeerId
  readonly store: HostStore
  readonly faulty: TestStore['faulty']
  readonly clock: TestStore['clock']
  readonly threads: Threads
  readonly writer: Writer
  readonly receiver: Receiver
  readonly membership: Membership
  /** What peers see of the host. */
  readonly replica: HostReplica
  entry(id: ThreadId): ThreadEntry
  /** Closes the store and opens all anew from what is stored. */
  restart(): Promise<NetCore>
}

export interface NetCoreOptions {
  net?: NetOptions
  store?: Partial<HostStoreOptions>
}

/** Threads of a host without its sockets, over a store that fails on demand. */
export async function openCore(options: NetCoreOptions = {}): Promise<NetCore> {
  return coreOver(await openTestStore(options.store), generateKey(randomBytes), options)
}

async function coreOver(test: TestStore, hostKey: PrivateKey, options: NetCoreOptions): Promise<NetCore> {
  const { host: store, clock, faulty } = test
  const { committer, journal } = store
  const resolved = resolveNetOptions(options.net ?? {})
  const threads = new Threads(store.reads)
  await threads.load()
  const writer = new Writer({ committer, journal, clock, logger: silentLogger })
  store.onReset(async () => {
    await threads.load()
    for (const entry of threads.all()) writer.resumeSoon(entry)
  })
  const receiver = new Receiver({ writer, logger: silentLogger }, resolved)
  const hostId = peerIdOf(hostKey.publicKey)
  const identity = identityOf(hostKey.publicKey)
  const records = new RecordReader(store.reads)
  return {
    hostId,
    store,
    faulty,
    clock,
    threads,
    writer,
    receiver,
    membership: new Membership({ threads, writer, hostId, identity, random: randomBytes }, resolved),
    replica: new HostReplica({ hostId, threads, writer, receiver, records, journal }, resolved),
    entry: (id) => threads.get(id),
    async restart() {
      await store.close()
      return coreOver({ ...test, host: await test.restart() }, hostKey, options)
    },
  }
}

/** A store on a disk that is nearly full when `space` says so. */
export async function openStoreWithSpace(space: FreeSpace): Promise<HostStore> {
  const store = new ReopenableStore(openMemoryStore)
  await store.reopen()
  const stamp = await openStamp(store, 'in memory', randomBytes)
  const components = { store, stamp, space, clock: new FakeClock(), logger: silentLogger }
  const host = new LocalHostStore(components, { durability: 'full', feedBytes: 1e6 })
  await host.load()
  return host
}

/** An owner that notes what it folds. */
export class NotingApp implements App {
  readonly folded: ThreadRecord[] = []
  readonly contexts: FoldContext[] = []
  /** Throws for records it is not to fold. */
  check: (record: ThreadRecord) => void = () => {}
  /** Time of a record, in ns. */
  timeOf: (record: ThreadRecord) => bigint = (record) => BigInt(record.counter)

  async fold(records: readonly ThreadRecord[], context: FoldContext): Promise<FoldOutcome> {
    for (const record of records) this.check(record)
    this.contexts.push(context)
    this.folded.push(...records)
    const cursors = new Map(
      records.map((record) => [record.chain, { counter: record.counter, time: this.timeOf(record) }]),
    )
    return { operations: [], changes: [], cursors, waits: new Map() }
  }
}
