/**
 * Compares derived rows with those that the records make, which are made anew in a store of their own. Both are read in
 * order of key, side by side, so that nothing is held in memory. How often a history keeps a document is not compared: it
 * depends on the order in which records came.
 */
import { compareBytes, equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { type KeyLetter, parseKey, rowRange } from '../store/key-codec.ts'
import type { Entry, KeyRange, ReadView } from '../store/ordered-store.ts'
import type { DatabaseDefinition } from './definition.ts'
import { comparePositions, type Position } from './fold/position.ts'
import { documentHash, type HistoryEntry } from './fold/state.ts'
import { decodeHistoryEntry, decodeInstance, decodeRefusal, readHistoryPosition, readInstanceKey } from './rows.ts'

export interface Comparison {
  readonly thread: number
  readonly definition: DatabaseDefinition
  readonly stored: ReadView
  /** Rows as the records make them, of the same thread and generation. */
  readonly made: ReadView
  /** Who wrote a record. */
  writer(position: Position): Promise<Identity | undefined>
  report(what: string, position?: Position): void
}

/** How many rows are stored. */
export interface Compared {
  readonly documents: number
  readonly indexEntries: number
}

export async function compareRows(comparison: Comparison): Promise<Compared> {
  const documents = await compareLetter(comparison, 'd', compareInstance)
  await compareLetter(comparison, 'e', new HistoryComparer(comparison).compare)
  const indexEntries = await compareIndexes(comparison)
  await compareLetter(comparison, 'v', compareRefusal)
  return { documents, indexEntries }
}

/** What is wrong with a stored row beside the one that is made, if anything. */
type Compare = (
  key: Uint8Array,
  stored: Uint8Array,
  made: Uint8Array,
) => string | undefined | Promise<string | undefined>

/** Answers how many rows are stored. */
async function compareLetter(comparison: Comparison, letter: 'd' | 'e' | 'v', compare: Compare): Promise<number> {
  let rows = 0
  for await (const { key, stored, made } of sideBySide(comparison, rangeOf(comparison, letter))) {
    if (stored !== undefined) rows++
    if (made === undefined) comparison.report(`${nameOf(key)} is not what the records make: there is none`)
    else if (stored === undefined) comparison.report(`${nameOf(key)} is missing`)
    else {
      const fault = await readable(() => compare(key, stored, made))
      if (fault !== undefined) comparison.report(`${nameOf(key)} ${fault}`, positionOf(key))
    }
  }
  return rows
}

/** Indexes that are not ready lack entries; those that are not defined are about to be removed. */
async function compareIndexes(comparison: Comparison): Promise<number> {
  const { collections } = comparison.definition
  const indexes = new Map(collections.flatMap((each) => each.indexes.map((index) => [index.number, { each, index }])))
  let rows = 0
  for await (const { key, stored, made } of sideBySide(comparison, rangeOf(comparison, 'x'))) {
    if (stored !== undefined) rows++
    const known = indexes.get(indexOf(key))
    if (known === undefined || (made === undefined) === (stored === undefined)) continue
    const name = `an entry of the index ${known.each.name}.${known.index.fields[0]?.path ?? ''}`
    if (made === undefined) comparison.report(`${name} is not what the records make: there is none`)
    else if (known.index.ready) comparison.report(`${name} is missing`)
  }
  return rows
}

function indexOf(key: Uint8Array): number {
  const parts = parseKey(key)
  parts.number()
  parts.number()
  return parts.number()
}

function rangeOf({ thread, definition }: Comparison, letter: KeyLetter): KeyRange {
  return rowRange(letter, thread, definition.generation)
}

function compareInstance(_key: Uint8Array, storedRow: Uint8Array, madeRow: Uint8Array): string | undefined {
  const stored = decodeInstance(storedRow)
  const made = decodeInstance(madeRow)
  if (comparePositions(stored.position, made.position) !== 0) return 'has another last record than the records make'
  const same = stored.document === made.document || sameBytes(stored.document, made.document)
  if (!same || !equalBytes(stored.hash, made.hash)) return 'is not what the records make'
  return stored.creator === made.creator ? undefined : 'has another creator than the records make'
}

function compareRefusal(key: Uint8Array, storedRow: Uint8Array, madeRow: Uint8Array): string | undefined {
  decodeRefusal(key, storedRow)
  return equalBytes(storedRow, madeRow) ? undefined : 'is not what the records make'
}

/** Compares the entries of histories, in order. Knows who created the document that an entry keeps. */
class HistoryComparer {
  readonly #comparison: Comparison
  /** The last entry that brought a document of the instance into being. */
  #created: { readonly instance: string; readonly position: Position } | undefined

  constructor(comparison: Comparison) {
    this.#comparison = comparison
  }

  readonly compare = async (
    key: Uint8Array,
    storedRow: Uint8Array,
    madeRow: Uint8Array,
  ): Promise<string | undefined> => {
    const stored = decodeHistoryEntry(key, storedRow)
    const made = decodeHistoryEntry(key, madeRow)
    const instance = nameOf(key)
    if (this.#created?.instance !== instance) this.#created = undefined
    if (made.created) this.#created = { instance, position: made.position }
    const same = stored.reason === made.reason && stored.created === made.created && equalBytes(stored.hash, made.hash)
    if (!same) return 'is not what the records make'
    return (await this.#keepsRight(stored)) ? undefined : 'keeps a document that the records do not make'
  }

  async #keepsRight({ kept, hash }: HistoryEntry): Promise<boolean> {
    if (kept === undefined) return true
    if (!equalBytes(documentHash(kept.document), hash)) return false
    if (kept.document === undefined) return kept.creator === undefined
    return this.#created !== undefined && kept.creator === (await this.#comparison.writer(this.#created.position))
  }
}

async function readable(compare: () => ReturnType<Compare>): Promise<string | undefined> {
  try {
    return await compare()
  } catch (error) {
    if (error instanceof ThreadsError) return `cannot be read: ${error.message}`
    throw error
  }
}

interface Side {
  readonly key: Uint8Array
  readonly stored: Uint8Array | undefined
  readonly made: Uint8Array | undefined
}

/** The rows of both stores in order of key. */
async function* sideBySide({ stored, made }: Comparison, range: KeyRange): AsyncGenerator<Side> {
  const left = stored.entries(range)[Symbol.asyncIterator]()
  const right = made.entries(range)[Symbol.asyncIterator]()
  try {
    let a = await next(left)
    let b = await next(right)
    while (a !== undefined || b !== undefined) {
      const order = a === undefined ? 1 : b === undefined ? -1 : compareBytes(a[0], b[0])
      const key = order <= 0 ? a?.[0] : b?.[0]
      if (key === undefined) return
      yield { key, stored: order <= 0 ? a?.[1] : undefined, made: order >= 0 ? b?.[1] : undefined }
      if (order <= 0) a = await next(left)
      if (order >= 0) b = await next(right)
    }
  } finally {
    await left.return?.()
    await right.return?.()
  }
}

async function next(entries: AsyncIterator<Entry>): Promise<Entry | undefined> {
  const result = await entries.next()
  return result.done === true ? undefined : result.value
}

/** The instance or refusal of a row, for people. */
function nameOf(key: Uint8Array): string {
  const { letter } = parseKey(key)
  if (letter === 'v') return 'a refusal'
  try {
    const { collection, id } = readInstanceKey(key)
    return letter === 'd' ? `document ${collection}/${id}` : `an entry in the history of ${collection}/${id}`
  } catch (error) {
    if (error instanceof ThreadsError) return `a row of ${letter} that cannot be read`
    throw error
  }
}

function positionOf(key: Uint8Array): Position | undefined {
  return parseKey(key).letter === 'e' ? readHistoryPosition(key) : undefined
}

function sameBytes(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a !== undefined && b !== undefined && equalBytes(a, b)
}
