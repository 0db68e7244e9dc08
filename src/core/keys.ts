import { BoundedCache } from './bounded-cache.ts'
import { bytesKey, concatBytes, copyBytes, equalBytes, fromHex } from './bytes.ts'
import type { Random } from './clock.ts'
import { ed25519PublicKey, ed25519Sign, ed25519Verify, spkiVerifier, type VerifySha256 } from './crypto.ts'
import { ThreadsError } from './errors.ts'
import { decodeKeyMessage, encodeKeyMessage, type KeyMessage, type KeyType } from './key-protobuf.ts'

export interface PublicKey {
  readonly type: KeyType
  /** The 32 bytes of an Ed25519 key, the compressed point of a secp256k1 key, DER of the others. */
  readonly raw: Uint8Array
  /** libp2p protobuf: what peer ids and identities are made of. Shared: must not be changed. */
  readonly encoded: Uint8Array
  /** False for any signature that does not hold, malformed ones included. */
  verify(message: Uint8Array, signature: Uint8Array): boolean
}

/** A key that signs. Only Ed25519 keys are made and read; keys of others may be of any type. */
export interface PrivateKey {
  readonly type: 'ed25519'
  readonly seed: Uint8Array
  /** libp2p protobuf. Shared: must not be changed. */
  readonly encoded: Uint8Array
  readonly publicKey: PublicKey
  sign(message: Uint8Array): Uint8Array
}

const KEY_BYTES = 32
const SECP256K1_POINT_BYTES = 33
/** DER in front of a compressed secp256k1 point (RFC 5480). */
const SECP256K1_SPKI = fromHex('3036301006072a8648ce3d020106052b8104000a032200')

const decoded = new BoundedCache<string, PublicKey>(4096)

/** Reads a libp2p public key. Throws INVALID_KEY. */
export function decodePublicKey(protobuf: Uint8Array): PublicKey {
  const cacheKey = bytesKey(protobuf.subarray(0, 1024))
  const known = protobuf.length <= 1024 ? decoded.get(cacheKey) : undefined
  if (known !== undefined) return known
  const key = publicKeyOf(decodeKeyMessage('PublicKey', protobuf))
  if (protobuf.length <= 1024) decoded.set(cacheKey, key)
  return key
}

/** Reads a libp2p private key; types other than Ed25519 are refused. Throws INVALID_KEY. */
export function decodePrivateKey(protobuf: Uint8Array): PrivateKey {
  const { type, data } = decodeKeyMessage('PrivateKey', protobuf)
  if (type !== 'ed25519') throw new ThreadsError('INVALID_KEY', `private keys of type ${type} are not supported`)
  if (data.length !== 2 * KEY_BYTES && data.length !== 3 * KEY_BYTES) {
    throw new ThreadsError('INVALID_KEY', `expected ed25519 data size to be 64 or 96, got ${data.length}`)
  }
  const publicHalf = copyBytes(data, KEY_BYTES, 2 * KEY_BYTES)
  if (data.length === 3 * KEY_BYTES && !equalBytes(publicHalf, data.subarray(2 * KEY_BYTES))) {
    throw new ThreadsError('INVALID_KEY', 'expected redundant ed25519 public key to be redundant')
  }
  return privateKeyOf(copyBytes(data, 0, KEY_BYTES), publicHalf)
}

export function generateKey(random: Random): PrivateKey {
  return keyFromSeed(random(KEY_BYTES))
}

/** The Ed25519 key of a 32-byte seed. Throws INVALID_KEY for another length. */
export function keyFromSeed(seed: Uint8Array): PrivateKey {
  if (seed.length !== KEY_BYTES) throw new ThreadsError('INVALID_KEY', `seed of ${seed.length} bytes, expected 32`)
  return privateKeyOf(copyBytes(seed), ed25519PublicKey(seed))
}

function privateKeyOf(seed: Uint8Array, publicHalf: Uint8Array): PrivateKey {
  return {
    type: 'ed25519',
    seed,
    encoded: encodeKeyMessage({ type: 'ed25519', data: concatBytes(seed, publicHalf) }),
    publicKey: ed25519Key(publicHalf),
    sign: (message) => ed25519Sign(seed, message),
  }
}

function publicKeyOf(message: KeyMessage): PublicKey {
  const { type, data } = message
  if (type === 'ed25519') return ed25519Key(data)
  if (type !== 'secp256k1') return sha256Key(message, spkiVerifier(data, type === 'rsa' ? 'rsa' : 'ec'))
  if (data.length !== SECP256K1_POINT_BYTES) {
    throw new ThreadsError('INVALID_KEY', 'expect secp256k1 public key data size to be 33')
  }
  return sha256Key(message, spkiVerifier(concatBytes(SECP256K1_SPKI, data), 'ec'))
}

function ed25519Key(raw: Uint8Array): PublicKey {
  if (raw.length !== KEY_BYTES) {
    throw new ThreadsError('INVALID_KEY', 'expect ed25519 public key data size to be 32')
  }
  return {
    type: 'ed25519',
    raw,
    encoded: encodeKeyMessage({ type: 'ed25519', data: raw }),
    verify: (message, signature) => ed25519Verify(raw, message, signature),
  }
}

function sha256Key(message: KeyMessage, verify: VerifySha256): PublicKey {
  return { type: message.type, raw: message.data, encoded: encodeKeyMessage(message), verify }
}
