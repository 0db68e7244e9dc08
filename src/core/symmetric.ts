import type { Random } from './clock.ts'
import { aesGcmDecrypt, aesGcmEncrypt } from './crypto.ts'
import { ThreadsError } from './errors.ts'

/** 32 random bytes, used with AES-256-GCM. */
export type SymmetricKey = Uint8Array

export const SYMMETRIC_KEY_BYTES = 32
const NONCE_BYTES = 12

/** Encrypts with a fresh nonce: 28 bytes longer than the plaintext. Throws INVALID_KEY. */
export function seal(key: SymmetricKey, plaintext: Uint8Array, random: Random): Uint8Array {
  checkKey(key)
  return aesGcmEncrypt(key, random(NONCE_BYTES), plaintext)
}

/** Opens what `seal` made. Throws INVALID_RECORD if it was made with another key or was changed, INVALID_KEY. */
export function open(key: SymmetricKey, sealed: Uint8Array): Uint8Array {
  checkKey(key)
  if (sealed.length < NONCE_BYTES) throw new ThreadsError('INVALID_RECORD', 'malformed cipher text')
  const plaintext = aesGcmDecrypt(key, sealed)
  if (plaintext === undefined) throw new ThreadsError('INVALID_RECORD', 'cipher: message authentication failed')
  return plaintext
}

function checkKey(key: SymmetricKey): void {
  if (key.length !== SYMMETRIC_KEY_BYTES) throw new ThreadsError('INVALID_KEY', 'invalid key')
}
