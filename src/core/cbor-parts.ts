/** The pieces canonical CBOR is put together from. Lengths are below 2^53. */
import type { CID } from 'multiformats/cid'
import { concatBytes, utf8 } from './bytes.ts'
import { ThreadsError } from './errors.ts'

export const CBOR_UNSIGNED = 0
export const CBOR_NEGATIVE = 1
export const CBOR_BYTES = 2
export const CBOR_TEXT = 3
export const CBOR_ARRAY = 4
export const CBOR_MAP = 5
export const CBOR_TAG = 6
export const CBOR_LINK_TAG = 42

export const CBOR_NULL: Uint8Array = Uint8Array.of(0xf6)

interface Head {
  readonly major: number
  readonly argument: number
}

export function malformedCbor(reason: string): ThreadsError {
  return new ThreadsError('INVALID_RECORD', `malformed CBOR: ${reason}`)
}

/** Length of the shortest head with this argument. */
export function headLength(argument: number): number {
  if (argument < 24) return 1
  if (argument <= 0xff) return 2
  if (argument <= 0xffff) return 3
  return argument <= 0xffff_ffff ? 5 : 9
}

/** Writes the shortest head and returns the offset after it. */
export function putHead(out: Uint8Array, offset: number, { major, argument }: Head): number {
  const length = headLength(argument)
  if (length === 1) {
    out[offset] = (major << 5) | argument
    return offset + 1
  }
  out[offset] = (major << 5) | (24 + Math.log2(length - 1))
  let rest = argument
  for (let i = offset + length - 1; i > offset; i--) {
    out[i] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return offset + length
}

export function cborHead(major: number, argument: number): Uint8Array {
  const head = new Uint8Array(headLength(argument))
  putHead(head, 0, { major, argument })
  return head
}

export function cborBytes(bytes: Uint8Array): Uint8Array {
  return concatBytes(cborHead(CBOR_BYTES, bytes.length), bytes)
}

export function cborText(text: string): Uint8Array {
  const bytes = utf8(text)
  return concatBytes(cborHead(CBOR_TEXT, bytes.length), bytes)
}

/** Throws INVALID_ARGUMENT outside -2^63 to 2^64 - 1. */
export function cborInteger(value: bigint): Uint8Array {
  const major = value < 0n ? CBOR_NEGATIVE : CBOR_UNSIGNED
  const argument = value < 0n ? -1n - value : value
  if (argument <= 0xffff_ffffn) return cborHead(major, Number(argument))
  if (argument > (value < 0n ? 0x7fff_ffff_ffff_ffffn : 0xffff_ffff_ffff_ffffn)) {
    throw new ThreadsError('INVALID_ARGUMENT', 'integer out of range')
  }
  const item = new Uint8Array(9)
  item[0] = (major << 5) | 27
  new DataView(item.buffer).setBigUint64(1, argument)
  return item
}

/** A link: tag 42 around the bytes of the CID after a zero byte. */
export function cborLink(cid: CID): Uint8Array {
  const { bytes } = cid
  return concatBytes(cborHead(CBOR_TAG, CBOR_LINK_TAG), cborHead(CBOR_BYTES, bytes.length + 1), Uint8Array.of(0), bytes)
}
