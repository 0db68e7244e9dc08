import type { CID } from 'multiformats/cid'
import { copyBytes, textOfUtf8 } from './bytes.ts'
import { canonicalise } from './canonical-cbor.ts'
import {
  CBOR_ARRAY,
  CBOR_BYTES,
  CBOR_MAP,
  CBOR_NEGATIVE,
  CBOR_TAG,
  CBOR_TEXT,
  CBOR_UNSIGNED,
  malformedCbor,
} from './cbor-head.ts'
import { ThreadsError } from './errors.ts'
import { readLink } from './link.ts'

const NULL = 0xf6
const ASCII_LIMIT = 64

/**
 * Reads fields of a known type, one after the other. Every method consumes one item and throws INVALID_RECORD if it is
 * of another type. Any CBOR may be given: it is made canonical first.
 */
export class CborReader {
  readonly #bytes: Uint8Array
  readonly #view: DataView
  #pos = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = canonicalise(bytes)
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength)
  }

  /** Calls `field` with each key; it must consume the value. Null counts as an empty map. */
  map(field: (key: string) => void): void {
    if (this.#skipNull()) return
    const length = this.#head(CBOR_MAP, 'map')
    for (let i = 0; i < length; i++) field(this.text())
  }

  /** Calls `item` for each item; it must consume it. Null counts as an empty array. */
  array(item: () => void): void {
    if (this.#skipNull()) return
    const length = this.#head(CBOR_ARRAY, 'array')
    for (let i = 0; i < length; i++) item()
  }

  text(): string {
    const length = this.#head(CBOR_TEXT, 'text')
    const from = this.#pos
    this.#pos += length
    return asciiText(this.#bytes, from, this.#pos) ?? strictText(this.#bytes.subarray(from, this.#pos))
  }

  /** A copy of a byte string; `undefined` for null. */
  bytes(): Uint8Array | undefined {
    if (this.#skipNull()) return undefined
    const length = this.#head(CBOR_BYTES, 'byte string')
    this.#pos += length
    return copyBytes(this.#bytes, this.#pos - length, this.#pos)
  }

  /** Of the item next, without consuming it. */
  isInteger(): boolean {
    const major = this.#major()
    return major === CBOR_UNSIGNED || major === CBOR_NEGATIVE
  }

  integer(): bigint {
    if (!this.isInteger()) throw malformedCbor('expected an integer')
    const negative = this.#major() === CBOR_NEGATIVE
    const initial = this.#view.getUint8(this.#pos)
    let argument: bigint
    if ((initial & 0x1f) === 27) {
      argument = this.#view.getBigUint64(this.#pos + 1)
      this.#pos += 9
    } else {
      argument = BigInt(this.#argument())
    }
    return negative ? -1n - argument : argument
  }

  link(): CID {
    if (this.#major() !== CBOR_TAG) throw malformedCbor('expected a link')
    this.#argument()
    const length = this.#argument()
    this.#pos += length
    return readLink(this.#bytes.subarray(this.#pos - length, this.#pos))
  }

  /** The canonical bytes of any item. */
  any(): Uint8Array {
    const from = this.#pos
    this.#skip()
    return copyBytes(this.#bytes, from, this.#pos)
  }

  #skip(): void {
    const major = this.#major()
    const argument = this.#argument()
    if (major === CBOR_BYTES || major === CBOR_TEXT) this.#pos += argument
    const items = major === CBOR_ARRAY ? argument : major === CBOR_MAP ? 2 * argument : major === CBOR_TAG ? 1 : 0
    for (let i = 0; i < items; i++) this.#skip()
  }

  #major(): number {
    return this.#view.getUint8(this.#pos) >>> 5
  }

  #head(major: number, name: string): number {
    if (this.#major() !== major) throw malformedCbor(`expected a ${name}`)
    return this.#argument()
  }

  /** Consumes a head. Canonical input was checked, so nothing ends early. Rounded above 2^53. */
  #argument(): number {
    const info = this.#view.getUint8(this.#pos) & 0x1f
    this.#pos++
    if (info < 24) return info
    const from = this.#pos
    this.#pos += 2 ** (info - 24)
    if (info === 24) return this.#view.getUint8(from)
    if (info === 25) return this.#view.getUint16(from)
    return info === 26 ? this.#view.getUint32(from) : Number(this.#view.getBigUint64(from))
  }

  #skipNull(): boolean {
    if (this.#bytes[this.#pos] !== NULL) return false
    this.#pos++
    return true
  }
}

/** Short text without setting up a decoder; `undefined` if it is long or not ASCII. */
function asciiText(bytes: Uint8Array, from: number, end: number): string | undefined {
  if (end - from > ASCII_LIMIT) return undefined
  let text = ''
  for (let i = from; i < end; i++) {
    const byte = bytes[i] ?? 0
    if (byte >= 0x80) return undefined
    text += String.fromCharCode(byte)
  }
  return text
}

function strictText(utf8: Uint8Array): string {
  try {
    return textOfUtf8(utf8)
  } catch (cause) {
    throw new ThreadsError('INVALID_RECORD', malformedCbor('text that is not UTF-8').message, { cause })
  }
}

/** For a key that a known shape does not have. */
export function unknownKey(key: string): ThreadsError {
  return new ThreadsError('INVALID_RECORD', `stream contains key "${key}", but there's no such field`)
}
