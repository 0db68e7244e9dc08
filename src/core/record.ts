/** A record: the signed link of a log, in an envelope that the service key opens. */
import type { CID } from 'multiformats/cid'
import { concatBytes, EMPTY_BYTES } from './bytes.ts'
import { canonicalise, cidOf, linksTo } from './cbor.ts'
import { CborReader, unknownKey } from './cbor-reader.ts'
import { byteStringNode, CborWriter } from './cbor-writer.ts'
import type { Random } from './clock.ts'
import { ThreadsError } from './errors.ts'
import { byteStringOf, decodeEvent, type EventBlocks, type EventLinks } from './event-block.ts'
import type { PrivateKey, PublicKey } from './keys.ts'
import { open, type SymmetricKey, seal } from './symmetric.ts'

/** The blocks of a record, in the form in which they are stored, sent and hashed. */
export interface RecordBlocks extends EventBlocks {
  /** Encrypted with the service key. */
  readonly recordNode: Uint8Array
}

/** What a record says. */
export interface Record {
  readonly cid: CID
  /** The event block. */
  readonly block: CID
  /** The record before it; absent in the first of a log. */
  readonly prev?: CID
  readonly sig: Uint8Array
  /** Public key, as protobuf, of the identity that is said to have written it. */
  readonly pubKey: Uint8Array
}

export interface RecordContents {
  /** The CID of the event block. */
  readonly event: CID
  /** The head of the log; absent for its first record. */
  readonly prev?: CID
  readonly logKey: PrivateKey
  readonly author: PublicKey
  readonly serviceKey: SymmetricKey
  readonly random: Random
}

export interface SealedRecord {
  readonly recordNode: Uint8Array
  readonly cid: CID
}

/** Canonical forms of blocks that came from others: what is stored, and what the CIDs belong to. */
export function canonicalBlocks(blocks: RecordBlocks): RecordBlocks {
  return {
    recordNode: canonicalise(blocks.recordNode),
    eventNode: canonicalise(blocks.eventNode),
    headerNode: canonicalise(blocks.headerNode),
    bodyNode: canonicalise(blocks.bodyNode),
  }
}

/** Reads an envelope. Throws INVALID_RECORD if the key does not open it or the record lacks event or author. */
export function openRecord(recordNode: Uint8Array, serviceKey: SymmetricKey): Record {
  const envelope = canonicalise(recordNode)
  const reader = new CborReader(open(serviceKey, byteStringOf(envelope)))
  let block: CID | undefined
  let prev: CID | undefined
  let sig: Uint8Array | undefined
  let pubKey: Uint8Array | undefined
  reader.map((key) => {
    if (key === 'sig') sig = reader.bytes()
    else if (key === 'prev') prev = reader.link()
    else if (key === 'block') block = reader.link()
    else if (key === 'pubKey') pubKey = reader.bytes()
    else throw unknownKey(key)
  })
  if (block === undefined) throw new ThreadsError('INVALID_RECORD', 'record without link to its event')
  if (pubKey === undefined) throw new ThreadsError('INVALID_RECORD', 'record without author')
  const record = { cid: cidOf(envelope), block, sig: sig ?? EMPTY_BYTES, pubKey }
  return prev === undefined ? record : { ...record, prev }
}

/** Signs and encrypts the next record of a log. */
export function sealRecord(contents: RecordContents): SealedRecord {
  const { event, prev, logKey, author, serviceKey, random } = contents
  const pubKey = author.encoded
  const sig = logKey.sign(signedMessage(event, prev, pubKey))
  const writer = new CborWriter()
    .map(prev === undefined ? 3 : 4)
    .text('sig')
    .bytes(sig)
  if (prev !== undefined) writer.text('prev').link(prev)
  const plaintext = writer.text('block').link(event).text('pubKey').bytes(pubKey).finish()
  const recordNode = byteStringNode(seal(serviceKey, plaintext, random))
  return { recordNode, cid: cidOf(recordNode) }
}

/**
 * Throws BAD_SIGNATURE unless the log key signed the record. The signature of a first record covers its author only,
 * that of a later one its event and its place in the log, and by hash all records before it.
 */
export function verifyRecord(record: Record, logKey: PublicKey): void {
  if (!logKey.verify(signedMessage(record.block, record.prev, record.pubKey), record.sig)) {
    throw new ThreadsError('BAD_SIGNATURE', 'bad signature')
  }
}

/** Throws INVALID_RECORD unless the blocks are those the record and its event name. */
export function checkLinks(record: Record, blocks: EventBlocks): EventLinks {
  const eventNode = canonicalise(blocks.eventNode)
  const event = decodeEvent(eventNode)
  checkLink('event', record.block, eventNode)
  checkLink('header', event.header, canonicalise(blocks.headerNode))
  checkLink('body', event.body, canonicalise(blocks.bodyNode))
  return event
}

function checkLink(name: string, link: CID, block: Uint8Array): void {
  if (!linksTo(link, block)) {
    throw new ThreadsError('INVALID_RECORD', `${name} is not the block the record names`)
  }
}

function signedMessage(event: CID, prev: CID | undefined, pubKey: Uint8Array): Uint8Array {
  return prev === undefined ? pubKey : concatBytes(event.bytes, prev.bytes)
}
