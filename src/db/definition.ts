/**
 * What a database keeps with its thread: name, collections, validator lists. Plain values, stored as CBOR. A definition
 * is never changed in place: each change makes a new one, stored in the batch that needs it.
 */
import type { CollectionInfo } from './index.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Decisions } from './decisions.ts'
import { FOLD_VERSION } from './fold/constants.ts'
import type { ValidatorEntry } from './fold/validator-list.ts'
import type { IndexDefinition } from './indexes/definition.ts'

export interface CollectionDefinition {
  readonly name: string
  /** As it was given: what documents must satisfy. */
  readonly schema: string
  /** As clients are shown it. */
  readonly shownSchema: string
  readonly indexes: readonly IndexDefinition[]
  readonly writeValidator: string
  readonly readFilter: string
}

export interface DatabaseDefinition {
  readonly kind: 'db'
  readonly name: string
  /** Generation of the derived rows that is in use. */
  readonly generation: number
  /** Fold version that made them. Absent: the first. */
  readonly foldVersion?: number
  /** Highest index number given so far; numbers are not used twice. */
  readonly lastIndex: number
  /** In order of creation. */
  readonly collections: readonly CollectionDefinition[]
  /** Rules of judging of every collection that ever had one; they outlive the collection. */
  readonly validators: readonly { readonly collection: string; readonly list: readonly ValidatorEntry[] }[]
  /** Absent as long as there are none. */
  readonly decisions?: Decisions
}

export function newDefinition(name: string): DatabaseDefinition {
  const rows = { generation: 1, foldVersion: FOLD_VERSION, lastIndex: 0 }
  return { kind: 'db', name, ...rows, collections: [], validators: [] }
}

/** The definition in the owner's member of a thread row; `undefined` if the thread is no database. */
export function readDefinition(appData: unknown): DatabaseDefinition | undefined {
  if (typeof appData !== 'object' || appData === null || !('kind' in appData) || appData.kind !== 'db') return undefined
  const stored = appData as StoredDefinition
  const validators = stored.validators.map(({ collection, list }) => ({
    collection,
    list: list.map((entry) => ({ ...entry, since: BigInt(entry.since) })),
  }))
  return { ...stored, validators }
}

/** As it is read back: CBOR gives small integers as numbers. */
type StoredDefinition = Omit<DatabaseDefinition, 'validators'> & {
  readonly validators: readonly {
    readonly collection: string
    readonly list: readonly (Omit<ValidatorEntry, 'since'> & { readonly since: number | bigint })[]
  }[]
}

/** Throws COLLECTION_NOT_FOUND. */
export function collectionOf(definition: DatabaseDefinition, name: string): CollectionDefinition {
  const found = definition.collections.find((collection) => collection.name === name)
  if (found === undefined) throw new ThreadsError('COLLECTION_NOT_FOUND', 'collection not found')
  return found
}

export function validatorsOf(definition: DatabaseDefinition, collection: string): readonly ValidatorEntry[] {
  return definition.validators.find((each) => each.collection === collection)?.list ?? []
}

export function collectionInfo(collection: CollectionDefinition): CollectionInfo {
  return {
    name: collection.name,
    schema: collection.shownSchema,
    indexes: collection.indexes.map((index) => ({ path: index.fields[0]?.path ?? '', unique: index.unique })),
    writeValidator: collection.writeValidator,
    readFilter: collection.readFilter,
  }
}

/** Adds a collection, or replaces the one of its name, keeping its place. */
export function withCollection(definition: DatabaseDefinition, collection: CollectionDefinition): DatabaseDefinition {
  const { collections } = definition
  const known = collections.some((each) => each.name === collection.name)
  return {
    ...definition,
    collections: known
      ? collections.map((each) => (each.name === collection.name ? collection : each))
      : [...collections, collection],
  }
}

export function withoutCollection(definition: DatabaseDefinition, name: string): DatabaseDefinition {
  return { ...definition, collections: definition.collections.filter((each) => each.name !== name) }
}

/** Puts a validator in force; an empty one ends the rule. The first of a collection holds from the beginning of time. */
export function withValidator(
  definition: DatabaseDefinition,
  collection: string,
  entry: ValidatorEntry,
): DatabaseDefinition {
  const list = validatorsOf(definition, collection)
  if ((list.at(-1)?.validator ?? '') === entry.validator) return definition
  const next = { collection, list: [...list, list.length === 0 ? { ...entry, since: 0n } : entry] }
  return {
    ...definition,
    validators: [...definition.validators.filter((each) => each.collection !== collection), next],
  }
}
