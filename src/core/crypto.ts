/**
 * The only door to the cryptography of the platform. Keys come in as raw bytes; the objects the platform makes of them
 * are kept, because making one costs more than using it.
 */
import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createPrivateKey,
  createPublicKey,
  createSecretKey,
  hash,
  type KeyObject,
  randomFillSync,
  sign,
  verify,
} from 'node:crypto'
import { BoundedCache } from './bounded-cache.ts'
import { bytesKey, concatBytes, copyBytes, fromHex, plainBytes, toHex } from './bytes.ts'
import type { Random } from './clock.ts'
import { ThreadsError } from './errors.ts'

const CACHED_KEYS = 1024
/** DER around the 32 bytes of an Ed25519 key (RFC 8410). */
const ED25519_PKCS8 = fromHex('302e020100300506032b657004220420')
const ED25519_SPKI = fromHex('302a300506032b6570032100')
/**
 * The points of order 8 or less, in all their encodings with the sign bit cleared. Anyone can sign anything for such a
 * key. Versions of OpenSSL differ on them, and hosts must not.
 */
const SMALL_ORDER: ReadonlySet<string> = new Set([
  '0000000000000000000000000000000000000000000000000000000000000000',
  '0100000000000000000000000000000000000000000000000000000000000000',
  '26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05',
  'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
  'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
])
const NONCE_BYTES = 12
const TAG_BYTES = 16

const privateKeys = new BoundedCache<string, KeyObject>(CACHED_KEYS)
const publicKeys = new BoundedCache<string, KeyObject>(CACHED_KEYS)
/** By array, not by content: keys of threads are used again, those of bodies never. */
const secretKeys = new BoundedCache<Uint8Array, KeyObject>(CACHED_KEYS)

/** Asking the platform costs a few microseconds, whatever the number of bytes: small draws share one. */
const pool = new Uint8Array(4096)
const MAX_POOLED_BYTES = 64
let pooled = 0

export const randomBytes: Random = (length) => {
  if (length > MAX_POOLED_BYTES) return randomFillSync(new Uint8Array(length))
  if (pooled < length) {
    randomFillSync(pool)
    pooled = pool.length
  }
  const drawn = copyBytes(pool, pooled - length, pooled)
  // What was handed out may be a key: it stays in no other place.
  pool.fill(0, pooled - length, pooled)
  pooled -= length
  return drawn
}

export function sha256(bytes: Uint8Array): Uint8Array {
  // Twice as fast as asking for a buffer.
  const text = hash('sha256', bytes, 'binary')
  const digest = new Uint8Array(text.length)
  for (let i = 0; i < digest.length; i++) digest[i] = text.charCodeAt(i)
  return digest
}

export function hmacSha256(key: Uint8Array, message: Uint8Array): Uint8Array {
  return plainBytes(createHmac('sha256', key).update(message).digest())
}

/** The 32-byte public key of a 32-byte seed. */
export function ed25519PublicKey(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKeyObject(seed)).export({ type: 'spki', format: 'der' })
  return new Uint8Array(der.subarray(ED25519_SPKI.length))
}

/** The 64-byte signature of RFC 8032 over the message itself. */
export function ed25519Sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return plainBytes(sign(null, message, privateKeyObject(seed)))
}

/** False also for a key that is no point of the curve or one of small order, and for a signature of another length. */
export function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const key = bytesKey(publicKey)
  let object = publicKeys.get(key)
  if (object === undefined) {
    if (hasSmallOrder(publicKey)) return false
    object = createPublicKey({ key: Buffer.from(concatBytes(ED25519_SPKI, publicKey)), format: 'der', type: 'spki' })
    publicKeys.set(key, object)
  }
  return verify(null, message, object, signature)
}

/** Checks a signature over the SHA-256 of a message: ECDSA in DER, or RSA PKCS#1 v1.5. */
export type VerifySha256 = (message: Uint8Array, signature: Uint8Array) => boolean

/** Reads an RSA or EC public key in SubjectPublicKeyInfo DER. Throws INVALID_KEY. */
export function spkiVerifier(der: Uint8Array, kind: 'rsa' | 'ec'): VerifySha256 {
  let key: KeyObject
  try {
    key = createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' })
  } catch (cause) {
    throw new ThreadsError('INVALID_KEY', 'malformed public key', { cause })
  }
  if (key.asymmetricKeyType !== kind) throw new ThreadsError('INVALID_KEY', `expected a public key of type ${kind}`)
  const bits = key.asymmetricKeyDetails?.modulusLength
  if (bits !== undefined && (bits < 2048 || bits > 8192)) {
    throw new ThreadsError('INVALID_KEY', 'rsa keys must have 2048 to 8192 bits')
  }
  return (message, signature) => verify('sha256', message, key, signature)
}

/** AES-256-GCM without additional data: nonce (12 bytes), ciphertext, tag (16 bytes). The key must not be changed later. */
export function aesGcmEncrypt(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-256-gcm', secretKeyObject(key), nonce)
  const sealed = new Uint8Array(NONCE_BYTES + plaintext.length + TAG_BYTES)
  sealed.set(nonce)
  sealed.set(cipher.update(plaintext), NONCE_BYTES)
  cipher.final()
  sealed.set(cipher.getAuthTag(), NONCE_BYTES + plaintext.length)
  return sealed
}

/** Opens what `aesGcmEncrypt` made; `undefined` if it was not made with this key or was changed. */
export function aesGcmDecrypt(key: Uint8Array, sealed: Uint8Array): Uint8Array | undefined {
  const end = sealed.length - TAG_BYTES
  if (end < NONCE_BYTES) return undefined
  const nonce = sealed.subarray(0, NONCE_BYTES)
  const decipher = createDecipheriv('aes-256-gcm', secretKeyObject(key), nonce, { authTagLength: TAG_BYTES })
  decipher.setAuthTag(sealed.subarray(end))
  const plaintext = decipher.update(sealed.subarray(NONCE_BYTES, end))
  try {
    decipher.final()
  } catch {
    return undefined
  }
  return plainBytes(plaintext)
}

function hasSmallOrder(publicKey: Uint8Array): boolean {
  const point = copyBytes(publicKey)
  point[31] = (point[31] ?? 0) & 0x7f
  return SMALL_ORDER.has(toHex(point))
}

/** A cipher made from a key object starts in a third of the time. */
function secretKeyObject(key: Uint8Array): KeyObject {
  let object = secretKeys.get(key)
  if (object === undefined) {
    object = createSecretKey(key)
    secretKeys.set(key, object)
  }
  return object
}

function privateKeyObject(seed: Uint8Array): KeyObject {
  const key = bytesKey(seed)
  let object = privateKeys.get(key)
  if (object === undefined) {
    object = createPrivateKey({ key: Buffer.from(concatBytes(ED25519_PKCS8, seed)), format: 'der', type: 'pkcs8' })
    privateKeys.set(key, object)
  }
  return object
}
