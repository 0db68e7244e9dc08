import { getPublicKey, hashes, sign } from '@noble/ed25519'
import { sha512 } from '@noble/hashes/sha2.js'
import { concatBytes, copyBytes, equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { decodeKeyMessage, encodeKeyMessage } from '../core/key-protobuf.ts'
import { decodeMultibase, encodeBase32 } from '../core/multibase.ts'
import { randomBytes } from './platform.ts'

// Browsers offer their own only to pages that came over TLS or from the same machine.
hashes.sha512 = sha512

const KEY_BYTES = 32

/** A key pair that signs as a caller. Whatever signs can be one, such as a key that never leaves its device. */
export interface IdentityKey {
  /** The public key, as validators and read filters see it. */
  readonly identity: Identity
  /** Ed25519 signature of the message. */
  sign(message: Uint8Array): Uint8Array | Promise<Uint8Array>
}

/** An identity key in memory. */
export interface SecretIdentityKey extends IdentityKey {
  /** The whole key as text, to be kept secret: `parseIdentityKey` reads it. */
  readonly secret: string
}

export function generateIdentityKey(): SecretIdentityKey {
  return identityKeyOf(randomBytes(KEY_BYTES))
}

/** Reads a secret, or a private key as js-threads writes it. Throws INVALID_KEY. */
export function parseIdentityKey(secret: string): SecretIdentityKey {
  const { type, data } = decodeKeyMessage('PrivateKey', decodeMultibase(secret, 'INVALID_KEY'))
  const key = identityKeyOf(copyBytes(data, 0, KEY_BYTES))
  // Behind the seed there is the public key: a public key alone would pass for a seed that everybody knows.
  if (type !== 'ed25519' || !equalBytes(copyBytes(data, KEY_BYTES, 2 * KEY_BYTES), key.publicKey)) {
    throw new ThreadsError('INVALID_KEY', 'the secret is not that of an Ed25519 key')
  }
  return key
}

function identityKeyOf(seed: Uint8Array): SecretIdentityKey & { readonly publicKey: Uint8Array } {
  if (seed.length !== KEY_BYTES) throw new ThreadsError('INVALID_KEY', 'the secret is too short')
  const publicKey = getPublicKey(seed)
  return {
    publicKey,
    identity: encodeBase32(encodeKeyMessage({ type: 'ed25519', data: publicKey })) as Identity,
    secret: encodeBase32(encodeKeyMessage({ type: 'ed25519', data: concatBytes(seed, publicKey) })),
    sign: (message) => sign(message, seed),
  }
}
