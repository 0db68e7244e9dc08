/** dag-cbor: general values, and the rules blocks of logs are hashed by. */
import { decode as decodeDagCbor, encode as encodeDagCbor } from '@ipld/dag-cbor'
import { malformedCbor } from './cbor-head.ts'
import { ThreadsError } from './errors.ts'

export { canonicalise, MAX_CBOR_BYTES, MAX_CBOR_DEPTH } from './canonical-cbor.ts'
export { cidFromBytes, cidOf, linksTo } from './link.ts'

/** Canonical dag-cbor of plain values, byte arrays, bigints and CIDs. Throws INVALID_ARGUMENT for anything else. */
export function encode(value: unknown): Uint8Array {
  try {
    // A copy: what comes is a piece of a buffer shared with others.
    return new Uint8Array(encodeDagCbor(value))
  } catch (cause) {
    throw new ThreadsError('INVALID_ARGUMENT', 'value cannot be encoded as dag-cbor', { cause })
  }
}

/**
 * Strict dag-cbor: nothing but what `encode` makes. Integers beyond 2^53 come as bigint, floats without fraction as
 * numbers like integers. Throws INVALID_RECORD.
 */
export function decode(bytes: Uint8Array): unknown {
  try {
    return decodeDagCbor(bytes)
  } catch (cause) {
    throw new ThreadsError('INVALID_RECORD', malformedCbor('not strict dag-cbor').message, { cause })
  }
}
