import { ThreadsError } from '../../core/errors.ts'
import { ID_PATH } from '../query/path.ts'
import type { CollectionSchema } from '../schema/compile.ts'

/** An index as it is stored with its collection. */
export interface IndexDefinition {
  /** Names its entries; never given twice within a database. */
  readonly number: number
  /** At least one. */
  readonly fields: readonly IndexField[]
  readonly unique: boolean
  /** How entries are written. */
  readonly encoding: typeof ENTRY_ENCODING
  /** Whether all instances have their entries. Until then it is kept up to date but serves no query. */
  readonly ready: boolean
}

export interface IndexField {
  readonly path: string
  /** Highest value first. */
  readonly desc: boolean
}

/** The only way of writing entries so far. */
export const ENTRY_ENCODING = 1

/** Longest path, in characters. */
const MAX_PATH_LENGTH = 1_024

/** Checks a wished index and gives it a number; its entries are yet to be made. Throws INVALID_INDEX. */
export function defineIndex(
  schema: CollectionSchema,
  { path, unique = false }: { path: string; unique?: boolean },
  number: number,
): IndexDefinition {
  if (path === ID_PATH) throw invalidIndex('cannot create custom index on _id')
  if (path.length > MAX_PATH_LENGTH) throw invalidIndex(`a path has at most ${MAX_PATH_LENGTH} characters`)
  const type = schema.typeAt(path)
  if (type === undefined) throw invalidIndex('collection schema does not contain path')
  if (type === 'other') throw invalidIndex('value not indexable')
  return { number, fields: [{ path, desc: false }], unique, encoding: ENTRY_ENCODING, ready: false }
}

function invalidIndex(message: string): ThreadsError {
  return new ThreadsError('INVALID_INDEX', message)
}
