import type { Caller } from '../core/caller.ts'
import { ThreadsError } from '../core/errors.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { CollectionDefinition } from './definition.ts'
import type { CollectionReader, ConflictOptions, ConflictPage, DocumentBytes } from './index.ts'
import { findConflicts } from './indexes/conflicts.ts'
import { pageLimit } from './page.ts'
import { find } from './query/find.ts'
import type { Query } from './query/query.ts'
import { documentOfInstance, instanceKey } from './rows.ts'
import type { Sandbox } from './sandbox/index.ts'

export interface ReaderComponents {
  readonly view: ReadView
  readonly thread: number
  readonly generation: number
  readonly sandbox: Sandbox
  /** The collection as it is now; throws COLLECTION_NOT_FOUND once it is gone. */
  collection(): CollectionDefinition
  readonly caller: Caller
}

/** Reads one collection of a view as its caller may see it. */
export class InstanceReader implements CollectionReader {
  readonly #components: ReaderComponents

  constructor(components: ReaderComponents) {
    this.#components = components
  }

  async has(ids: readonly string[]): Promise<boolean> {
    const { name } = this.#components.collection()
    const { view, thread, generation } = this.#components
    const rows = await view.getMany(ids.map((id) => instanceKey(thread, generation, { collection: name, id })))
    const documents = rows.map((row) => (row === undefined ? undefined : documentOfInstance(row)))
    const found = documents.filter((document) => document !== undefined)
    if (found.length < ids.length) return false
    return (await this.#serve(found)).every((document) => document !== undefined)
  }

  async find(query: Query): Promise<DocumentBytes[]> {
    const { view, thread, generation } = this.#components
    const { name, indexes, readFilter } = this.#components.collection()
    const place = { view, thread, generation, collection: name, indexes }
    return find(query, readFilter === '' ? place : { ...place, serve: (documents) => this.#serve(documents) })
  }

  async findById(id: string): Promise<DocumentBytes> {
    const document = await this.served(id)
    if (document === undefined) throw new ThreadsError('INSTANCE_NOT_FOUND', 'instance not found')
    return document
  }

  /** Throws INVALID_INDEX if there is no unique index of the path, or not yet. */
  async conflicts(path: string, { limit, after }: ConflictOptions): Promise<ConflictPage> {
    const { view, thread, generation } = this.#components
    const { name, indexes } = this.#components.collection()
    const index = indexes.find(({ fields, unique }) => unique && fields[0]?.path === path)
    if (index === undefined) throw new ThreadsError('INVALID_INDEX', `collection has no unique index on ${path}`)
    if (!index.ready) throw new ThreadsError('INVALID_INDEX', `the index on ${path} is being built`)
    const place = { view, thread, generation, collection: name }
    const serve = (documents: readonly Uint8Array[]) => this.#serve(documents)
    return findConflicts(index, place, { limit: pageLimit(limit), after, serve })
  }

  /** The stored document, whoever asks. */
  async stored(id: string): Promise<Uint8Array | undefined> {
    const { view, thread, generation } = this.#components
    const { name } = this.#components.collection()
    const row = await view.get(instanceKey(thread, generation, { collection: name, id }))
    return row === undefined ? undefined : documentOfInstance(row)
  }

  /** The document as the caller may see it. */
  async served(id: string): Promise<Uint8Array | undefined> {
    const document = await this.stored(id)
    return document === undefined ? undefined : this.serve(document)
  }

  async serve(document: Uint8Array): Promise<Uint8Array | undefined> {
    const [served] = await this.#serve([document])
    return served
  }

  async #serve(documents: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const { sandbox, caller } = this.#components
    const { readFilter } = this.#components.collection()
    if (readFilter === '' || documents.length === 0) return [...documents]
    return sandbox.filter(readFilter, caller.identity, documents)
  }
}
