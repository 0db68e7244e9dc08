import type { CID } from 'multiformats/cid'
import { type Address, peerIdOfAddress } from '../core/address.ts'
import { addressesEdge, headsEdge } from '../core/edge.ts'
import { ThreadsError } from '../core/errors.ts'
import { type LogId, type PeerId, peerIdOf } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { SymmetricKey } from '../core/symmetric.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Committer } from '../store/committer.ts'
import type { ThreadDraft } from './draft.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { Receiver } from './receive.ts'
import type { RecordReader } from './record-reader.ts'
import type { Edges, PeerLog, Receipt, ReceivedRun, Replica, ThreadWatcher } from './replica.ts'
import type { ThreadState } from './rows.ts'
import type { ThreadEntry, Threads } from './threads.ts'
import type { Writer } from './writer.ts'

export interface HostReplicaComponents {
  readonly hostId: PeerId
  readonly threads: Threads
  readonly writer: Writer
  readonly receiver: Receiver
  readonly records: RecordReader
  readonly committer: Committer
}

/** What replication sees of the threads of this host. */
export class HostReplica implements Replica {
  readonly hostId: PeerId
  readonly #components: HostReplicaComponents
  readonly #options: ResolvedNetOptions
  readonly #edges = new WeakMap<ThreadState, Edges>()

  constructor(components: HostReplicaComponents, options: ResolvedNetOptions) {
    this.hostId = components.hostId
    this.#components = components
    this.#options = options
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
    return this.#components.threads.find(threadId)?.stored.key.service
  }

  logs(threadId: ThreadId): PeerLog[] {
    const { stored } = this.#components.threads.get(threadId)
    return [...stored.logs.values()].map((log) => ({
      id: log.id,
      publicKey: log.publicKey,
      addresses: log.addresses,
      head: log.head.cid,
      counter: log.head.counter,
    }))
  }

  edges(threadId: ThreadId): Edges {
    const state = this.#components.threads.find(threadId)?.stored
    if (state === undefined) return { addresses: 0n, heads: 0n }
    const known = this.#edges.get(state)
    if (known !== undefined) return known
    const logs = [...state.logs.values()]
    const addresses = addressesEdge(logs.flatMap((log) => log.addresses.map((address) => ({ logId: log.id, address }))))
    const heads = headsEdge(
      logs.flatMap((log) => (log.head.cid === undefined ? [] : [{ logId: log.id, head: log.head.cid }])),
    )
    const edges = { addresses, heads: addresses === 0n ? 0n : heads }
    this.#edges.set(state, edges)
    return edges
  }

  peers(threadId: ThreadId): PeerId[] {
    const state = this.#components.threads.find(threadId)?.stored
    return state === undefined ? [] : namedPeers(state).filter((peer) => peer !== this.hostId)
  }

  async counterOf(threadId: ThreadId, logId: LogId, cid: CID): Promise<number | undefined> {
    const { stored } = this.#components.threads.get(threadId)
    const head = stored.logs.get(logId)?.head
    if (head?.cid?.equals(cid) === true) return head.counter
    const found = await this.#components.records.find(stored, cid)
    return found?.log.id === logId ? found.counter : undefined
  }

  async recordsAfter(
    threadId: ThreadId,
    logId: LogId,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    const { stored } = this.#components.threads.get(threadId)
    const log = stored.logs.get(logId)
    if (log === undefined) return []
    // A record may be readable before it is announced: nothing past the stored head is told.
    const maxRecords = Math.min(options.maxRecords, log.head.counter - options.counter)
    if (maxRecords <= 0) return []
    return this.#components.records.blocksAfter(stored.number, log.number, { ...options, maxRecords })
  }

  isProven(threadId: ThreadId, peer: PeerId): boolean {
    const entry = this.#components.threads.find(threadId)
    if (entry === undefined) return false
    return entry.proven.has(peer) || namedPeers(entry.stored).includes(peer)
  }

  prove(threadId: ThreadId, peer: PeerId): void {
    this.#components.threads.find(threadId)?.proven.add(peer)
  }

  async adopt(
    threadId: ThreadId,
    keys: { service: SymmetricKey; read: SymmetricKey | undefined },
    from: PeerId,
  ): Promise<void> {
    const { threads, writer } = this.#components
    const known = threads.find(threadId)
    if (known === undefined) {
      const entry = await this.#adoptUnknown(threadId, keys)
      entry.proven.add(from)
      return
    }
    const { read } = keys
    if (read === undefined || known.stored.key.read !== undefined) return
    const { stored } = await writer.write(known, async (draft) => {
      draft.setThread({ key: { service: draft.state.key.service, read } })
    })
    await stored
    await writer.resume(known)
  }

