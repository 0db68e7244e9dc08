/** The first bytes of CBOR items: a major type and an argument, here below 2^53. */
import { ThreadsError } from './errors.ts'

export const CBOR_UNSIGNED = 0
export const CBOR_NEGATIVE = 1
export const CBOR_BYTES = 2
export const CBOR_TEXT = 3
export const CBOR_ARRAY = 4
export const CBOR_MAP = 5
export const CBOR_TAG = 6
export const CBOR_LINK_TAG = 42

export const CBOR_FALSE: Uint8Array = Uint8Array.of(0xf4)
export const CBOR_TRUE: Uint8Array = Uint8Array.of(0xf5)
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
