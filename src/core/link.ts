/** Content identifiers. Blocks of logs are named by version 1, dag-cbor, sha2-256. */
import { CID } from 'multiformats/cid'
import { Digest } from 'multiformats/hashes/digest'
import { copyBytes, equalBytes } from './bytes.ts'
import { malformedCbor } from './cbor-head.ts'
import { sha256 } from './crypto.ts'
import { ThreadsError } from './errors.ts'

const VERSION = 1
const DAG_CBOR = 0x71
const SHA2_256 = 0x12
const DIGEST_BYTES = 32
const PREFIX_BYTES = 4
const BLOCK_CID_BYTES: number = PREFIX_BYTES + DIGEST_BYTES

/** The CID of a canonical block. Blocks that come from others go through `canonicalise` first. */
export function cidOf(block: Uint8Array): CID {
  return cidOfDigest(sha256(block))
}

/** The CID of a block by its SHA-256. */
export function cidOfDigest(digest: Uint8Array): CID {
  const bytes = new Uint8Array(BLOCK_CID_BYTES)
  bytes[0] = VERSION
  bytes[1] = DAG_CBOR
  bytes[2] = SHA2_256
  bytes[3] = DIGEST_BYTES
  bytes.set(digest, PREFIX_BYTES)
  return blockCid(bytes)
}

/** Reads the binary form. Throws INVALID_ID. */
export function cidFromBytes(bytes: Uint8Array): CID {
  if (isBlockCid(bytes)) return blockCid(copyBytes(bytes))
  try {
    return CID.decode(copyBytes(bytes))
  } catch (cause) {
    throw new ThreadsError('INVALID_ID', 'malformed CID', { cause })
  }
}

/** Reads the content of a CBOR link. Throws INVALID_RECORD. */
export function readLink(content: Uint8Array): CID {
  checkLink(content)
  return cidFromBytes(content.subarray(1))
}

/** Throws INVALID_RECORD unless the content of a CBOR link is a CID after a zero byte. */
export function checkLink(content: Uint8Array): void {
  if (content[0] !== 0) throw malformedCbor('link without leading zero')
  const bytes = content.subarray(1)
  if (isBlockCid(bytes)) return
  try {
    CID.decode(bytes)
  } catch (cause) {
    throw new ThreadsError('INVALID_RECORD', malformedCbor('link that is no CID').message, { cause })
  }
}

/** Whether the content of a CBOR link between two offsets is the CID of a block. */
export function isBlockLink(bytes: Uint8Array, from: number, to: number): boolean {
  return (
    to - from === 1 + BLOCK_CID_BYTES &&
    bytes[from] === 0 &&
    bytes[from + 1] === VERSION &&
    bytes[from + 2] === DAG_CBOR &&
    bytes[from + 3] === SHA2_256 &&
    bytes[from + 4] === DIGEST_BYTES
  )
}

/** Whether this is the CID of a canonical block. */
export function linksTo(cid: CID, block: Uint8Array): boolean {
  return isBlockCid(cid.bytes) && equalBytes(cid.multihash.digest, sha256(block))
}

function isBlockCid(bytes: Uint8Array): boolean {
  return (
    bytes.length === BLOCK_CID_BYTES &&
    bytes[0] === VERSION &&
    bytes[1] === DAG_CBOR &&
    bytes[2] === SHA2_256 &&
    bytes[3] === DIGEST_BYTES
  )
}

/** Put together from its parts: the general constructors take three times as long. */
function blockCid(bytes: Uint8Array): CID {
  const multihash = new Digest(SHA2_256, DIGEST_BYTES, bytes.subarray(PREFIX_BYTES), bytes.subarray(2))
  return new CID(VERSION, DAG_CBOR, multihash, bytes)
}
