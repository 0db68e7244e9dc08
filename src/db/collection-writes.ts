import type { Action } from './actions.ts'
import { createAction, deleteAction, refuseTooMany, saveAction } from './actions.ts'
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

/** The committed state, and the actions that wait for the commit of the transaction. */
export interface SeenInTransaction {
  readonly reader: InstanceReader
  readonly pending: readonly Action[]
}

/** Makes the actions of one collection, with the checks that only the author of a write makes. */
export class CollectionWrites {
  readonly #components: CollectionWritesComponents

  constructor(components: CollectionWritesComponents) {
    this.#components = components
  }

  async createAll(documents: readonly Uint8Array[], reader: InstanceReader): Promise<Action[]> {
    refuseTooMany(documents.length)
    const context = this.#context(reader)
    const actions: Action[] = []
    for (const document of documents) actions.push(await createAction(document, context))
    return actions
  }

  /** Saves of documents: what each changes, or all of it if `pending` actions of the same transaction wrote it before. */
  async saveAll(documents: readonly Uint8Array[], seen: SeenInTransaction): Promise<Action[]> {
    refuseTooMany(documents.length)
    const committed = this.#context(seen.reader)
    const deleted = new Set(seen.pending.filter(({ type }) => type === 'delete').map(({ id }) => id))
    const earlier = Map.groupBy(seen.pending, ({ id }) => id)
    const context: ActionContext = {
      ...committed,
      stored: async (id) => (deleted.has(id) ? undefined : committed.stored(id)),
      earlier: (id) => earlier.get(id) ?? [],
    }
    const actions: Action[] = []
    for (const document of documents) {
      const action = await saveAction(document, context)
      actions.push(action)
      const before = earlier.get(action.id)
      if (before === undefined) earlier.set(action.id, [action])
      else before.push(action)
    }
    return actions
  }

  /** Asks the validator as the write of each document would: a create of one that is not there, else a save. */
  async verify(documents: readonly Uint8Array[], seen: SeenInTransaction): Promise<void> {
    const actions: Action[] = []
    for (const save of await this.saveAll(documents, seen)) {
      const exists = (await seen.reader.stored(save.id)) !== undefined
      actions.push(exists ? save : { ...save, type: 'create' })
    }
    await this.#components.judge(actions, seen.reader)
  }

  /** Deletes of the ids that exist, or that `pending` actions of the same transaction touch. */
  async deleteAll(ids: readonly string[], seen: SeenInTransaction): Promise<Action[]> {
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
      earlier: () => [],
      newId: () => components.newId(),
      modified: () => components.modified(),
    }
  }
}
