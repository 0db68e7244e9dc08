import type { Action } from './actions.ts'
import { createAction, deleteAction, saveAction } from './actions.ts'
import type { ActionContext } from './actions.ts'
import type { CollectionDefinition } from './definition.ts'
import type { InstanceReader } from './reader.ts'
import type { CollectionSchema } from './schema/compile.ts'

export interface CollectionWritesComponents {
  collection(): CollectionDefinition
  schema(): CollectionSchema
  newId(): string
  modified(): number
  /** Throws WRITE_DENIED if the write validator would refuse these actions now. */
  judge(actions: readonly Action[], reader: InstanceReader): Promise<void>
}

/** Makes the actions of one collection, with the checks that only the author of a write makes. */
export class CollectionWrites {
  readonly #components: CollectionWritesComponents

  constructor(components: CollectionWritesComponents) {
    this.#components = components
  }

  async createAll(documents: readonly Uint8Array[], reader: InstanceReader): Promise<Action[]> {
    const context = this.#context(reader)
    const actions: Action[] = []
    for (const document of documents) actions.push(await createAction(document, context))
    return actions
  }

  async saveAll(documents: readonly Uint8Array[], reader: InstanceReader): Promise<Action[]> {
    const context = this.#context(reader)
    const actions: Action[] = []
    for (const document of documents) actions.push(await saveAction(document, context))
    return actions
  }

  async verify(documents: readonly Uint8Array[], reader: InstanceReader): Promise<void> {
    await this.#components.judge(await this.saveAll(documents, reader), reader)
  }

  /** Deletes of the ids that exist, or that `pending` actions of the same transaction touch. */
  async deleteAll(
    ids: readonly string[],
    seen: { reader: InstanceReader; pending: readonly Action[] },
  ): Promise<Action[]> {
    const { name } = this.#components.collection()
    const touched = new Set(seen.pending.map((action) => action.id))
    const actions: Action[] = []
    for (const id of new Set(ids)) {
      if (touched.has(id) || (await seen.reader.stored(id)) !== undefined) {
        actions.push(deleteAction(id, { collection: name }))
      }
    }
    return actions
  }

  #context(reader: InstanceReader): ActionContext {
    const components = this.#components
    return {
      collection: components.collection().name,
      schema: components.schema(),
      stored: (id) => reader.stored(id),
      served: (id) => reader.served(id),
      newId: () => components.newId(),
      modified: () => components.modified(),
    }
  }
}
