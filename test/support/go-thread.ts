/** A thread as a go-threads host keeps it, with its ways of counting, choosing and waiting. */
import type { CID } from 'multiformats/cid'
import type { Address } from '../../src/core/address.ts'
import { bytesKey } from '../../src/core/bytes.ts'
import { addressesEdge, headsEdge } from '../../src/core/edge.ts'
import { decodeEvent } from '../../src/core/event-block.ts'
import type { PublicKey } from '../../src/core/keys.ts'
import { type LogId, peerIdOf } from '../../src/core/peer-id.ts'
import { openRecord, type Record, type RecordBlocks, verifyRecord } from '../../src/core/record.ts'
import type { SymmetricKey } from '../../src/core/symmetric.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { ThreadKey } from '../../src/core/thread-key.ts'
import type { LogOffset, LogRecords } from '../../src/net/protocol/messages.ts'
import { Status, StatusError } from '../../src/net/protocol/status.ts'
import type { Edges, PeerLog } from '../../src/net/replica.ts'
import type { ForeignEvent, ForeignLog } from './foreign-log.ts'

export interface GoRecord extends Record {
  readonly blocks: RecordBlocks
}

export interface GoLog {
  readonly id: LogId
  readonly publicKey: PublicKey
  addresses: Address[]
  /** Those from the first to the head. */
  readonly records: GoRecord[]
  /** Writes it, if it is one of the host's own. */
  readonly writer: ForeignLog | undefined
}

export class GoThread {
  readonly id: ThreadId
  readonly service: SymmetricKey
  read: SymmetricKey | undefined
  readonly logs: Map<LogId, GoLog> = new Map()
  /** Records in the order in which they were applied. */
  readonly applied: GoRecord[] = []
  readonly #known = new Set<string>()
  /** Blocks of the first so many of `applied`, by `bytesKey` of their CID. */
  readonly #blocks = new Map<string, Uint8Array>()
  #indexed = 0
  readonly #arrivals = new Map<string, PromiseWithResolvers<void>>()

  constructor(id: ThreadId, { service, read }: ThreadKey) {
    this.id = id
    this.service = service
    this.read = read
  }

  log(id: LogId): GoLog {
    const log = this.logs.get(id)
    if (log === undefined) throw new StatusError(Status.notFound, 'log not found')
    return log
  }

  /** A log of the host itself. */
  addOwnLog(writer: ForeignLog, address: Address): GoLog {
    const log = { id: writer.id, publicKey: writer.key.publicKey, addresses: [address], records: [], writer }
    this.logs.set(log.id, log)
    return log
  }

  /** Merges addresses; the head of another is not taken. */
  addLog({ id, publicKey, addresses }: PeerLog): GoLog {
    const known = this.logs.get(id)
    if (known !== undefined) {
      known.addresses = [...new Set([...known.addresses, ...addresses])]
      return known
    }
    if (publicKey === undefined || peerIdOf(publicKey) !== id) {
      throw new StatusError(Status.internal, "log ID doesn't provided match public key")
    }
    const log = { id, publicKey, addresses: [...addresses], records: [], writer: undefined }
    this.logs.set(id, log)
    return log
  }

