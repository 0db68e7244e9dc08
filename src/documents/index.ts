/**
 * Databases of typed documents: what programs work with, whether the host runs in them or is a daemon that they call.
 *
 * Every call takes an AbortSignal and rejects with its reason when it aborts; a write may have taken place all the same.
 * Failures are `ThreadsError`s with a code.
 */
import type { FromSchema, JSONSchema } from 'json-schema-to-ts'
import type { AbortOptions } from '../core/abort.ts'
import type { Filter, FindOptions } from './filter.ts'

export { DocumentDatabase } from './database.ts'
export type {
  CollectionDriver,
  DatabaseDriver,
  DriverConfig,
  DriverUpdate,
  ReaderDriver,
  ReadTransactionDriver,
  WriterDriver,
  WriteTransactionDriver,
} from './driver.ts'
export { encodeConfig } from './schema.ts'
export type { Comparison, Condition, Filter, FindOptions, Path, Scalar, Sort } from './filter.ts'

/** A document of which nothing is known. */
export interface AnyDocument {
  readonly [member: string]: unknown
}

/** A document as it is read: with its id, and the time of its last change in ns since 1970, about. */
export type Stored<T> = T & { readonly _id: string; readonly _mod: number }

/** A document to be saved: it has its id. */
export type Identified<T> = T & { readonly _id: string }

/** A document to be created. Without `_id`, or with an empty one, it gets a new id. */
export type NewDocument<T> = { [K in keyof T as K extends '_id' ? never : K]: T[K] } & { readonly _id?: string }

/** What documents of a JSON Schema are: objects. Nothing is known if the schema is not known to the compiler. */
export type DocumentOf<Schema> = JSONSchema extends Schema
  ? AnyDocument
  : Schema & { readonly type: 'object' } extends infer Whole extends JSONSchema
    ? FromSchema<Whole>
    : AnyDocument

export interface CollectionConfig<Schema = object> {
  /** Letters and digits, with single hyphens inside. */
  readonly name: string
  /** JSON Schema. Its property `_id` must be a string. */
  readonly schema: Schema
  /** Default: none. */
  readonly indexes?: readonly IndexConfig[]
  /** Body of `function (writer, event, instance)`. Default: everybody may write. */
  readonly writeValidator?: string
  /** Body of `function (reader, instance)`. Default: everybody may read. */
  readonly readFilter?: string
}

export interface IndexConfig {
  /** Members joined by dots, through objects only. */
  readonly path: string
  /** Binds writes of this host only: two hosts may write equal values at once. @default false */
  readonly unique?: boolean
}

/** A collection as it is stored. */
export type CollectionInfo = Required<CollectionConfig<AnyDocument>>

export interface DatabaseInfo {
  readonly id: string
  readonly name: string
  /** Whoever has it can read and write the database. */
  readonly key: string
  /** Where other hosts can join. */
  readonly addresses: readonly string[]
}

export interface NewDatabaseOptions extends AbortOptions {
  /** Default: a new one. */
  readonly id?: string
  /** Default `unnamed`. */
  readonly name?: string
  /** Key with a read part. Default: a new one. */
  readonly key?: string
  readonly collections?: readonly CollectionConfig[]
}

export interface JoinDatabaseOptions extends AbortOptions {
  /** Of the database: see {@link DatabaseInfo}. */
  readonly key: string
  readonly name?: string
  /** Collections are local: each host names the ones it wants to see. */
  readonly collections?: readonly CollectionConfig[]
  /** Waits until the records that the other host has now are here. @default false */
  readonly block?: boolean
}

/** The databases of a host, as one identity sees them. */
export interface Client extends AsyncDisposable {
  /** Throws DB_EXISTS, INVALID_NAME, INVALID_KEY, and what `createCollection` throws; nothing is left behind then. */
  create(options?: NewDatabaseOptions): Promise<Database>
  /** Joins a database at an address of one of its hosts. Throws PEER_UNREACHABLE, and what `create` throws. */
  join(address: string, options: JoinDatabaseOptions): Promise<Database>
  /** Throws THREAD_NOT_FOUND, DB_NOT_FOUND, INVALID_ID. */
  get(id: string, options?: AbortOptions): Promise<Database>
  /** In order of creation. */
  list(options?: AbortOptions): Promise<DatabaseInfo[]>
  /** Removes a database from this host. Its listeners end. */
  delete(id: string, options?: AbortOptions): Promise<void>
  /** Ends calls, listeners and transactions. The host goes on. */
  close(): Promise<void>
}

export interface Database {
  readonly id: string
  info(options?: AbortOptions): Promise<DatabaseInfo>
  /**
   * The documents have the type that the schema describes, if it is written in the call or `as const`. Throws
   * COLLECTION_EXISTS, INVALID_NAME, INVALID_SCHEMA, INVALID_INDEX, INVALID_FUNCTION.
   */
  createCollection<const Schema>(
    config: CollectionConfig<Schema>,
    options?: AbortOptions,
  ): Promise<Collection<DocumentOf<Schema>>>
  /** Replaces schema, functions and indexes as a whole: what is absent is removed. Throws COLLECTION_NOT_FOUND. */
  updateCollection(config: CollectionConfig, options?: AbortOptions): Promise<void>
  /** Removes the definition and its indexes. The documents are there again if it is created again. */
  deleteCollection(name: string, options?: AbortOptions): Promise<void>
  /** In order of creation. */
  listCollections(options?: AbortOptions): Promise<CollectionInfo[]>
  /** Nothing is asked: calls of a collection that is not there throw COLLECTION_NOT_FOUND. */
  collection<T = AnyDocument>(name: string): Collection<T>
  /** The collection of a config, whose schema says what its documents are. */
  collection<const Schema>(config: CollectionConfig<Schema>): Collection<DocumentOf<Schema>>
  /** Changes of all collections, or those that one of the filters passes. See {@link Collection.listen}. */
  listen(filters?: readonly ListenFilter[], options?: AbortOptions): Promise<Updates<AnyDocument>>
}

