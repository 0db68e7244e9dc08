import type { CID } from 'multiformats/cid'
import { addressesEdge, headsEdge } from '../core/edge.ts'
import { hasCode, type ThreadsError } from '../core/errors.ts'
import type { LogId, PeerId } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { SymmetricKey } from '../core/symmetric.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Journal } from '../store/journal.ts'
import { recordBytes } from './append.ts'
import { mainChains } from './chains.ts'
import { mergeLog } from './merge-log.ts'
import { storeNewThread } from './new-thread.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { Receiver } from './receive.ts'
import { checkStored, type RecordReader } from './record-reader.ts'
import type { Edges, PeerLog, Receipt, ReceivedRun, Replica, ThreadWatcher } from './replica.ts'
import type { LogState, ThreadState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Threads } from './threads.ts'
import { UnsolicitedQuota } from './unsolicited.ts'
import type { Writer } from './writer.ts'

/** Peers known over restarts to belong to a thread, besides those that its logs name. */
const MAX_FOLLOWERS = 100

/** Records checked before other work of the process gets its turn. */
const CHECKED_AT_ONCE = 128

export interface HostReplicaComponents {
  readonly hostId: PeerId
  readonly threads: Threads
  readonly writer: Writer
  readonly receiver: Receiver
  readonly records: RecordReader
  readonly journal: Pick<Journal, 'lastSeq'>
}

/** What replication sees of the threads of this host. */
export class HostReplica implements Replica {
  readonly hostId: PeerId
  readonly #components: HostReplicaComponents
  readonly #options: ResolvedNetOptions
  readonly #quota: UnsolicitedQuota
  readonly #edges = new WeakMap<ThreadState, Edges>()

  constructor(components: HostReplicaComponents, options: ResolvedNetOptions) {
    this.hostId = components.hostId
    this.#components = components
    this.#options = options
    this.#quota = new UnsolicitedQuota(components.threads, options)
  }

  threadIds(): ThreadId[] {
    return this.#components.threads.all().map((entry) => entry.id)
  }

  watchThreads(watcher: ThreadWatcher): void {
    this.#components.threads.watch(watcher)
  }

  has(threadId: ThreadId): boolean {
    return this.#components.threads.find(threadId) !== undefined
  }

  serviceKey(threadId: ThreadId): SymmetricKey | undefined {
    return this.#find(threadId)?.key.service
  }

  logs(threadId: ThreadId): PeerLog[] {
    return mainChains(this.#get(threadId)).map(peerLog)
  }

  log(threadId: ThreadId, logId: LogId): PeerLog | undefined {
    const log = this.#get(threadId).logs.get(logId)
    return log === undefined ? undefined : peerLog(log)
  }

  edges(threadId: ThreadId): Edges {
    const state = this.#find(threadId)
    if (state === undefined) return { addresses: 0n, heads: 0n }
    const known = this.#edges.get(state)
    if (known !== undefined) return known
    const logs = mainChains(state)
    const addresses = addressesEdge(logs.flatMap((log) => log.addresses.map((address) => ({ logId: log.id, address }))))
    const heads = headsEdge(
      logs.flatMap((log) => (log.head.cid === undefined ? [] : [{ logId: log.id, head: log.head.cid }])),
    )
    const edges = { addresses, heads: addresses === 0n ? 0n : heads }
    this.#edges.set(state, edges)
    return edges
  }

  peers(threadId: ThreadId): PeerId[] {
    const named = this.#components.threads.find(threadId)?.stored.peers() ?? []
    return [...named].filter((peer) => peer !== this.hostId)
  }

  async counterOf(threadId: ThreadId, logId: LogId, cid: CID): Promise<number | undefined> {
    const state = this.#get(threadId)
    const head = state.logs.get(logId)?.head
    if (head?.cid?.equals(cid) === true) return head.counter
    const found = await this.#components.records.find(state, cid)
    return found?.log.id === logId && found.counter <= (head?.counter ?? 0) ? found.counter : undefined
  }

  async recordsAfter(
    threadId: ThreadId,
    logId: LogId,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    const state = this.#get(threadId)
    const log = state.logs.get(logId)
    if (log === undefined) return []
    // A record may be readable before it is announced: nothing past the head that is told.
    const maxRecords = Math.min(options.maxRecords, log.head.counter - options.counter)
    if (maxRecords <= 0) return []
    try {
      const blocks = await this.#components.records.blocksAfter(state.number, log.number, { ...options, maxRecords })
      return await this.#intact(state, log, { blocks, counter: options.counter })
    } catch (error) {
      if (!hasCode(error, 'STORE_CORRUPT')) throw error
      this.#damaged(threadId, error)
      return []
    }
  }

  /** The records before the first that is not what was stored: that one is handed to nobody. */
  async #intact(
    state: ThreadState,
    log: LogState,
    { blocks, counter }: { blocks: readonly RecordBlocks[]; counter: number },
  ): Promise<RecordBlocks[]> {
    const intact: RecordBlocks[] = []
    for (const each of blocks) {
      try {
        checkStored(state, log, { blocks: each, counter: counter + intact.length + 1 })
      } catch (error) {
        if (!hasCode(error, 'STORE_CORRUPT')) throw error
        this.#damaged(state.id, error)
        break
      }
      intact.push(each)
      if (intact.length % CHECKED_AT_ONCE === 0) await new Promise((resolve) => setImmediate(resolve))
    }
    return intact
  }