  /** A block by `bytesKey` of its CID, as bitswap hands it out. */
  block(key: string): Uint8Array | undefined {
    for (const { cid, block, blocks } of this.applied.slice(this.#indexed)) {
      const { header, body } = decodeEvent(blocks.eventNode)
      this.#blocks.set(bytesKey(cid.bytes), blocks.recordNode)
      this.#blocks.set(bytesKey(block.bytes), blocks.eventNode)
      this.#blocks.set(bytesKey(header.bytes), blocks.headerNode)
      this.#blocks.set(bytesKey(body.bytes), blocks.bodyNode)
    }
    this.#indexed = this.applied.length
    return this.#blocks.get(key)
  }

  /** The next record of an own log. */
  write(logId: LogId, make: readonly ForeignEvent[] | Uint8Array): GoRecord {
    const log = this.log(logId)
    if (log.writer === undefined) throw new Error('the log is not one of this host')
    const record = this.open(make instanceof Uint8Array ? log.writer.recordOf(make) : log.writer.record(make))
    this.#append(log, record)
    return record
  }

  open(blocks: RecordBlocks): GoRecord {
    return { ...openRecord(blocks.recordNode, this.service), blocks }
  }

  describe({ id, publicKey, addresses, records }: GoLog): PeerLog {
    return { id, publicKey, addresses, head: records.at(-1)?.cid, counter: records.length }
  }

  get edges(): Edges {
    const logs = [...this.logs.values()]
    const addresses = addressesEdge(
      logs.flatMap(({ id, addresses: all }) => all.map((address) => ({ logId: id, address }))),
    )
    const heads = headsEdge(
      logs.flatMap(({ id, records }) => {
        const head = records.at(-1)
        return head === undefined ? [] : [{ logId: id, head: head.cid }]
      }),
    )
    return { addresses, heads: addresses === 0n ? 0n : heads }
  }

  /**
   * What GetRecords answers: the newest records of each log, as many as its share of `pullLimit`. Whoever lacks more has
   * to fetch the gap by bitswap.
   */
  newest(requested: readonly LogOffset[], pullLimit: number): LogRecords[] {
    const offsets = new Map(requested.map((entry) => [entry.logId, entry]))
    const named = [...offsets.values()].map(({ logId, offset: head }) =>
      head === undefined ? { logId } : { logId, head },
    )
    if (headsEdge(named) === this.edges.heads) return []
    const share = Math.floor(pullLimit / this.logs.size)
    return [...this.logs.values()].flatMap((log) => {
      const { offset, counter = 0, limit = share } = offsets.get(log.id) ?? {}
      const { records } = log
      if (records.length === 0 || limit <= 0) return []
      const at = offset === undefined ? -1 : records.findIndex(({ cid }) => cid.equals(offset))
      const old = counter === 0 && offset !== undefined
      if (old ? at < 0 : records.length <= counter) return []
      const sent = records.slice(Math.max(at + 1, records.length - Math.min(limit, share)))
      return sent.length === 0
        ? []
        : [{ logId: log.id, records: sent.map(({ blocks }) => blocks), log: this.describe(log) }]
    })
  }

  /**
   * Takes records of a log, oldest first. `counter`: as the sender gave it, 0 for none. A record before them that is not
   * here is waited for, as bitswap does.
   */
  async receive(
    logId: LogId,
    all: readonly RecordBlocks[],
    { counter, waitMs }: { counter: number; waitMs: number },
  ): Promise<void> {
    const log = this.log(logId)
    const chain = all.map((blocks) => this.open(blocks))
    const [oldest, last] = [chain[0], chain.at(-1)]
    if (oldest === undefined || last === undefined) return
    // It vouches for those before it, which are checked to be a chain below.
    verify(last, log.publicKey)
    if (counter === 0 ? holds(log, last.cid) : counter <= log.records.length) return
    if (startOf(chain, log) === undefined && oldest.prev !== undefined) await this.#arrival(oldest.prev, waitMs)
    // What was there before has come meanwhile, or is not waited for: the branch of a fork would be applied once more.
    const start = startOf(chain, log)
    if (start === undefined && !holds(log, last.cid)) throw new StatusError(Status.internal, 'the log is forked')
    for (const record of start === undefined ? [] : chain.slice(start)) this.#append(log, record)
  }

  #append(log: GoLog, record: GoRecord): void {
    const head = log.records.at(-1)?.cid
    const follows = head === undefined ? record.prev === undefined : record.prev?.equals(head) === true
    if (!follows) throw new StatusError(Status.internal, `disjoint record sequence in log ${log.id}`)
    log.records.push(record)
    this.applied.push(record)
    this.#known.add(bytesKey(record.cid.bytes))
    this.#arrivals.get(bytesKey(record.cid.bytes))?.resolve()
  }

  async #arrival(cid: CID, waitMs: number): Promise<void> {
    const key = bytesKey(cid.bytes)
    if (this.#known.has(key)) return
    const arrival = this.#arrivals.get(key) ?? Promise.withResolvers<void>()
    this.#arrivals.set(key, arrival)
    const timeout = Promise.withResolvers<never>()
    const text = `loading records failed: failed to get block for ${cid.toString()}: context deadline exceeded`
    const timer = setTimeout(() => timeout.reject(new StatusError(Status.internal, text)), waitMs)
    await Promise.race([arrival.promise, timeout.promise]).finally(() => clearTimeout(timer))
  }
}

/** Index of the first record that follows the head. */
function startOf(chain: readonly GoRecord[], { records }: GoLog): number | undefined {
  const head = records.at(-1)?.cid
  const start = chain.findIndex(({ prev }) => (head === undefined ? prev === undefined : prev?.equals(head) === true))
  return start < 0 ? undefined : start
}

function holds({ records }: GoLog, cid: CID): boolean {
  return records.some((record) => record.cid.equals(cid))
}

function verify(record: Record, key: PublicKey): void {
  try {
    verifyRecord(record, key)
  } catch {
    throw new StatusError(Status.unauthenticated, 'bad signature')
  }
}