  async #adoptUnknown(
    threadId: ThreadId,
    keys: { service: SymmetricKey; read: SymmetricKey | undefined },
  ): Promise<ThreadEntry> {
    const { threads } = this.#components
    const unsolicited = threads.all().filter((entry) => entry.stored.unsolicited).length
    if (this.#options.replicateFor === 'none') throw new ThreadsError('PEER_REFUSED', 'thread not found')
    if (unsolicited >= this.#options.maxUnsolicitedThreads) {
      throw new ThreadsError('NO_SPACE', `this host keeps ${unsolicited} threads for others already`)
    }
    const key = keys.read === undefined ? { service: keys.service } : { service: keys.service, read: keys.read }
    return storeNewThread(this.#components, { id: threadId, key, unsolicited: true })
  }

  async addLogs(threadId: ThreadId, logs: readonly PeerLog[], from: PeerId): Promise<void> {
    const entry = this.#components.threads.get(threadId)
    const { stored } = await this.#components.writer.write(entry, async (draft) => {
      for (const log of logs) mergeLog(draft, log, this.#options)
    })
    await stored
    this.prove(threadId, from)
  }

  receive(run: ReceivedRun): Promise<Receipt> {
    return this.#components.receiver.receive(this.#components.threads.get(run.threadId), run)
  }
}

/** Stores a new thread, with what `complete` adds to it, in one batch. */
export async function storeNewThread(
  components: Pick<HostReplicaComponents, 'threads' | 'writer'>,
  thread: Pick<ThreadState, 'id' | 'key' | 'unsolicited'>,
  complete: (draft: ThreadDraft) => void = () => {},
): Promise<ThreadEntry> {
  const { threads, writer } = components
  const { number, key, value } = threads.takeNumber()
  const state = { ...thread, number, phase: 'live' as const, writers: new Map(), logs: new Map() }
  const entry = threads.put({ ...state, appData: undefined, row: {} })
  try {
    const { stored } = await writer.write(entry, async (draft) => {
      draft.setThread({})
      draft.operations([{ type: 'put', key, value }])
      complete(draft)
    })
    await stored
  } catch (error) {
    threads.remove(entry)
    throw error
  }
  return entry
}

/** Adds a log that is new, or the addresses of one that is known. Heads of others are hints and not taken. */
export function mergeLog(
  draft: ThreadDraft,
  log: PeerLog,
  limits: Pick<ResolvedNetOptions, 'maxLogs' | 'maxLogAddresses'>,
): void {
  const addresses = log.addresses.filter((address) => peerIdOfAddress(address) !== undefined)
  const known = draft.state.logs.get(log.id)
  if (known !== undefined) {
    const fresh = addresses.filter((address) => !known.addresses.includes(address))
    if (fresh.length === 0) return
    draft.setLog({ ...known, addresses: limited([...known.addresses, ...fresh], limits) })
    return
  }
  if (log.publicKey === undefined || peerIdOf(log.publicKey) !== log.id) {
    throw new ThreadsError('INVALID_KEY', "log ID doesn't provided match public key")
  }
  if (draft.state.logs.size >= limits.maxLogs) {
    throw new ThreadsError('TOO_LARGE', `the thread has ${limits.maxLogs} logs already, no more are taken`)
  }
  draft.setLog({
    number: draft.nextLogNumber(),
    id: log.id,
    publicKey: log.publicKey,
    privateKey: undefined,
    managed: false,
    addresses: limited([...new Set(addresses)], limits),
    head: { counter: 0, cid: undefined },
    cursor: { counter: 0, time: 0n },
    row: {},
  })
}

function limited(addresses: readonly Address[], limits: { maxLogAddresses: number }): Address[] {
  return addresses.slice(0, limits.maxLogAddresses)
}

function namedPeers(state: ThreadState): PeerId[] {
  const peers = new Set<PeerId>()
  for (const log of state.logs.values()) {
    for (const address of log.addresses) {
      const peer = peerIdOfAddress(address)
      if (peer !== undefined) peers.add(peer)
    }
  }
  return [...peers]
}
