/**
 * The rows of folded state. They begin with the host-local number of the thread and the generation: those of one
 * generation stand complete while the next is being built. `d` is an instance, `e` what a record did
 * to an instance, `v` a refused record. A document is the tail of its row, so that reads hand it on without copying or
 * parsing it.
 */
import { textOfUtf8, utf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { peerIdFromBytes, peerIdToBytes } from '../core/peer-id.ts'
import { parseKey, rowKey, rowRange } from '../store/key-codec.ts'
import type { KeyRange } from '../store/ordered-store.ts'
import { type Position, positionParts, readPosition } from './fold/position.ts'
import { isReason, type ReasonCode } from './fold/reasons.ts'
import { HASH_BYTES, type HistoryEntry, type InstanceKey, type InstanceState } from './fold/state.ts'
import type { RefusedRecord } from './fold/state.ts'

export function instanceKey(thread: number, generation: number, { collection, id }: InstanceKey): Uint8Array {
  return rowKey('d', thread, generation, collection, id)
}

/** All instances of a collection, by id. Rows without a document are among them. */
export function instanceRange(thread: number, generation: number, collection: string): KeyRange {
  return rowRange('d', thread, generation, collection)
}

/** The instance in the key of its row, or of a row of its history. */
export function readInstanceKey(key: Uint8Array): InstanceKey {
  const parts = parseKey(key)
  parts.number()
  parts.number()
  return { collection: parts.text(), id: parts.text() }
}

export function historyKey(thread: number, generation: number, key: InstanceKey, position: Position): Uint8Array {
  return rowKey('e', thread, generation, key.collection, key.id, ...positionParts(position))
}

/** The history of an instance, or its part between two positions, both exclusive. */
export function historyRange(
  thread: number,
  generation: number,
  key: InstanceKey,
  { after, before }: { after?: Position; before?: Position } = {},
): KeyRange {
  const whole = rowRange('e', thread, generation, key.collection, key.id)
  return {
    gte: after === undefined ? whole.gte : behind(historyKey(thread, generation, key, after)),
    lt: before === undefined ? whole.lt : historyKey(thread, generation, key, before),
  }
}

/** The histories of all instances of a collection. */
export function collectionHistoryRange(thread: number, generation: number, collection: string): KeyRange {
  return rowRange('e', thread, generation, collection)
}

export function readHistoryPosition(key: Uint8Array): Position {
  const parts = parseKey(key)
  parts.number()
  parts.number()
  parts.bytes()
  parts.bytes()
  return readPosition(parts)
}

export function refusalKey(thread: number, generation: number, position: Position): Uint8Array {
  return rowKey('v', thread, generation, ...positionParts(position))
}

/** All refused records of a thread, in order of position. */
export function refusalRange(thread: number, generation: number): KeyRange {
  return rowRange('v', thread, generation)
}

const HAS_DOCUMENT = 1
/** Length of the header (2), flags (1), entries since the last kept one (1), hash, time (8), counter (8). */
const INSTANCE_FIXED_BYTES = 2 + 1 + 1 + HASH_BYTES + 8 + 8

export function encodeInstance(state: InstanceState): Uint8Array {
  const { document, position } = state
  const logId = peerIdToBytes(position.logId)
  const creator = state.creator === undefined ? NO_BYTES : utf8(state.creator)
  const headerBytes = INSTANCE_FIXED_BYTES + 6 + logId.length + position.digest.length + creator.length
  const row = new Uint8Array(headerBytes + (document?.length ?? 0))
  const view = viewOf(row)
  view.setUint16(0, headerBytes)
  row[2] = document === undefined ? 0 : HAS_DOCUMENT
  row[3] = state.sinceKept
  row.set(state.hash, 4)
  view.setBigUint64(4 + HASH_BYTES, position.time)
  view.setFloat64(12 + HASH_BYTES, position.counter)
  let offset = INSTANCE_FIXED_BYTES
  for (const part of [logId, position.digest, creator]) {
    view.setUint16(offset, part.length)
    row.set(part, offset + 2)
    offset += 2 + part.length
  }
  if (document !== undefined) row.set(document, headerBytes)
  return row
}

/** Throws STORE_CORRUPT. */
export function decodeInstance(row: Uint8Array): InstanceState {
  try {
    const view = viewOf(row)
    const logId = sized(row, view, INSTANCE_FIXED_BYTES)
    const digest = sized(row, view, logId.end)
    const creator = sized(row, view, digest.end)
    return {
      document: documentOfInstance(row),
      position: {
        time: view.getBigUint64(4 + HASH_BYTES),
        logId: peerIdFromBytes(logId.bytes),
        counter: view.getFloat64(12 + HASH_BYTES),
        digest: digest.bytes,
      },
      hash: row.subarray(4, 4 + HASH_BYTES),
      creator: identityIn(creator.bytes),
      sinceKept: view.getUint8(3),
    }
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'the row of an instance is damaged', { cause })
  }
}

