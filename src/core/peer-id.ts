import { base58btc } from 'multiformats/bases/base58'
import { BoundedCache } from './bounded-cache.ts'
import { bytesKey, concatBytes, copyBytes } from './bytes.ts'
import { sha256 } from './crypto.ts'
import { ThreadsError } from './errors.ts'
import { decodePublicKey, type PublicKey } from './keys.ts'
import { decodeMultibase, isBase58 } from './multibase.ts'
import { readVarint } from './varint.ts'

declare const brand: unique symbol

/** Names the holder of a key pair: base58btc text of the multihash of its public key. */
export type PeerId = string & { readonly [brand]: 'PeerId' }

/** Names a log: the peer id of the log's own key. */
export type LogId = PeerId

const IDENTITY_CODE = 0x00
const SHA256_CODE = 0x12
/** Longest public key that is written into the id instead of being hashed. */
const MAX_INLINE_KEY_BYTES = 42
const LIBP2P_KEY_CODEC = 0x72n
/** Longest id read. Ids in use have 34 to 44 bytes. */
const MAX_BYTES = 256
const MAX_TEXT = 512

const bytesOf = new BoundedCache<string, Uint8Array>(8192)
const textOf = new BoundedCache<string, PeerId>(8192)

/** Reads base58btc, or the text of a CID of codec libp2p-key. Throws INVALID_ID. */
export function parsePeerId(text: string): PeerId {
  if (text.length > MAX_TEXT) throw new ThreadsError('INVALID_ID', `peer id of more than ${MAX_TEXT} characters`)
  if (bytesOf.get(text) !== undefined) return text as PeerId
  try {
    return peerIdFromBytes(multihashOfText(text))
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
    throw new ThreadsError('INVALID_ID', `failed to parse peer ID: ${error.message}`, { cause: error })
  }
}

/** Throws INVALID_ID. */
export function peerIdFromBytes(bytes: Uint8Array): PeerId {
  if (bytes.length > MAX_BYTES) throw new ThreadsError('INVALID_ID', `peer id of more than ${MAX_BYTES} bytes`)
  const key = bytesKey(bytes)
  const known = textOf.get(key)
  if (known !== undefined) return known
  splitMultihash(bytes)
  const id = base58btc.baseEncode(bytes) as PeerId
  textOf.set(key, id)
  bytesOf.set(id, copyBytes(bytes))
  return id
}

/** The multihash. Shared: must not be changed. */
export function peerIdToBytes(id: PeerId): Uint8Array {
  let bytes = bytesOf.get(id)
  if (bytes === undefined) {
    bytes = base58btc.baseDecode(id)
    bytesOf.set(id, bytes)
  }
  return bytes
}

export function peerIdOf(publicKey: PublicKey): PeerId {
  const { encoded } = publicKey
  if (encoded.length <= MAX_INLINE_KEY_BYTES) {
    return peerIdFromBytes(concatBytes(Uint8Array.of(IDENTITY_CODE, encoded.length), encoded))
  }
  const digest = sha256(encoded)
  return peerIdFromBytes(concatBytes(Uint8Array.of(SHA256_CODE, digest.length), digest))
}

/** The key written into the id; `undefined` if the id is a hash of it. Throws INVALID_KEY if it is no key. */
export function publicKeyOfPeer(id: PeerId): PublicKey | undefined {
  const { code, digest } = splitMultihash(peerIdToBytes(id))
  return code === BigInt(IDENTITY_CODE) ? decodePublicKey(digest) : undefined
}

function multihashOfText(text: string): Uint8Array {
  if (text.startsWith('Qm') || text.startsWith('1')) {
    if (!isBase58(text)) throw new ThreadsError('INVALID_ID', "input isn't valid multihash")
    return base58btc.baseDecode(text)
  }
  if (text.length < 2) throw new ThreadsError('INVALID_ID', 'cid too short')
  const cid = decodeMultibase(text, 'INVALID_ID')
  const version = idVarint(cid, 0)
  if (version.value !== 1n) throw new ThreadsError('INVALID_ID', 'expected 1 as the cid version number')
  const codec = idVarint(cid, version.end)
  const multihash = cid.subarray(codec.end)
  if (readMultihash(multihash).end < multihash.length) {
    throw new ThreadsError('INVALID_ID', 'trailing bytes in data buffer passed to cid Cast')
  }
  if (codec.value !== LIBP2P_KEY_CODEC) {
    throw new ThreadsError('INVALID_ID', `can't convert CID of type ${codec.value} to a peer ID`)
  }
  return multihash
}

/** Checks that the bytes are one multihash and nothing else. */
function splitMultihash(bytes: Uint8Array): Multihash {
  const multihash = readMultihash(bytes)
  const { length } = multihash.digest
  if (multihash.end < bytes.length) {
    // Go names the same length twice.
    throw new ThreadsError('INVALID_ID', `multihash length inconsistent: expected ${length}, got ${length}`)
  }
  return multihash
}

interface Multihash {
  readonly code: bigint
  readonly digest: Uint8Array
  /** Offset of the byte after it. */
  readonly end: number
}

function readMultihash(bytes: Uint8Array): Multihash {
  if (bytes.length < 2) throw new ThreadsError('INVALID_ID', 'multihash too short. must be >= 2 bytes')
  const code = idVarint(bytes, 0)
  const length = idVarint(bytes, code.end)
  if (length.value > BigInt(bytes.length - length.end)) {
    throw new ThreadsError('INVALID_ID', 'length greater than remaining number of bytes in buffer')
  }
  const end = length.end + Number(length.value)
  return { code: code.value, digest: bytes.subarray(length.end, end), end }
}

function idVarint(bytes: Uint8Array, offset: number): { value: bigint; end: number } {
  const varint = readVarint(bytes, offset)
  if (varint === 'short' || varint === 'long') throw new ThreadsError('INVALID_ID', 'varints malformed')
  return varint
}
