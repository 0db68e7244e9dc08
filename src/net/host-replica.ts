import type { CID } from 'multiformats/cid'
import { attestHead } from '../core/attestation.ts'
import { cidOf } from '../core/cbor.ts'
import { addressesEdge, headsEdge } from '../core/edge.ts'
import { hasCode, type ThreadsError } from '../core/errors.ts'
import type { LogId, PeerId } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { SymmetricKey } from '../core/symmetric.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Journal } from '../store/journal.ts'
import { recordBytes } from './append.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf, branchesByLog, heldRows, heldUntil, mainChains, partsTo, type Place } from './chains.ts'
import { mergeLog } from './merge-log.ts'
import { storeNewThread } from './new-thread.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { Receiver } from './receive.ts'
import { checkStored, type RecordReader } from './record-reader.ts'
import type { ChainStatus, Edges, PeerLog, Receipt, ReceivedRun, Replica, ThreadWatcher } from './replica.ts'
import type { LogState, ThreadState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Threads } from './threads.ts'
import { UnsolicitedQuota } from './unsolicited.ts'
import type { Writer } from './writer.ts'

/** Peers known over restarts to belong to a thread, besides those that its logs name. */
const MAX_FOLLOWERS = 100

/** Records that one request names to find where chains part. */
const MAX_WAYMARKS = 200
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
  readonly #branches = new WeakMap<ThreadState, ReadonlyMap<LogId, readonly LogState[]>>()
  /** Made here, by head. */
  readonly #attestations = new WeakMap<CID, Uint8Array>()

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
    const logs = [...state.logs.values()]
    const addresses = addressesEdge(logs.flatMap((log) => log.addresses.map((address) => ({ logId: log.id, address }))))
    const edges =
      addresses === 0n
        ? { addresses, heads: 0n, chains: 0n }
        : { addresses, heads: edgeOver(mainChains(state)), chains: edgeOver(logs) }
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
    return (await this.#placeOf(state, logId, cid))?.counter
  }

  branchHeads(threadId: ThreadId): ReadonlyMap<LogId, readonly CID[]> {
    const branches = this.#branchesOf(this.#get(threadId))
    return new Map([...branches].map(([id, chains]) => [id, chains.flatMap(({ head }) => head.cid ?? [])]))
  }

  attested(threadId: ThreadId, log: PeerLog): PeerLog {
    const held = this.#get(threadId).logs.get(log.id)
    const { head, counter } = log
    if (log.attestation !== undefined || head === undefined || held?.head.cid?.equals(head) !== true) return log
    // A log whose key came from elsewhere may hold what somebody else made, until it was pulled.
    if (held.privateKey === undefined || held.unpulled) return log
    let attestation = this.#attestations.get(held.head.cid)
    if (attestation === undefined) {
      attestation = attestHead(held.privateKey, { threadId, logId: log.id, counter, head })
      this.#attestations.set(held.head.cid, attestation)
    }
    return { ...log, attestation }
  }

  async waymarks(threadId: ThreadId, logId: LogId): Promise<CID[]> {
    const state = this.#get(threadId)
    const marks: CID[] = []
    for (const log of this.#chainsOf(state, logId)) {
      const base = baseOf(log)
      for (let step = 1; log.head.counter - step > base && marks.length < MAX_WAYMARKS; step *= 2) {
        const [blocks] = await this.#components.records.blocksAfter(state.number, log.number, {
          counter: log.head.counter - step - 1,
          maxRecords: 1,
          maxBytes: 1,
        })
        if (blocks !== undefined) marks.push(cidOf(blocks.recordNode))
      }
    }
    return marks
  }

  async chains(threadId: ThreadId, logId: LogId, held: readonly CID[]): Promise<ChainStatus[]> {
    const state = this.#get(threadId)
    const places: Place[] = []
    for (const cid of held) {
      const place = await this.#placeOf(state, logId, cid)
      if (place !== undefined) places.push(place)
    }
    const rows = heldRows(state, places)
    return this.#chainsOf(state, logId).flatMap((log) => {
      const { chain, head, attestation } = log
      const { cid, counter } = head
      if (cid === undefined) return []
      const after = places.length === 0 ? undefined : heldUntil(state, rows, { log, counter })
      return [{ chain, head: cid, counter, attestation, after }]
    })
  }

  /** All chains of a log, the main one first. */
  #chainsOf(state: ThreadState, id: LogId): readonly LogState[] {
    const main = state.logs.get(id)
    return main === undefined ? [] : [main, ...(this.#branchesOf(state).get(id) ?? [])]
  }

  #branchesOf(state: ThreadState): ReadonlyMap<LogId, readonly LogState[]> {
    let branches = this.#branches.get(state)
    if (branches === undefined) {
      branches = branchesByLog(state)
      this.#branches.set(state, branches)
    }
    return branches
  }

  /** A record that peers may be told of. */
  async #placeOf(state: ThreadState, logId: LogId, cid: CID): Promise<Place | undefined> {
    for (const log of this.#chainsOf(state, logId)) {
      if (log.head.cid?.equals(cid) === true) return { log, counter: log.head.counter }
    }
    const found = await this.#components.records.find(state, cid)
    return found?.log.id === logId && found.counter <= found.log.head.counter ? found : undefined
  }

  async recordsAfter(
    threadId: ThreadId,
    chain: ChainKey,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    const state = this.#get(threadId)
    const log = state.logs.get(chain)
    if (log === undefined) return []
    const found: RecordBlocks[] = []
    let { counter, maxBytes } = options
    // A record may be readable before it is announced: nothing past the head that is told.
    for (const part of partsTo(state, { log, counter: log.head.counter })) {
      const maxRecords = Math.min(options.maxRecords - found.length, part.counter - counter)
      if (maxRecords <= 0 || (found.length > 0 && maxBytes <= 0)) continue
      const blocks = await this.#intactAfter(state, part.log, { counter, maxRecords, maxBytes })
      found.push(...blocks)
      if (blocks.length < maxRecords) break
      counter = part.counter
      for (const each of blocks) maxBytes -= recordBytes(each)
    }
    return found
  }

  /** Records of one row that directly follow each other, up to the first that is not what was stored. */
  async #intactAfter(
    state: ThreadState,
    log: LogState,
    page: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    try {
      const blocks = await this.#components.records.blocksAfter(state.number, log.number, page)
      return await this.#intact(state, log, { blocks, counter: page.counter })
    } catch (error) {
      if (!hasCode(error, 'STORE_CORRUPT')) throw error
      this.#damaged(state.id, error)
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

function edgeOver(chains: readonly LogState[]): bigint {
  return headsEdge(chains.flatMap(({ id, head }) => (head.cid === undefined ? [] : [{ logId: id, head: head.cid }])))
}

function peerLog(log: LogState): PeerLog {
  return {
    id: log.id,
    publicKey: log.publicKey,
    addresses: log.addresses,
    head: log.head.cid,
    counter: log.head.counter,
    attestation: log.attestation,
  }
}
