import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { type Address, peerAddress, peerIdOfAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { addressesEdge, headsEdge } from '../../src/core/edge.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { sealEvent } from '../../src/core/event-block.ts'
import { generateKey, type PrivateKey, type PublicKey } from '../../src/core/keys.ts'
import { type LogId, type PeerId, peerIdOf } from '../../src/core/peer-id.ts'
import { openRecord, type RecordBlocks, sealRecord } from '../../src/core/record.ts'
import type { SymmetricKey } from '../../src/core/symmetric.ts'
import { newThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import { alignRun, openRun, verifyRun } from '../../src/net/check-run.ts'
import type { ChainKey } from '../../src/net/chain-key.ts'
import type { Receipt, ReceivedRun, Replica, ThreadWatcher } from '../../src/net/replica.ts'
import type { ChainStatus, Edges, PeerLog } from '../../src/net/replica.ts'

interface FakeLog {
  readonly publicKey: PublicKey
  readonly privateKey: PrivateKey | undefined
  addresses: Address[]
  readonly records: { cid: CID; blocks: RecordBlocks }[]
}

interface FakeThread {
  readonly service: SymmetricKey
  read: SymmetricKey | undefined
  readonly logs: Map<LogId, FakeLog>
  readonly proven: Set<PeerId>
}

const MAX_RECORD_BYTES = 3.5 * 1024 * 1024

/** A new host's id and key. */
export function newPeer(): { key: PrivateKey; id: PeerId } {
  const key = generateKey(randomBytes)
  return { key, id: peerIdOf(key.publicKey) }
}

/** Threads in memory, with real records and the real checks of them. */
export class FakeReplica implements Replica {
  readonly hostId: PeerId
  readonly threads: Map<ThreadId, FakeThread> = new Map()
  /** Threads of strangers are not kept. */
  refuseStrangers = false
  #watcher: ThreadWatcher | undefined

  constructor(hostId: PeerId = newPeer().id) {
    this.hostId = hostId
  }

  addThread(keys: Partial<Pick<FakeThread, 'service' | 'read'>> & { id?: ThreadId } = {}): ThreadId {
    const { id = newThreadId('raw', randomBytes), service = randomBytes(32), read = randomBytes(32) } = keys
    this.threads.set(id, { service, read, logs: new Map(), proven: new Set() })
    this.#watcher?.added(id)
    return id
  }

  removeThread(id: ThreadId): void {
    this.threads.delete(id)
    this.#watcher?.removed(id)
  }

  /** A log of this host, with its address. */
  addOwnLog(threadId: ThreadId, key: PrivateKey = generateKey(randomBytes)): LogId {
    const id = peerIdOf(key.publicKey)
    const addresses = [peerAddress(this.hostId)]
    this.#thread(threadId).logs.set(id, { publicKey: key.publicKey, privateKey: key, addresses, records: [] })
    return id
  }

  /** Writes a record with a body of about the given size. Answers its counter. */
  append(threadId: ThreadId, logId: LogId, bytes = 10): number {
    const thread = this.#thread(threadId)
    const log = this.#log(threadId, logId)
    if (log.privateKey === undefined || thread.read === undefined) throw new Error('cannot write this log')
    const { eventCid, ...event } = sealEvent(encode(randomBytes(bytes)), thread.read, randomBytes)
    const prev = log.records.at(-1)?.cid
    const { recordNode, cid } = sealRecord({
      event: eventCid,
      ...(prev === undefined ? {} : { prev }),
      logKey: log.privateKey,
      author: log.publicKey,
      serviceKey: thread.service,
      random: randomBytes,
    })
    return log.records.push({ cid, blocks: { recordNode, ...event } })
  }

  counter(threadId: ThreadId, logId: LogId): number {
    return this.threads.get(threadId)?.logs.get(logId)?.records.length ?? 0
  }

  threadIds(): ThreadId[] {
    return [...this.threads.keys()]
  }

  watchThreads(watcher: ThreadWatcher): void {
    this.#watcher = watcher
    for (const id of this.threads.keys()) watcher.added(id)
  }

  has(threadId: ThreadId): boolean {
    return this.threads.has(threadId)
  }

  serviceKey(threadId: ThreadId): SymmetricKey | undefined {
    return this.threads.get(threadId)?.service
  }

  logs(threadId: ThreadId): PeerLog[] {
    return [...this.#thread(threadId).logs].map(([id, { publicKey, addresses, records }]) => ({
      id,
      publicKey,
      addresses,
      head: records.at(-1)?.cid,
      counter: records.length,
    }))
  }

  log(threadId: ThreadId, logId: LogId): PeerLog | undefined {
    return this.logs(threadId).find(({ id }) => id === logId)
  }

  edges(threadId: ThreadId): Edges {
    if (!this.has(threadId)) return { addresses: 0n, heads: 0n }
    const logs = this.logs(threadId)
    return {
      addresses: addressesEdge(
        logs.flatMap(({ id, addresses }) => addresses.map((address) => ({ logId: id, address }))),
      ),
      heads: headsEdge(logs.flatMap(({ id, head }) => (head === undefined ? [] : { logId: id, head }))),
    }
  }

  peers(threadId: ThreadId): PeerId[] {
    const addresses = this.logs(threadId).flatMap((log) => log.addresses)
    const peers = new Set(addresses.flatMap((address) => peerIdOfAddress(address) ?? []))
    return [...peers].filter((peer) => peer !== this.hostId)
  }

  branchHeads(): ReadonlyMap<LogId, readonly CID[]> {
    return new Map()
  }

  attested(_threadId: ThreadId, log: PeerLog): PeerLog {
    return log
  }

  async waymarks(threadId: ThreadId, logId: LogId): Promise<CID[]> {
    return this.#log(threadId, logId).records.map(({ cid }) => cid)
  }

  async chains(threadId: ThreadId, logId: LogId, held: readonly CID[]): Promise<ChainStatus[]> {
    const { records } = this.#log(threadId, logId)
    const head = records.at(-1)?.cid
    if (head === undefined) return []
    const index = records.findLastIndex(({ cid }) => held.some((each) => each.equals(cid)))
    const after = index < 0 ? undefined : index + 1
    return [{ chain: logId, head, counter: records.length, attestation: undefined, after }]
  }

  async counterOf(threadId: ThreadId, logId: LogId, cid: CID): Promise<number | undefined> {
    const index = this.#log(threadId, logId).records.findIndex((record) => record.cid.equals(cid))
    return index < 0 ? undefined : index + 1
  }

  async recordsAfter(
    threadId: ThreadId,
    chain: ChainKey,
    { counter, maxRecords, maxBytes }: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    const taken: RecordBlocks[] = []
    let bytes = 0
    const records = [...this.#thread(threadId).logs].find(([id]) => id === chain)?.[1].records ?? []
    for (const { blocks } of records.slice(counter, counter + maxRecords)) {
      for (const block of Object.values(blocks)) bytes += block.length
      if (taken.length > 0 && bytes > maxBytes) break
      taken.push(blocks)
    }
    return taken
  }

  isProven(threadId: ThreadId, peer: PeerId): boolean {
    return (
      this.threads.get(threadId)?.proven.has(peer) === true ||
      (this.has(threadId) && this.peers(threadId).includes(peer))
    )
  }

  prove(threadId: ThreadId, peer: PeerId): void {
    this.threads.get(threadId)?.proven.add(peer)
  }

  async adopt(
    threadId: ThreadId,
    { service, read }: { service: SymmetricKey; read: SymmetricKey | undefined },
    from: PeerId,
  ): Promise<void> {
    const known = this.threads.get(threadId)
    if (known !== undefined) {
      known.read ??= read
      return
    }
    if (this.refuseStrangers) throw new ThreadsError('PEER_REFUSED', 'thread not found')
    this.threads.set(threadId, { service, read, logs: new Map(), proven: new Set([from]) })
    this.#watcher?.added(threadId)
  }

  async addLogs(threadId: ThreadId, logs: readonly PeerLog[]): Promise<void> {
    for (const { id, publicKey, addresses } of logs) {
      const known = this.#thread(threadId).logs.get(id)
      if (known !== undefined) {
        known.addresses = [...new Set([...known.addresses, ...addresses])]
        continue
      }
      if (publicKey === undefined || peerIdOf(publicKey) !== id) {
        throw new ThreadsError('INVALID_KEY', "log ID doesn't provided match public key")
      }
      const log = { publicKey, privateKey: undefined, addresses: [...addresses], records: [] }
      this.#thread(threadId).logs.set(id, log)
    }
  }

  async receive({ threadId, logId, records }: ReceivedRun): Promise<Receipt> {
    const { service } = this.#thread(threadId)
    const log = this.#log(threadId, logId)
    const opened = openRun(records, { serviceKey: service, maxRecordBytes: MAX_RECORD_BYTES })
    const alignment = alignRun(opened.records, log.records.at(-1)?.cid)
    if (alignment.kind !== 'continues') {
      if (opened.fault !== undefined) throw opened.fault
      return {
        stored: 0,
        counter: log.records.length,
        gap: alignment.kind === 'detached' && !this.#holds(log, records, service),
      }
    }
    const verified = verifyRun(opened.records.slice(alignment.index), log.publicKey)
    for (const { record, blocks } of verified.records) log.records.push({ cid: record.cid, blocks })
    const fault = verified.fault ?? opened.fault
    if (fault !== undefined) throw fault
    return { stored: verified.records.length, counter: log.records.length, gap: false }
  }

  /** Whether the last of the records is here; throws BROKEN_CHAIN for another one at a position that is taken. */
  #holds(log: FakeLog, records: readonly RecordBlocks[], service: SymmetricKey): boolean {
    const [first] = records
    const last = records.at(-1)
    if (first === undefined || last === undefined) return true
    const here = (cid: CID): boolean => log.records.some((record) => record.cid.equals(cid))
    if (here(openRecord(last.recordNode, service).cid)) return true
    const { prev } = openRecord(first.recordNode, service)
    if (prev === undefined || here(prev)) throw new ThreadsError('BROKEN_CHAIN', 'another record is at this position')
    return false
  }

  #thread(threadId: ThreadId): FakeThread {
    const thread = this.threads.get(threadId)
    if (thread === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
    return thread
  }

  #log(threadId: ThreadId, logId: LogId): FakeLog {
    const log = this.#thread(threadId).logs.get(logId)
    if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
    return log
  }
}
