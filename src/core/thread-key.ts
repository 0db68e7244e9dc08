import { concatBytes, copyBytes, equalBytes } from './bytes.ts'
import type { Random } from './clock.ts'
import { ThreadsError } from './errors.ts'
import { decodeMultibase, encodeBase32 } from './multibase.ts'
import { SYMMETRIC_KEY_BYTES, type SymmetricKey } from './symmetric.ts'

/** The keys of a thread. Whoever has the service key can follow its logs; the read key opens what they say. */
export interface ThreadKey {
  readonly service: SymmetricKey
  readonly read?: SymmetricKey
}

/** Reads a key in any multibase. Throws INVALID_KEY. */
export function parseThreadKey(text: string): ThreadKey {
  return threadKeyFromBytes(decodeMultibase(text, 'INVALID_KEY'))
}

/** The service key, then the read key if there is one. Throws INVALID_KEY for another length. */
export function threadKeyFromBytes(bytes: Uint8Array): ThreadKey {
  const service = copyBytes(bytes, 0, SYMMETRIC_KEY_BYTES)
  if (bytes.length === SYMMETRIC_KEY_BYTES) return { service }
  if (bytes.length === 2 * SYMMETRIC_KEY_BYTES) return { service, read: copyBytes(bytes, SYMMETRIC_KEY_BYTES) }
  throw new ThreadsError('INVALID_KEY', 'invalid key')
}

export function threadKeyToBytes(key: ThreadKey): Uint8Array {
  return key.read === undefined ? copyBytes(key.service) : concatBytes(key.service, key.read)
}

/** Multibase base32. */
export function threadKeyToString(key: ThreadKey): string {
  return encodeBase32(threadKeyToBytes(key))
}

/** A full key: service and read. */
export function newThreadKey(random: Random): ThreadKey {
  return { service: random(SYMMETRIC_KEY_BYTES), read: random(SYMMETRIC_KEY_BYTES) }
}

/** Whether both name the same service key and the same read key, or none. */
export function sameThreadKey(a: ThreadKey, b: ThreadKey): boolean {
  return equalBytes(threadKeyToBytes(a), threadKeyToBytes(b))
}
