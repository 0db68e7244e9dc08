import type { CID } from 'multiformats/cid'
import { copyBytes } from './bytes.ts'
import {
  CBOR_ARRAY,
  CBOR_BYTES,
  CBOR_FALSE,
  CBOR_LINK_TAG,
  CBOR_MAP,
  CBOR_NEGATIVE,
  CBOR_NULL,
  CBOR_TAG,
  CBOR_TEXT,
  CBOR_TRUE,
  CBOR_UNSIGNED,
  putHead,
} from './cbor-head.ts'
import { ThreadsError } from './errors.ts'

const FIRST_BYTES = 4096
const MAX_KEPT_BYTES = 64 * 1024
const MAX_UTF8_BYTES_PER_UNIT = 3
const ASCII_LIMIT = 64
const MAX_HEAD_BYTES = 9
const MAX_UINT64 = 2n ** 64n - 1n

const encoder = new TextEncoder()
/** The buffer of the last writer that finished: making one costs more than a small block. */
let spare: Uint8Array<ArrayBuffer> | undefined

/**
 * Writes fields one after the other, several times as fast as a general encoder. Keys of maps must be written in
 * canonical order: shorter ones first, then bytewise.
 */
export class CborWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #end = 0

  constructor() {
    this.#bytes = spare ?? new Uint8Array(FIRST_BYTES)
    spare = undefined
  }

  /** As many keys and values follow. */
  map(size: number): this {
    return this.#head(CBOR_MAP, size)
  }

  /** As many items follow. */
  array(length: number): this {
    return this.#head(CBOR_ARRAY, length)
  }

  text(text: string): this {
    this.#reserve(2 * MAX_HEAD_BYTES + MAX_UTF8_BYTES_PER_UNIT * text.length)
    if (this.#ascii(text)) return this
    // Put behind the longest head, and moved once its length is known.
    const from = this.#end + MAX_HEAD_BYTES
    const { written } = encoder.encodeInto(text, this.#bytes.subarray(from))
    this.#head(CBOR_TEXT, written)
    this.#bytes.copyWithin(this.#end, from, from + written)
    this.#end += written
    return this
  }

  bytes(bytes: Uint8Array): this {
    return this.#head(CBOR_BYTES, bytes.length).#put(bytes)
  }

  link(cid: CID): this {
    this.#head(CBOR_TAG, CBOR_LINK_TAG).#head(CBOR_BYTES, cid.bytes.length + 1)
    this.#bytes[this.#end++] = 0
    return this.#put(cid.bytes)
  }

  /** Null where there are none. */
  optionalBytes(bytes: Uint8Array | undefined): this {
    return bytes === undefined ? this.null() : this.bytes(bytes)
  }

  null(): this {
    return this.#put(CBOR_NULL)
  }

  boolean(value: boolean): this {
    return this.#put(value ? CBOR_TRUE : CBOR_FALSE)
  }

  /** A number must be a safe integer, not below 0. Throws INVALID_ARGUMENT beyond 64 bits. */
  integer(value: bigint | number): this {
    if (typeof value === 'number') return this.#head(CBOR_UNSIGNED, value)
    const argument = value < 0n ? -1n - value : value
    if (argument > MAX_UINT64) throw new ThreadsError('INVALID_ARGUMENT', 'integer of more than 64 bits')
    const major = value < 0n ? CBOR_NEGATIVE : CBOR_UNSIGNED
    if (argument <= BigInt(Number.MAX_SAFE_INTEGER)) return this.#head(major, Number(argument))
    this.#reserve(MAX_HEAD_BYTES)
    this.#bytes[this.#end] = (major << 5) | 27
    new DataView(this.#bytes.buffer).setBigUint64(this.#end + 1, argument)
    this.#end += MAX_HEAD_BYTES
    return this
  }

  /** What was written, in an array of its own. The writer must not be used afterwards. */
  finish(): Uint8Array {
    if (this.#bytes.length <= MAX_KEPT_BYTES) spare = this.#bytes
    return copyBytes(this.#bytes, 0, this.#end)
  }

  /** Writes a short text of ASCII characters, as keys and ids are; false for another. There must be room. */
  #ascii(text: string): boolean {
    if (text.length > ASCII_LIMIT) return false
    const start = putHead(this.#bytes, this.#end, { major: CBOR_TEXT, argument: text.length })
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) return false
      this.#bytes[start + i] = unit
    }
    this.#end = start + text.length
    return true
  }

  #head(major: number, argument: number): this {
    this.#reserve(MAX_HEAD_BYTES + 1)
    this.#end = putHead(this.#bytes, this.#end, { major, argument })
    return this
  }

  #put(bytes: Uint8Array): this {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#end)
    this.#end += bytes.length
    return this
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#end + length))
    larger.set(this.#bytes.subarray(0, this.#end))
    this.#bytes = larger
  }
}

/** The block that is one byte string. */
export function byteStringNode(content: Uint8Array): Uint8Array {
  return new CborWriter().bytes(content).finish()
}
