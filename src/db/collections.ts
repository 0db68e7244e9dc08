import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { EventData } from '../core/events.ts'
import type { Draft, OwnedThread } from '../net/index.ts'
import type { KeyRange, ReadView } from '../store/ordered-store.ts'
import { parseKey, rowRange } from '../store/key-codec.ts'
import {
  type CollectionDefinition,
  collectionOf,
  type DatabaseDefinition,
  validatorsOf,
  withCollection,
  withoutCollection,
  withValidator,
} from './definition.ts'
import type { Folder } from './folder.ts'
import type { CollectionConfig } from './index.ts'
import { checkCollection, collectionExists } from './configure.ts'
import type { IndexDefinition } from './indexes/definition.ts'
import { backfill, findDuplicates, uniqueConflict } from './indexes/maintain.ts'
import { JUDGE_VERSION, type Sandbox } from './sandbox/index.ts'
import { type CollectionSchema, compileSchema } from './schema/index.ts'
import { stampTime } from './stamp.ts'

export interface CollectionRegistryComponents {
  readonly thread: OwnedThread
  readonly sandbox: Sandbox
  readonly clock: Clock
  readonly folder: Folder
}

/** Definitions of the collections of a database. Its callers hold the write lock. */
export class CollectionRegistry {
  readonly #components: CollectionRegistryComponents
  readonly #schemas = new Map<string, CollectionSchema>()

  constructor(components: CollectionRegistryComponents) {
    this.#components = components
  }

  /** Throws COLLECTION_EXISTS, and what `checkCollection` throws. */
  async create(config: CollectionConfig, current: () => DatabaseDefinition): Promise<void> {
    if (current().collections.some((each) => each.name === config.name)) throw collectionExists()
    await this.#put(config, current)
  }

  /** Throws COLLECTION_NOT_FOUND, and what `checkCollection` throws. */
  async update(config: CollectionConfig, current: () => DatabaseDefinition): Promise<void> {
    collectionOf(current(), config.name)
    await this.#put(config, current)
  }

  async remove(name: string, current: () => DatabaseDefinition): Promise<void> {
    const { thread } = this.#components
    const collection = collectionOf(current(), name)
    const { stored } = await thread.write(async (draft) => {
      const rule = this.#rule('', draft)
      draft.setAppData(withValidator(withoutCollection(current(), name), name, rule))
    })
    await stored
    await this.#clearIndexes(collection.indexes, current)
  }

  /** The schema of a collection; compiled when it is first used. */
  schemaOf(collection: CollectionDefinition): CollectionSchema {
    const known = this.#schemas.get(collection.schema)
    if (known !== undefined) return known
    if (this.#schemas.size >= MAX_SCHEMAS) this.#schemas.clear()
    const schema = compileSchema(collection.schema)
    this.#schemas.set(collection.schema, schema)
    return schema
  }

  /** Throws UNIQUE_VIOLATION if the events would give two instances one value of a unique index. */
  async refuseConflicts(events: readonly EventData[], view: ReadView, definition: DatabaseDefinition): Promise<void> {
    for (const collection of new Set(events.map((event) => event.collection))) {
      const unique = collectionOf(definition, collection).indexes.filter((index) => index.unique)
      if (unique.length === 0) continue
      await uniqueConflict(
        unique,
        events.filter((event) => event.collection === collection),
        {
          view,
          thread: this.#components.thread.number,
          generation: definition.generation,
          collection,
        },
      )
    }
  }

  /** Finishes changes that were cut off: builds indexes that are not ready, clears those that are gone. */
  async complete(current: () => DatabaseDefinition): Promise<void> {
    await this.#buildIndexes(current)
    await this.#clearUnused(current)
  }

  /** Builds the indexes that are not ready, chunk by chunk, each a batch of its own. */
  async #buildIndexes(current: () => DatabaseDefinition): Promise<void> {
    for (const collection of current().collections) {
      for (const index of collection.indexes) if (!index.ready) await this.#build(collection.name, index, current)
    }
  }