export interface CollectionReader<T> {
  /** The document; `undefined` if there is none, or the read filter hides it. */
  get(id: string, options?: AbortOptions): Promise<Stored<T> | undefined>
  /** True if all ids exist and may be seen. */
  has(ids: string | readonly string[], options?: AbortOptions): Promise<boolean>
  /**
   * Nothing is asked before the result is awaited or iterated. Throws INVALID_QUERY; in a transaction of a daemon also
   * TOO_LARGE, for more than 16 MiB.
   */
  find(filter?: Filter<T>, options?: FindOptions<T>): FindResult<T>
}

/**
 * Documents of a query. Awaited, it is asked once and gives a list. Each loop asks anew; documents come as they are
 * read from the host.
 */
export interface FindResult<T> extends PromiseLike<Stored<T>[]>, AsyncIterable<Stored<T>> {}

export interface CollectionWriter<T> extends CollectionReader<T> {
  /** Answers the id. Throws INVALID_INSTANCE, INSTANCE_EXISTS, UNIQUE_VIOLATION, WRITE_DENIED, TOO_LARGE. */
  create(document: NewDocument<T>, options?: AbortOptions): Promise<string>
  /** All or none. Answers the ids in order. */
  create(documents: readonly NewDocument<T>[], options?: AbortOptions): Promise<string[]>
  /** Puts documents, all or none, in place of those of the same ids, if there are any. Throws as `create`. */
  save(documents: Identified<T> | readonly Identified<T>[], options?: AbortOptions): Promise<void>
  /** Runs the checks of `save` and the write validator, and writes nothing. */
  verify(documents: Identified<T> | readonly Identified<T>[], options?: AbortOptions): Promise<void>
  /** Ids that do not exist are passed over. */
  delete(ids: string | readonly string[], options?: AbortOptions): Promise<void>
}

/** Each call is a transaction of its own. */
export interface Collection<T> extends CollectionWriter<T> {
  readonly name: string
  /**
   * Changes one document at the host by a JSON Patch (RFC 6902), all operations or none, while nobody else writes: a
   * `test` makes it compare-and-set. Throws TEST_FAILED, INVALID_PATCH, INSTANCE_NOT_FOUND, and what `save` throws.
   */
  patch(id: string, operations: readonly PatchOperation[], options?: AbortOptions): Promise<void>
  /**
   * Changes from the moment on at which it resolves, in the order of commits. They end when the signal aborts or the
   * database is deleted, and with what is thrown if the host refuses them. A lost connection is taken up again.
   *
   * @example
   * for await (const update of await people.listen()) console.log(update.kind)
   */
  listen(filters?: readonly Omit<ListenFilter, 'collection'>[], options?: AbortOptions): Promise<Updates<T>>
  /** A consistent view. Ends after 10 s without a call or 30 s in all; then calls throw TRANSACTION_TIMEOUT. */
  readTransaction(options?: AbortOptions): Promise<ReadTransaction<T>>
  /** Waits until nobody else writes the database; others wait until it ends. It has as long as a read transaction. */
  writeTransaction(options?: AbortOptions): Promise<WriteTransaction<T>>
}

/** A call that is aborted ends the transaction. Calls throw TRANSACTION_CLOSED when it has ended. */
export interface ReadTransaction<T> extends CollectionReader<T>, AsyncDisposable {
  /** Idempotent, as disposal. */
  close(): Promise<void>
}

/**
 * Writes that are stored together, as one record. Reads in it see the state before it. Disposed without a commit it
 * writes nothing. A call that is aborted ends the transaction. Calls throw TRANSACTION_CLOSED when it has ended.
 *
 * @example
 * await using transaction = await people.writeTransaction()
 * await transaction.create({ name: 'Ada' })
 * await transaction.commit()
 */
export interface WriteTransaction<T> extends CollectionWriter<T>, AsyncDisposable {
  /** Resolves when the writes are durable. If the connection is lost meanwhile nobody knows whether they were stored. */
  commit(): Promise<void>
  /** Drops the writes. Idempotent, as disposal. */
  discard(): Promise<void>
}

export type PatchOperation =
  | { readonly op: 'add' | 'replace' | 'test'; readonly path: string; readonly value: unknown }
  | { readonly op: 'move' | 'copy'; readonly path: string; readonly from: string }
  | { readonly op: 'remove'; readonly path: string }

/** Passes changes that match all members that are set. */
export interface ListenFilter {
  readonly collection?: string
  readonly id?: string
  readonly kind?: ChangeKind
}

export type ChangeKind = 'created' | 'saved' | 'deleted'

/** Changes of documents, each at least once. To be iterated once; leaving the loop ends it. */
export type Updates<T> = AsyncIterableIterator<Update<T>> & AsyncDisposable

export type Update<T> =
  | {
      readonly kind: 'created' | 'saved'
      readonly collection: string
      readonly id: string
      readonly document: Stored<T>
    }
  | { readonly kind: 'deleted'; readonly collection: string; readonly id: string }
  /** Changes were missed, because they were too many or the store was repaired. Read the state; updates go on from here. */
  | { readonly kind: 'resync' }
