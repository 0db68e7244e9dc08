/** Numbers, byte strings and checksums as LevelDB writes them (its `util/coding.h` and `util/crc32c.h`). */
import crc32c from 'crc-32/crc32c.js'
import { ThreadsError } from '../core/errors.ts'
import { readVarint } from '../core/varint.ts'

/** Reads one field after the other. Throws STORE_CORRUPT where the bytes end, or a number is over 2^53. */
export class LevelReader {
  readonly #bytes: Uint8Array
  #pos = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  get atEnd(): boolean {
    return this.#pos === this.#bytes.length
  }

  number(): number {
    const varint = readVarint(this.#bytes, this.#pos)
    if (typeof varint === 'string' || varint.value > Number.MAX_SAFE_INTEGER) throw malformed()
    this.#pos = varint.end
    return Number(varint.value)
  }

  /** A view. */
  bytes(length: number): Uint8Array {
    const start = this.#pos
    if (length > this.#bytes.length - start) throw malformed()
    this.#pos += length
    return this.#bytes.subarray(start, this.#pos)
  }
}

/** CRC-32C of bytes, behind those with the checksum `before`. */
export function checksumOf(bytes: Uint8Array, before = 0): number {
  return crc32c.buf(bytes, before)
}

/** A checksum as files hold it: turned and shifted, because they may hold other checksums as data. */
export function masked(checksum: number): number {
  return (((checksum >>> 15) | (checksum << 17)) + 0xa282ead8) >>> 0
}

export function readUint32(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset, true)
}

function malformed(): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', 'it holds something that LevelDB does not write')
}