  async #put(config: CollectionConfig, current: () => DatabaseDefinition): Promise<void> {
    const { thread, folder } = this.#components
    const before = current()
    const known = before.collections.find((each) => each.name === config.name)
    const { sandbox } = this.#components
    const { collection, lastIndex } = await checkCollection(config, { sandbox, definition: before, known })
    const { stored } = await thread.write(async (draft) => {
      await this.#refuseDuplicates(collection, draft.view, before)
      const rule = this.#rule(collection.writeValidator, draft)
      const next = withValidator({ ...withCollection(before, collection), lastIndex }, collection.name, rule)
      draft.setAppData(next)
      const list = validatorsOf(next, collection.name)
      const since = list.at(-1)?.since ?? 0n
      if (list === validatorsOf(before, collection.name) || since > draft.latestTime) return
      const refolded = await folder.rejudge({ collection: collection.name, since }, draft.view, next)
      for (const operation of refolded.operations) {
        if (operation.type === 'put') draft.put(operation.key, operation.value)
        else draft.del(operation.key)
      }
      for (const change of refolded.changes) draft.change(change)
    })
    await stored
    await this.#buildIndexes(current)
    const kept = new Set(collection.indexes.map((index) => index.number))
    await this.#clearIndexes(known?.indexes.filter((index) => !kept.has(index.number)) ?? [], current)
  }

  /** The validator from now on; records folded so far keep their verdicts. */
  #rule(validator: string, draft: Draft): { since: bigint; validator: string; judge: string } {
    return { since: stampTime(this.#components.clock.nowMs(), draft.latestTime), validator, judge: JUDGE_VERSION }
  }

  async #refuseDuplicates(
    collection: CollectionDefinition,
    view: ReadView,
    { generation }: DatabaseDefinition,
  ): Promise<void> {
    const { number: thread } = this.#components.thread
    for (const index of collection.indexes) {
      if (!index.unique || index.ready) continue
      const place = { view, thread, generation, collection: collection.name }
      if (await findDuplicates(index, place)) {
        throw new ThreadsError('INVALID_INDEX', "can't create unique index (duplicate instances exist)")
      }
    }
  }

  async #build(collection: string, index: IndexDefinition, current: () => DatabaseDefinition): Promise<void> {
    const { thread } = this.#components
    let after: string | undefined
    do {
      const { result, stored } = await thread.write(async (draft) => {
        const { generation } = current()
        const place = { view: draft.view, thread: thread.number, generation, collection }
        const chunk = await backfill(index, place, after)
        for (const { key, value } of chunk.entries) draft.put(key, value)
        if (chunk.lastId === undefined) draft.setAppData(withReadyIndex(current(), collection, index.number))
        return chunk.lastId
      })
      await stored
      after = result
    } while (after !== undefined)
  }

  /** Clears the entries of indexes that no collection has any more: a crash may have come before they were cleared. */
  async #clearUnused(current: () => DatabaseDefinition): Promise<void> {
    const { thread } = this.#components
    const { generation, collections } = current()
    const used = new Set(collections.flatMap(({ indexes }) => indexes.map((index) => index.number)))
    const range = rowRange('x', thread.number, generation)
    for (let from = range.gte; ; ) {
      const found = await firstKey(thread.reads, { ...range, gte: from, limit: 1 })
      if (found === undefined) return
      const index = indexOfEntry(found)
      if (!used.has(index)) await this.#clearIndex(index, current)
      from = rowRange('x', thread.number, generation, index).lt
    }
  }

  async #clearIndexes(indexes: readonly IndexDefinition[], current: () => DatabaseDefinition): Promise<void> {
    for (const index of indexes) await this.#clearIndex(index.number, current)
  }

  async #clearIndex(index: number, current: () => DatabaseDefinition): Promise<void> {
    const { thread } = this.#components
    const range = { ...rowRange('x', thread.number, current().generation, index), limit: CLEAR_CHUNK }
    for (;;) {
      const { result, stored } = await thread.write(async (draft) => {
        let cleared = 0
        for await (const [key] of draft.view.entries(range)) {
          draft.del(key)
          cleared++
        }
        return cleared
      })
      await stored
      if (result < CLEAR_CHUNK) return
    }
  }
}

/** Compiled schemas kept. */
const MAX_SCHEMAS = 1_000
const CLEAR_CHUNK = 1_000

function withReadyIndex(definition: DatabaseDefinition, name: string, index: number): DatabaseDefinition {
  const collection = definition.collections.find((each) => each.name === name)
  if (collection === undefined) return definition
  const indexes = collection.indexes.map((each) => (each.number === index ? { ...each, ready: true } : each))
  return withCollection(definition, { ...collection, indexes })
}

async function firstKey(view: ReadView, range: KeyRange): Promise<Uint8Array | undefined> {
  for await (const [key] of view.entries(range)) return key
  return undefined
}

/** The number of the index an entry belongs to. */
function indexOfEntry(key: Uint8Array): number {
  const parts = parseKey(key)
  parts.number()
  parts.number()
  return parts.number()
}
