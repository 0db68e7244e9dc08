/** Which tables a LevelDB directory consists of, as its manifest tells (LevelDB's `doc/log_format.md`, `db/version_edit.cc`). */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { joinBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { checksumOf, LevelReader, masked, readUint32 } from './level-bytes.ts'

/** A log consists of pages, and no part of an entry crosses their bounds. */
const PAGE_BYTES = 32 * 1024
/** Checksum, length and type of a part. */
const HEAD_BYTES = 7
/** An entry begins at the first two of these and ends at the first and the last. */
const PARTS = { whole: 1, first: 2, middle: 3, last: 4 } as const

/** Fields of an entry, by number. */
const FIELDS = { comparator: 1, compactPointer: 5, deletedTable: 6, newTable: 7 } as const
/** Log number, next file, last sequence, log before: each is one number. */
const NUMBERS: ReadonlySet<number> = new Set([2, 3, 4, 9])

/** The numbers of the tables in use; `undefined` if nobody can tell, which LevelDB notices too. */
export async function tablesInUse(location: string): Promise<ReadonlySet<number> | undefined> {
  try {
    const current = await readFile(join(location, 'CURRENT'), 'utf8')
    const manifest = /^(MANIFEST-\d+)\n$/.exec(current)?.[1]
    if (manifest === undefined) return undefined
    const tables = new Set<number>()
    for (const entry of entriesOf(await readFile(join(location, manifest)))) applyEntry(entry, tables)
    return tables
  } catch {
    return undefined
  }
}

function applyEntry(entry: Uint8Array, tables: Set<number>): void {
  const reader = new LevelReader(entry)
  while (!reader.atEnd) {
    const field = reader.number()
    // Level of the table, or of the pointer.
    if (field === FIELDS.compactPointer || field === FIELDS.deletedTable || field === FIELDS.newTable) reader.number()
    if (field === FIELDS.comparator || field === FIELDS.compactPointer) reader.bytes(reader.number())
    else if (field === FIELDS.deletedTable) tables.delete(reader.number())
    else if (field === FIELDS.newTable) tables.add(readNewTable(reader))
    else if (NUMBERS.has(field)) reader.number()
    else throw malformed()
  }
}

/** Its number; its size and its first and last key come behind that. */
function readNewTable(reader: LevelReader): number {
  const number = reader.number()
  reader.number()
  for (const _ of ['first', 'last']) reader.bytes(reader.number())
  return number
}

/** Entries of a log. The last one may be cut off: then it was never written. STORE_CORRUPT if another one is damaged. */
function* entriesOf(log: Uint8Array): Generator<Uint8Array> {
  let parts: Uint8Array[] = []
  for (let at = 0; at + HEAD_BYTES <= log.length; ) {
    const left = PAGE_BYTES - (at % PAGE_BYTES)
    if (left < HEAD_BYTES) {
      at += left
      continue
    }
    const end = at + HEAD_BYTES + readUint16(log, at + 4)
    if (end > log.length) return
    const typed = log.subarray(at + 6, end)
    if (masked(checksumOf(typed)) !== readUint32(log, at)) throw malformed()
    const type = typed[0]
    if (type === PARTS.whole || type === PARTS.first) parts = []
    parts.push(typed.subarray(1))
    if (type === PARTS.whole || type === PARTS.last) yield joinBytes(parts)
    at = end
  }
}

function readUint16(bytes: Uint8Array, offset: number): number {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint16(offset, true)
}

function malformed(): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', 'the manifest of LevelDB is damaged')
}
