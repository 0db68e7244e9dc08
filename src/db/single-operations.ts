import type { Action } from './actions.ts'
import type { CollectionWrites } from './collection-writes.ts'
import type { Collection, DocumentBytes } from './index.ts'
import { documentBytes, parseStored } from './json.ts'
import { applyPatch, parsePatch } from './json-patch.ts'
import type { Query } from './query/query.ts'
import type { InstanceReader } from './reader.ts'

/** One operation: its answer, and the actions that must be stored before it is given. */
export type SingleWork<T> = (reader: InstanceReader) => Promise<{ result: T; actions: readonly Action[] }>

export interface SingleOperationsComponents {
  /** Shows what is stored. */
  readonly reader: InstanceReader
  readonly writes: CollectionWrites
  /** Runs `work` on one state that does not change meanwhile. */
  onSnapshot<T>(work: (reader: InstanceReader) => Promise<T>): Promise<T>
  /** Runs `work` alone among the writers of the database, stores its actions, answers when they are durable. */
  write<T>(work: SingleWork<T>): Promise<T>
}

/** Operations that are each a transaction of their own. */
export class SingleOperations implements Collection {
  readonly #components: SingleOperationsComponents

  constructor(components: SingleOperationsComponents) {
    this.#components = components
  }

  has(ids: readonly string[]): Promise<boolean> {
    return this.#components.reader.has(ids)
  }

  find(query: Query): Promise<DocumentBytes[]> {
    return this.#components.onSnapshot((reader) => reader.find(query))
  }

  findById(id: string): Promise<DocumentBytes> {
    return this.#components.reader.findById(id)
  }

  create(documents: readonly DocumentBytes[]): Promise<string[]> {
    return this.#components.write(async (reader) => {
      const actions = await this.#components.writes.createAll(documents, reader)
      return { result: actions.map((action) => action.id), actions }
    })
  }

  save(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#components.write(async (reader) => ({
      result: undefined,
      actions: await this.#components.writes.saveAll(documents, { reader, pending: [] }),
    }))
  }

  verify(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#components.writes.verify(documents, { reader: this.#components.reader, pending: [] })
  }

  patch(id: string, operations: Uint8Array): Promise<void> {
    return this.#components.write(async (reader) => {
      const document = parseStored(await reader.findById(id))
      const patched = documentBytes(applyPatch(document, parsePatch(operations)))
      return {
        result: undefined,
        actions: await this.#components.writes.saveAll([patched], { reader, pending: [] }),
      }
    })
  }

  delete(ids: readonly string[]): Promise<void> {
    return this.#components.write(async (reader) => ({
      result: undefined,
      actions: await this.#components.writes.deleteAll(ids, { reader, pending: [] }),
    }))
  }
}
