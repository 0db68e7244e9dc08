import { ThreadsError } from '../core/errors.ts'
import type { OwnedThread } from '../net/index.ts'
import { parseKey, rowRange } from '../store/key-codec.ts'
import type { KeyRange, ReadView } from '../store/ordered-store.ts'
import { type CollectionDefinition, type DatabaseDefinition, withCollection } from './definition.ts'
import type { IndexDefinition } from './indexes/definition.ts'
import { backfill, findDuplicates } from './indexes/maintain.ts'

/** Entries removed in one batch. */
const CLEAR_CHUNK = 1_000

/**
 * Makes the entries of new indexes and removes those of old ones, chunk by chunk, each a batch of its own. A crash leaves
 * a part: it is finished at the next start. Its callers hold the write lock.
 */
export class IndexBuilder {
  readonly #thread: OwnedThread

  constructor(thread: OwnedThread) {
    this.#thread = thread
  }

  /** Throws INVALID_INDEX if a new unique index of the collection would hold a value twice. */
  async refuseDuplicates(
    collection: CollectionDefinition,
    view: ReadView,
    { generation }: DatabaseDefinition,
  ): Promise<void> {
    const { number: thread } = this.#thread
    for (const index of collection.indexes) {
      if (!index.unique || index.ready) continue
      const place = { view, thread, generation, collection: collection.name }
      if (await findDuplicates(index, place)) {
        throw new ThreadsError('INVALID_INDEX', "can't create unique index (duplicate instances exist)")
      }
    }
  }

  /** Builds the indexes that are not ready. */
  async buildMissing(current: () => DatabaseDefinition): Promise<void> {
    for (const collection of current().collections) {
      for (const index of collection.indexes) if (!index.ready) await this.#build(collection.name, index, current)
    }
  }

  /** Clears the entries of indexes that no collection has any more: a crash may have come before they were cleared. */
  async clearUnused(current: () => DatabaseDefinition): Promise<void> {
    const thread = this.#thread
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

  async clear(indexes: readonly IndexDefinition[], current: () => DatabaseDefinition): Promise<void> {
    for (const index of indexes) await this.#clearIndex(index.number, current)
  }

  async #build(collection: string, index: IndexDefinition, current: () => DatabaseDefinition): Promise<void> {
    const thread = this.#thread
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

  async #clearIndex(index: number, current: () => DatabaseDefinition): Promise<void> {
    const thread = this.#thread
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