  #damaged(threadId: ThreadId, error: ThreadsError): void {
    const entry = this.#components.threads.find(threadId)
    if (entry !== undefined) this.#components.writer.damaged(entry, error)
  }

  isProven(threadId: ThreadId, peer: PeerId): boolean {
    return this.#components.threads.find(threadId)?.isProven(peer) === true
  }

  prove(threadId: ThreadId, peer: PeerId): void {
    const entry = this.#components.threads.find(threadId)
    if (entry === undefined || entry.isProven(peer)) return
    entry.prove(peer)
    // If that fails the peer is known until this host stops.
    this.#keepFollower(entry, peer).catch(() => {})
  }

  /** A go-threads host that only reads shows the key when it sees other edges, which only members are told. */
  async #keepFollower(entry: ThreadEntry, peer: PeerId): Promise<void> {
    await this.#components.writer.write(entry, async (draft) => {
      const followers = draft.state.followers.filter((each) => each !== peer)
      if (!draft.state.peers().has(peer)) draft.setThread({ followers: [...followers, peer].slice(-MAX_FOLLOWERS) })
    })
  }

  async adopt(
    threadId: ThreadId,
    keys: { service: SymmetricKey; read: SymmetricKey | undefined },
    from: PeerId,
  ): Promise<void> {
    const { threads, writer } = this.#components
    const { entry, created } = await threads.findOrCreate(threadId, () => this.#adoptUnknown(threadId, keys, from))
    if (created) return entry.prove(from)
    const { read } = keys
    if (read === undefined || entry.prepared.key.read !== undefined) return
    const { stored } = await writer.write(entry, async (draft) => {
      const { key } = draft.state
      if (key.read === undefined) draft.setThread({ key: { service: key.service, read } })
    })
    await stored
    await writer.resume(entry)
  }

  async #adoptUnknown(
    threadId: ThreadId,
    keys: { service: SymmetricKey; read: SymmetricKey | undefined },
    from: PeerId,
  ): Promise<ThreadEntry> {
    this.#quota.refuseThread(from)
    const key = keys.read === undefined ? { service: keys.service } : { service: keys.service, read: keys.read }
    return storeNewThread(this.#components, { id: threadId, key, unsolicited: true, keptFor: from })
  }

  async addLogs(threadId: ThreadId, logs: readonly PeerLog[], from: PeerId): Promise<void> {
    const entry = this.#components.threads.get(threadId)
    const { stored } = await this.#components.writer.write(entry, async (draft) => {
      const before = draft.state.logs.size
      for (const log of logs) mergeLog(draft, log, this.#options)
      this.#quota.refuseLogs(draft.state, draft.state.logs.size - before)
    })
    await stored
    this.prove(threadId, from)
  }

  async receive(run: ReceivedRun): Promise<Receipt> {
    const entry = this.#components.threads.get(run.threadId)
    const bytes = run.records.reduce((sum, record) => sum + recordBytes(record), 0)
    this.#quota.refuseBytes(entry.prepared, bytes)
    return this.#components.receiver.receive(entry, run)
  }

  /** What peers may be told of a thread. */
  #find(threadId: ThreadId): ThreadState | undefined {
    return this.#components.threads.find(threadId)?.told(this.#components.journal.lastSeq)
  }

  #get(threadId: ThreadId): ThreadState {
    return this.#components.threads.get(threadId).told(this.#components.journal.lastSeq)
  }
}

function peerLog(log: LogState): PeerLog {
  return {
    id: log.id,
    publicKey: log.publicKey,
    addresses: log.addresses,
    head: log.head.cid,
    counter: log.head.counter,
  }
}
