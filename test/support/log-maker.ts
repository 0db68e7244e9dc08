import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { attestHead } from '../../src/core/attestation.ts'
import { type Address, peerAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import type { Random } from '../../src/core/clock.ts'
import { sealEvent } from '../../src/core/event-block.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { type LogId, type PeerId, peerIdOf } from '../../src/core/peer-id.ts'
import { openRecord, type RecordBlocks, sealRecord } from '../../src/core/record.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../../src/core/thread-key.ts'
import type { Attestation, PeerLog } from '../../src/net/replica.ts'

/** Bytes that compare as equal to those that were stored. */
export const random: Random = (length) => new Uint8Array(randomBytes(length))

export interface MadeRecord {
  readonly cid: CID
  readonly blocks: RecordBlocks
}

export interface MakeOptions {
  /** Default: the record made last. `null`: none, as in a first record. */
  prev?: CID | null
  /** What signs the record. Default: the key of the log. */
  signer?: PrivateKey
  body?: unknown
}

/** A log that is written elsewhere, with any record its tests need. */
export class LogMaker {
  readonly threadKey: Required<ThreadKey>
  readonly key: PrivateKey
  readonly id: LogId
  /** Its records, in order. */
  readonly records: MadeRecord[] = []

  constructor(threadKey: ThreadKey = newThreadKey(random), key: PrivateKey = generateKey(randomBytes)) {
    this.threadKey = { read: random(32), ...threadKey }
    this.key = key
    this.id = peerIdOf(key.publicKey)
  }

  /** A record after the last one, which does not become the last. */
  make(options: MakeOptions = {}): MadeRecord {
    const { prev = this.records.at(-1)?.cid, signer = this.key, body = { at: this.records.length } } = options
    const { service, read } = this.threadKey
    const { eventCid, ...event } = sealEvent(encode(body), read, randomBytes)
    const { recordNode, cid } = sealRecord({
      event: eventCid,
      ...(prev === undefined || prev === null ? {} : { prev }),
      logKey: signer,
      author: this.key.publicKey,
      serviceKey: service,
      random: randomBytes,
    })
    return { cid, blocks: { recordNode, ...event } }
  }

  /** Another envelope of a record, as whoever has the service key can make it: with another author. */
  envelope(of: MadeRecord, author: PrivateKey = generateKey(randomBytes)): MadeRecord {
    const { service: serviceKey } = this.threadKey
    const { block: event, prev } = openRecord(of.blocks.recordNode, serviceKey)
    const link = prev === undefined ? {} : { prev }
    const contents = { event, ...link, logKey: this.key, author: author.publicKey, serviceKey, random: randomBytes }
    const { recordNode, cid } = sealRecord(contents)
    return { cid, blocks: { ...of.blocks, recordNode } }
  }

  /** The log's key vouches for a record. */
  attest(threadId: ThreadId, counter: number, { cid: head }: MadeRecord): Attestation {
    return { head, signature: attestHead(this.key, { threadId, logId: this.id, counter, head }) }
  }

  /** The next records of the log. */
  next(count = 1): RecordBlocks[] {
    for (let made = 0; made < count; made++) this.records.push(this.make())
    return this.blocks(this.records.length - count)
  }

  /** Blocks of records `from + 1` to `to`. */
  blocks(from = 0, to: number = this.records.length): RecordBlocks[] {
    return this.records.slice(from, to).map(({ blocks }) => blocks)
  }

  /** The log as a peer tells of it. */
  asPeerLog(...holders: readonly PeerId[]): PeerLog {
    return this.withAddresses(holders.map(peerAddress))
  }

  withAddresses(addresses: readonly Address[]): PeerLog {
    const head = this.records.at(-1)?.cid
    return { id: this.id, publicKey: this.key.publicKey, addresses, head, counter: this.records.length }
  }
}