/** The document in the row of an instance, not copied; `undefined` if the instance has none. */
export function documentOfInstance(row: Uint8Array): Uint8Array | undefined {
  if (((row[2] ?? 0) & HAS_DOCUMENT) === 0) return undefined
  return row.subarray(((row[0] ?? 0) << 8) | (row[1] ?? 0))
}

const CREATED = 1
const KEPT = 2
const KEPT_DOCUMENT = 4
/** Reason (1), flags (1), hash. */
const ENTRY_FIXED_BYTES = 2 + HASH_BYTES

/** An entry without its position, which is in the key. */
export function encodeHistoryEntry({ reason, hash, created, kept }: HistoryEntry): Uint8Array {
  const creator = kept?.creator === undefined ? NO_BYTES : utf8(kept.creator)
  const document = kept?.document ?? NO_BYTES
  const keptBytes = kept === undefined ? 0 : 2 + creator.length + document.length
  const row = new Uint8Array(ENTRY_FIXED_BYTES + keptBytes)
  row[0] = reason
  row[1] = (created ? CREATED : 0) | (kept ? KEPT : 0) | (kept?.document ? KEPT_DOCUMENT : 0)
  row.set(hash, 2)
  if (kept !== undefined) {
    viewOf(row).setUint16(ENTRY_FIXED_BYTES, creator.length)
    row.set(creator, ENTRY_FIXED_BYTES + 2)
    row.set(document, ENTRY_FIXED_BYTES + 2 + creator.length)
  }
  return row
}

/** Throws STORE_CORRUPT. */
export function decodeHistoryEntry(key: Uint8Array, row: Uint8Array): HistoryEntry {
  try {
    const reason = reasonIn(row[0])
    const flags = row[1] ?? 0
    const entry = {
      position: readHistoryPosition(key),
      reason,
      hash: row.subarray(2, ENTRY_FIXED_BYTES),
      created: (flags & CREATED) !== 0,
    }
    if ((flags & KEPT) === 0) return entry
    const creator = sized(row, viewOf(row), ENTRY_FIXED_BYTES)
    const document = (flags & KEPT_DOCUMENT) === 0 ? undefined : row.subarray(creator.end)
    return { ...entry, kept: { document, creator: identityIn(creator.bytes) } }
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'a row of the history of an instance is damaged', { cause })
  }
}

/** A refused record without its position, which is in the key. */
export function encodeRefusal({ reason, message, keys }: RefusedRecord): Uint8Array {
  return utf8(JSON.stringify({ reason, message, keys }))
}

/** Throws STORE_CORRUPT. */
export function decodeRefusal(key: Uint8Array, row: Uint8Array): RefusedRecord {
  try {
    const parts = parseKey(key)
    parts.number()
    parts.number()
    const { reason, message, keys }: RefusedRecord = JSON.parse(textOfUtf8(row))
    return { position: readPosition(parts), reason: reasonIn(reason), message, keys }
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'the row of a refused record is damaged', { cause })
  }
}

const NO_BYTES = new Uint8Array(0)

/** The first key after a key. */
function behind(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1)
  next.set(key)
  return next
}

function viewOf(row: Uint8Array): DataView {
  return new DataView(row.buffer, row.byteOffset, row.byteLength)
}

/** A byte string behind its length. */
function sized(row: Uint8Array, view: DataView, offset: number): { bytes: Uint8Array; end: number } {
  const start = offset + 2
  const end = start + view.getUint16(offset)
  if (end > row.length) throw new RangeError('a byte string goes beyond its row')
  return { bytes: row.subarray(start, end), end }
}

function identityIn(bytes: Uint8Array): Identity | undefined {
  return bytes.length === 0 ? undefined : (textOfUtf8(bytes) as Identity)
}

function reasonIn(value: number | undefined): ReasonCode {
  if (value === undefined || !isReason(value)) throw new RangeError(`${value} is no reason`)
  return value
}
