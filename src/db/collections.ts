import type { Clock } from '../core/clock.ts'
import type { EventData } from '../core/events.ts'
import type { Draft, OwnedThread } from '../net/index.ts'
import type { ReadView } from '../store/ordered-store.ts'
import { checkCollection, collectionExists } from './configure.ts'
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
import { IndexBuilder } from './index-builder.ts'
import { uniqueConflict } from './indexes/maintain.ts'
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
  readonly #indexes: IndexBuilder
  readonly #schemas = new Map<string, CollectionSchema>()

  constructor(components: CollectionRegistryComponents) {
    this.#components = components
    this.#indexes = new IndexBuilder(components.thread)
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
    await this.#indexes.clear(collection.indexes, current)
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
    await this.#indexes.buildMissing(current)
    await this.#indexes.clearUnused(current)
  }

  async #put(config: CollectionConfig, current: () => DatabaseDefinition): Promise<void> {
    const { thread, folder } = this.#components
    const before = current()
    const known = before.collections.find((each) => each.name === config.name)
    const { sandbox } = this.#components
    const { collection, lastIndex } = await checkCollection(config, { sandbox, definition: before, known })
    const { stored } = await thread.write(async (draft) => {
      await this.#indexes.refuseDuplicates(collection, draft.view, before)
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
    await this.#indexes.buildMissing(current)
    const kept = new Set(collection.indexes.map((index) => index.number))
    await this.#indexes.clear(known?.indexes.filter((index) => !kept.has(index.number)) ?? [], current)
  }

  /** The validator from now on; records folded so far keep their verdicts. */
  #rule(validator: string, draft: Draft): { since: bigint; validator: string; judge: string } {
    return { since: stampTime(this.#components.clock.nowMs(), draft.latestTime), validator, judge: JUDGE_VERSION }
  }
}

/** Compiled schemas kept. */
const MAX_SCHEMAS = 1_000
