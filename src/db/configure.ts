/** From configurations, as callers give them, to definitions: all that can be checked before anything is written. */
import { ThreadsError } from '../core/errors.ts'
import {
  type CollectionDefinition,
  type DatabaseDefinition,
  newDefinition,
  withCollection,
  withValidator,
} from './definition.ts'
import { COLLECTION_NAME, MAX_COLLECTION_NAME_BYTES } from './fold/constants.ts'
import type { CollectionConfig, IndexConfig, NewDbOptions } from './index.ts'
import { defineIndex, type IndexDefinition } from './indexes/definition.ts'
import { JUDGE_VERSION, type Sandbox } from './sandbox/index.ts'
import { type CollectionSchema, compileSchema, refuseSchemaWithoutId } from './schema/index.ts'

const DEFAULT_NAME = 'unnamed'
/** Indexes of one collection. Each costs every write of the collection. */
const MAX_INDEXES = 100

/**
 * The definition of a database in which nothing is folded yet: its indexes are complete as they are. Throws INVALID_NAME,
 * READ_KEY_REQUIRED, COLLECTION_EXISTS, and what `checkCollection` throws.
 */
export async function defineDatabase(
  { name = '', key, collections = [] }: NewDbOptions,
  sandbox: Sandbox,
): Promise<DatabaseDefinition> {
  if (name !== '' && !isName(name)) throw invalidName()
  if (key !== undefined && key.read === undefined) {
    throw new ThreadsError('READ_KEY_REQUIRED', 'thread read key is required')
  }
  let definition = newDefinition(name === '' ? DEFAULT_NAME : name)
  for (const config of collections) {
    if (definition.collections.some((each) => each.name === config.name)) throw collectionExists()
    const { collection, lastIndex } = await checkCollection(config, { sandbox, definition, known: undefined })
    const indexes = collection.indexes.map((index) => ({ ...index, ready: true }))
    const rule = { since: 0n, validator: collection.writeValidator, judge: JUDGE_VERSION }
    definition = { ...withCollection(definition, { ...collection, indexes }), lastIndex }
    definition = withValidator(definition, collection.name, rule)
  }
  return definition
}

/**
 * Checks a configuration and makes its definition; new indexes are yet to be built. Throws INVALID_NAME, INVALID_SCHEMA,
 * INVALID_FUNCTION, INVALID_INDEX. Order of checks: wire format, section 5.3.
 */
export async function checkCollection(
  config: CollectionConfig,
  context: { sandbox: Sandbox; definition: DatabaseDefinition; known: CollectionDefinition | undefined },
): Promise<{ collection: CollectionDefinition; lastIndex: number }> {
  const { name, writeValidator = '', readFilter = '' } = config
  const schema = compileSchema(config.schema)
  if (!isName(name)) throw invalidName()
  refuseSchemaWithoutId(schema)
  if (writeValidator !== '') await context.sandbox.checkFunction(writeValidator, 'write-validator')
  if (readFilter !== '') await context.sandbox.checkFunction(readFilter, 'read-filter')
  const { lastIndex } = context.definition
  const indexes = defineIndexes(config.indexes ?? [], { schema, lastIndex, known: context.known?.indexes ?? [] })
  const shown = { name, schema: config.schema, shownSchema: schema.stored }
  return {
    collection: { ...shown, indexes, writeValidator, readFilter },
    lastIndex: Math.max(lastIndex, ...indexes.map((index) => index.number)),
  }
}

/** An index that is there already stays; of two with one path the last counts. */
function defineIndexes(
  wished: readonly IndexConfig[],
  { schema, lastIndex, known }: { schema: CollectionSchema; lastIndex: number; known: readonly IndexDefinition[] },
): IndexDefinition[] {
  const byPath = new Map(wished.map((index) => [index.path, index]))
  if (byPath.size > MAX_INDEXES) {
    throw new ThreadsError('INVALID_INDEX', `a collection has at most ${MAX_INDEXES} indexes`)
  }
  let last = lastIndex
  return [...byPath.values()].map((index) => {
    const defined = defineIndex(schema, index, last + 1)
    const kept = known.find(({ fields, unique }) => fields[0]?.path === index.path && unique === defined.unique)
    if (kept === undefined) last++
    return kept ?? defined
  })
}

export function collectionExists(): ThreadsError {
  return new ThreadsError('COLLECTION_EXISTS', 'collection already registered')
}

function isName(name: string): boolean {
  return COLLECTION_NAME.test(name) && name.length <= MAX_COLLECTION_NAME_BYTES
}

function invalidName(): ThreadsError {
  const text =
    'name may only contain alphanumeric characters or non-consecutive hyphens, and cannot begin or end with a hyphen'
  return new ThreadsError('INVALID_NAME', text)
}
