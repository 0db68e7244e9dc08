import { decode, encode } from 'cborg'
import { ThreadsError } from '../core/errors.ts'
import type { Change, ChangeKind, Commit, HeadMove } from './commit.ts'

/**
 * A row of the journal: `[offset, thread, [log, from, to, ...], [collection, id, kind, ...]]` in CBOR.
 * `offset` is the sum of the sizes of all rows before it, so that two rows tell how much lies between them.
 */
export interface JournalRow {
  readonly offset: number
  readonly commit: Commit
}

const KINDS: readonly ChangeKind[] = ['created', 'saved', 'deleted']

export function encodeJournalRow(offset: number, commit: Omit<Commit, 'seq'>): Uint8Array {
  const heads: number[] = []
  for (const { log, from, to } of commit.heads) heads.push(log, from, to)
  const changes: (string | number)[] = []
  for (const { collection, id, kind } of commit.changes) changes.push(collection, id, KINDS.indexOf(kind))
  return encode([offset, commit.thread, heads, changes])
}

/** STORE_CORRUPT if the bytes are no journal row. */
export function decodeJournalRow(seq: number, bytes: Uint8Array): JournalRow {
  const row: unknown = decodeRow(bytes)
  if (!Array.isArray(row)) throw malformedRow(seq)
  const [offset, thread, heads, changes]: unknown[] = row
  if (typeof offset !== 'number' || typeof thread !== 'number') throw malformedRow(seq)
  if (!Array.isArray(heads) || !Array.isArray(changes)) throw malformedRow(seq)
  return { offset, commit: { seq, thread, heads: readHeads(seq, heads), changes: readChanges(seq, changes) } }
}

function decodeRow(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

function readHeads(seq: number, fields: readonly unknown[]): HeadMove[] {
  const heads: HeadMove[] = []
  for (let i = 0; i < fields.length; i += 3) {
    const [log, from, to] = fields.slice(i, i + 3)
    if (typeof log !== 'number' || typeof from !== 'number' || typeof to !== 'number') throw malformedRow(seq)
    heads.push({ log, from, to })
  }
  return heads
}

function readChanges(seq: number, fields: readonly unknown[]): Change[] {
  const changes: Change[] = []
  for (let i = 0; i < fields.length; i += 3) {
    const [collection, id, code] = fields.slice(i, i + 3)
    const kind = typeof code === 'number' ? KINDS[code] : undefined
    if (typeof collection !== 'string' || typeof id !== 'string' || kind === undefined) throw malformedRow(seq)
    changes.push({ collection, id, kind })
  }
  return changes
}

function malformedRow(seq: number): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', `row ${seq} of the commit journal cannot be read`)
}
