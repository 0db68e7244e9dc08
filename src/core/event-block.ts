/** An event as three blocks: the event links header and body; the header holds the key of the body. */
import type { CID } from 'multiformats/cid'
import { EMPTY_BYTES } from './bytes.ts'
import { canonicalise, cidOf } from './cbor.ts'
import { CborReader, unknownKey } from './cbor-reader.ts'
import { byteStringNode, CborWriter } from './cbor-writer.ts'
import type { Random } from './clock.ts'
import { ThreadsError } from './errors.ts'
import { open, SYMMETRIC_KEY_BYTES, type SymmetricKey, seal } from './symmetric.ts'

/** The blocks of an event, in the form in which they are stored, sent and hashed. */
export interface EventBlocks {
  /** Plain: links of header and body. */
  readonly eventNode: Uint8Array
  /** Encrypted with the read key: the body key. */
  readonly headerNode: Uint8Array
  /** Encrypted with the body key. */
  readonly bodyNode: Uint8Array
}

export interface SealedEvent extends EventBlocks {
  readonly eventCid: CID
}

/** What an event block says. */
export interface EventLinks {
  readonly header: CID
  readonly body: CID
}

/** Encrypts a body, which must be canonical CBOR, with a key of its own. */
export function sealEvent(body: Uint8Array, readKey: SymmetricKey, random: Random): SealedEvent {
  const bodyKey = random(SYMMETRIC_KEY_BYTES)
  const bodyNode = byteStringNode(seal(bodyKey, body, random))
  const header = new CborWriter().map(1).text('key').bytes(bodyKey).finish()
  const headerNode = byteStringNode(seal(readKey, header, random))
  const links = new CborWriter().map(2).text('body').link(cidOf(bodyNode)).text('header').link(cidOf(headerNode))
  const eventNode = links.finish()
  return { eventNode, headerNode, bodyNode, eventCid: cidOf(eventNode) }
}

/** The body, as canonical CBOR. Throws INVALID_RECORD if a block cannot be opened or read. */
export function openBody(blocks: Pick<EventBlocks, 'headerNode' | 'bodyNode'>, readKey: SymmetricKey): Uint8Array {
  const header = open(readKey, byteStringOf(blocks.headerNode))
  const body = open(bodyKeyOf(header), byteStringOf(blocks.bodyNode))
  return canonicalise(body)
}

/** Throws INVALID_RECORD unless both links are there. */
export function decodeEvent(eventNode: Uint8Array): EventLinks {
  const reader = new CborReader(eventNode)
  let header: CID | undefined
  let body: CID | undefined
  reader.map((key) => {
    if (key === 'header') header = reader.link()
    else if (key === 'body') body = reader.link()
    else throw unknownKey(key)
  })
  if (header === undefined || body === undefined) {
    throw new ThreadsError('INVALID_RECORD', 'event without link to its header or body')
  }
  return { header, body }
}

/** The content of a block that is one byte string, as encrypted blocks are. Throws INVALID_RECORD. */
export function byteStringOf(node: Uint8Array): Uint8Array {
  return new CborReader(node).bytes() ?? EMPTY_BYTES
}

/** Writers always give 32 bytes. Private keys for NaCl boxes, which the format also allows, have never been written. */
function bodyKeyOf(header: Uint8Array): SymmetricKey {
  const reader = new CborReader(header)
  let key: Uint8Array | undefined
  reader.map((name) => {
    if (name !== 'key') throw unknownKey(name)
    key = reader.bytes()
  })
  if (key?.length !== SYMMETRIC_KEY_BYTES) throw new ThreadsError('INVALID_RECORD', 'parse decryption key failed')
  return key
}
