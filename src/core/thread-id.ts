import { BoundedCache } from './bounded-cache.ts'
import type { Random } from './clock.ts'
import { ThreadsError } from './errors.ts'
import { decodeMultibase, encodeBase32 } from './multibase.ts'
import { readVarint } from './varint.ts'

declare const brand: unique symbol

/** Names a thread: the canonical text, multibase base32 of version, variant and random bytes. */
export type ThreadId = string & { readonly [brand]: 'ThreadId' }

/** What the id says about the rules of the thread. */
export type ThreadVariant = 'raw' | 'access-controlled'

const VERSION = 1
const RAW = 0x55
const ACCESS_CONTROLLED = 0x70
const RANDOM_BYTES = 32
/** Longest id read. Ids in use have 34 bytes. */
const MAX_BYTES = 1024

const bytesOf = new BoundedCache<string, Uint8Array>(4096)

/** Reads an id in any multibase. Throws INVALID_ID. */
export function parseThreadId(text: string): ThreadId {
  if (text.length < 2) throw new ThreadsError('INVALID_ID', 'id too short')
  return threadIdFromBytes(decodeMultibase(text, 'INVALID_ID'))
}

/** Throws INVALID_ID. */
export function threadIdFromBytes(bytes: Uint8Array): ThreadId {
  checkThreadIdBytes(bytes)
  return encodeBase32(bytes) as ThreadId
}

/** The binary form. Shared: must not be changed. */
export function threadIdToBytes(id: ThreadId): Uint8Array {
  let bytes = bytesOf.get(id)
  if (bytes === undefined) {
    bytes = decodeMultibase(id, 'INVALID_ID')
    bytesOf.set(id, bytes)
  }
  return bytes
}

export function newThreadId(variant: ThreadVariant, random: Random): ThreadId {
  const bytes = new Uint8Array(2 + RANDOM_BYTES)
  bytes[0] = VERSION
  bytes[1] = variant === 'raw' ? RAW : ACCESS_CONTROLLED
  bytes.set(random(RANDOM_BYTES), 2)
  return threadIdFromBytes(bytes)
}

export function variantOf(id: ThreadId): ThreadVariant {
  return checkThreadIdBytes(threadIdToBytes(id))
}

function checkThreadIdBytes(bytes: Uint8Array): ThreadVariant {
  if (bytes.length > MAX_BYTES) throw new ThreadsError('INVALID_ID', `id of more than ${MAX_BYTES} bytes`)
  const version = idVarint(bytes, 0)
  if (version.value !== BigInt(VERSION)) {
    throw new ThreadsError('INVALID_ID', `expected 1 as the id version number, got: ${version.value}`)
  }
  const variant = idVarint(bytes, version.end)
  if (variant.value !== BigInt(RAW) && variant.value !== BigInt(ACCESS_CONTROLLED)) {
    throw new ThreadsError('INVALID_ID', `expected Raw or AccessControlled as the id variant, got: ${variant.value}`)
  }
  if (variant.end === bytes.length) {
    throw new ThreadsError('INVALID_ID', 'expected random id bytes but there are none')
  }
  if (variant.value === BigInt(RAW)) return 'raw'
  // Kept for threads with members and roles: 01 and a 32-byte hash where other ids have random bytes.
  if (bytes.length - variant.end === 33 && bytes[variant.end] === 0x01) {
    throw new ThreadsError('INVALID_ID', 'the thread needs a newer version of this program')
  }
  return 'access-controlled'
}

function idVarint(bytes: Uint8Array, offset: number): { value: bigint; end: number } {
  const varint = readVarint(bytes, offset)
  if (varint === 'short') throw new ThreadsError('INVALID_ID', 'reading varint: buffer too small')
  if (varint === 'long') {
    throw new ThreadsError('INVALID_ID', 'reading varint: varint bigger than 64bits and not supported')
  }
  return varint
}
