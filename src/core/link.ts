/** Content identifiers as blocks are named here: version 1, dag-cbor, sha2-256. */
import { CID } from 'multiformats/cid'
import { create as createDigest } from 'multiformats/hashes/digest'
import { malformedCbor } from './cbor-parts.ts'
import { sha256 } from './crypto.ts'
import { ThreadsError } from './errors.ts'

const DAG_CBOR = 0x71
const SHA2_256 = 0x12

/** The CID of a canonical block. Blocks that come from others go through `canonicalise` first. */
export function cidOf(block: Uint8Array): CID {
  return CID.createV1(DAG_CBOR, createDigest(SHA2_256, sha256(block)))
}

/** Reads the binary form. Throws INVALID_ID. */
export function cidFromBytes(bytes: Uint8Array): CID {
  try {
    return CID.decode(bytes)
  } catch (cause) {
    throw new ThreadsError('INVALID_ID', 'malformed CID', { cause })
  }
}

/** Reads the content of a CBOR link. Throws INVALID_RECORD. */
export function readLink(content: Uint8Array): CID {
  if (content[0] !== 0) throw malformedCbor('link without leading zero')
  try {
    return CID.decode(content.slice(1))
  } catch (cause) {
    throw new ThreadsError('INVALID_RECORD', 'malformed CBOR: link that is no CID', { cause })
  }
}
