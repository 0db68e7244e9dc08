import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../core/abort.ts'
import type { Address } from '../core/address.ts'
import type { Caller } from '../core/caller.ts'
import type { PrivateKey, PublicKey } from '../core/keys.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { ThreadKey } from '../core/thread-key.ts'
import type { WaitReason } from '../net/index.ts'
import type { ChangeKind } from '../store/commit.ts'
import type { ReasonName } from './fold/reasons.ts'
import type { Query } from './query/query.ts'

export { createDb } from './databases.ts'
export { localClient, type LocalClientOptions } from './local-client.ts'
export type { DbOptions } from './options.ts'
export { parseQuery } from './query/parse.ts'
export type { Criterion, Query } from './query/query.ts'
export { checkSchema } from './schema/index.ts'
export { createVerifier, type DatabasesCheck, type DatabaseVerifier } from './verify.ts'

/** A JSON object with a string member `_id`. */
export type Instance = Record<string, unknown>

/** A JSON document: as text, or as UTF-8 bytes. The bytes are the ones stored: they are handed through unparsed. */
export type DocumentBytes = Uint8Array

export interface IndexConfig {
  /** Members joined by dots, through objects only. */
  path: string
  /** Default false. Binds writes of this host only: two hosts may write equal values at once. */
  unique?: boolean
}

export interface CollectionConfig {
  /** Letters and digits, with single hyphens inside. */
  name: string
  /** JSON Schema, as text. Its property `_id` must be a string. */
  schema: string
  indexes?: IndexConfig[]
  /** Body of `function (writer, event, instance)`; empty for none. */
  writeValidator?: string
  /** Body of `function (reader, instance)`; empty for none. */
  readFilter?: string
}

/** A collection as it is stored: the schema normalised, the functions exactly as they were sent. */
export type CollectionInfo = Required<CollectionConfig>

export interface CallOptions extends AbortOptions {
  /** Default: anonymous. */
  caller?: Caller
}

export interface NewDbOptions extends CallOptions {
  /** Default `unnamed`. */
  name?: string
  collections?: CollectionConfig[]
  /** Must have a read part. Default: random. */
  key?: ThreadKey
  logKey?: PrivateKey | PublicKey
}

export interface JoinDbOptions extends NewDbOptions {
  key: ThreadKey
  /** Waits until the records that the peer has now are here and folded. Default false. */
  block?: boolean
}

export interface DbInfo {
  readonly id: ThreadId
  readonly name: string
  readonly key: ThreadKey
  readonly addresses: readonly Address[]
}

/** The databases of a host. */
export interface Databases {
  /** For how long nothing may happen in a transaction, in ms. */
  readonly transactionIdleMs: number
  /** Throws DB_EXISTS, INVALID_NAME, READ_KEY_REQUIRED, and what collections throw; nothing is left behind then. */
  create(id: ThreadId, options?: NewDbOptions): Promise<Database>
  /**
   * Joins a database at an address of one of its hosts. Throws PEER_UNREACHABLE, and what `create` throws. The database
   * stays if `signal` aborts while its first records are waited for.
   */
  join(address: Address, options: JoinDbOptions): Promise<Database>
  /** Throws THREAD_NOT_FOUND, DB_NOT_FOUND. */
  get(id: ThreadId, options?: CallOptions): Promise<Database>
  /** In order of creation. */
  list(options?: CallOptions): Promise<Database[]>
  /** Removes the database and its thread from this host. Its listeners and transactions end. */
  delete(id: ThreadId, options?: CallOptions): Promise<void>
  close(): Promise<void>
}

export interface Database {
  readonly id: ThreadId
  info(options?: CallOptions): Promise<DbInfo>
  createCollection(config: CollectionConfig, options?: CallOptions): Promise<void>
  /** Replaces schema, functions and indexes as a whole. */
  updateCollection(config: CollectionConfig, options?: CallOptions): Promise<void>
  /** Removes the definition and its indexes. The events stay in the logs. */
  deleteCollection(name: string, options?: CallOptions): Promise<void>
  /** Throws COLLECTION_NOT_FOUND. */
  collectionInfo(name: string, options?: CallOptions): Promise<CollectionInfo>
  /** In order of creation. */
  listCollections(options?: CallOptions): Promise<CollectionInfo[]>
  /** Operations on one collection, each in a transaction of its own. Throws COLLECTION_NOT_FOUND. */
  collection(name: string, options?: CallOptions): Collection
  /** A consistent view of one collection. Ends by itself after 10 s idle or 30 s in all. */
  readTransaction(collection: string, options?: CallOptions): Promise<ReadTransaction>
  /** Waits until no other write transaction of the database is open. Ends by itself after 10 s idle or 30 s in all. */
  writeTransaction(collection: string, options?: CallOptions): Promise<WriteTransaction>
  /**
   * Changes of state from now on, in commit order; changes to documents that are hidden from the caller are left out.
   * Ends when the database is deleted. Throws UPDATES_LOST if the listener falls further behind than the journal is kept.
   */
  listen(filters?: readonly ListenFilter[], options?: ListenOptions): AsyncIterable<Update>
  /** Where a listener that begins now begins. */
  resumeToken(): Uint8Array
  /** Records whose events have no effect here, and why; newest first. */
  refusals(options?: RefusalOptions): Promise<Refusal[]>
  /** Records that are not folded yet, the first of each log that waits; of each of its chains, if its owner forked it. */
  waiting(options?: WaitingOptions): Promise<WaitingRecord[]>
  /**
   * Takes in the records of a log that are here and wait because they are ahead of this host's clock. This cannot be
   * undone. Records more than a day ahead go on waiting. Throws NOT_WAITING, CLOCK_SKEW if the first is one of these.
   */
  admit(logId: LogId, options?: CallOptions): Promise<void>
  /**
   * Gives a record up that keeps its log waiting because it cannot be judged or folded: it is refused, for ever, and the
   * log goes on. Hosts that could judge it may show other documents from then on. Throws NOT_WAITING, TOO_LARGE.
   */
  skip(logId: LogId, recordId: CID, options?: CallOptions): Promise<void>
  /**
   * After the clock of this host was far ahead and was set back: records that it wrote ahead of its clock are held here
   * too, as on other hosts, until their time comes. Writing goes on in a new log. Throws NOT_WAITING if there are none,
   * CLOCK_SKEW if this host has taken in records of others that are more than a day ahead.
   */
  resetClock(options?: CallOptions): Promise<void>
  /**
   * Values of a unique index that several documents have, as the caller may see them: two hosts may write equal values
   * at once. Throws COLLECTION_NOT_FOUND, INVALID_INDEX.
   */
  conflicts(collection: string, path: string, options?: ConflictOptions): Promise<ConflictPage>
}

export interface CollectionReader {
  /** True if all ids exist and the caller may see them. */
  has(ids: readonly string[]): Promise<boolean>
  /** Documents in the order the query asks for. */
  find(query: Query): Promise<DocumentBytes[]>
  /** Throws INSTANCE_NOT_FOUND. */
  findById(id: string): Promise<DocumentBytes>
}

export interface CollectionWriter extends CollectionReader {
  /** Takes JSON documents; answers their ids in order. Throws INVALID_INSTANCE, INSTANCE_EXISTS. */
  create(documents: readonly DocumentBytes[]): Promise<string[]>
  save(documents: readonly DocumentBytes[]): Promise<void>
  /** Runs all checks of `save` and the write validator, writes nothing. */
  verify(documents: readonly DocumentBytes[]): Promise<void>
  /** Ids that do not exist are passed over. */
  delete(ids: readonly string[]): Promise<void>
}

export interface Collection extends CollectionWriter {
  /**
   * Changes one document, as the caller may see it, by a JSON Patch (RFC 6902), alone among the writers of the database.
   * Throws INVALID_PATCH, TEST_FAILED if a `test` does not hold, INSTANCE_NOT_FOUND, and what `save` throws.
   */
  patch(id: string, operations: Uint8Array): Promise<void>
}

/** Reads of one state. Throw TRANSACTION_TIMEOUT once the transaction is out of time. */
export interface ReadTransaction extends CollectionReader {
  /** Frees what the transaction holds. Idempotent. */
  close(): Promise<void>
  /** Aborted when the transaction ran out of time, or its database was deleted or closed; the reason says which. */
  readonly expired: AbortSignal
}

/** Collects writes. Reads in it see the committed state only, not its own writes. */
export interface WriteTransaction extends CollectionWriter {
  /** Stores all writes as one record. Throws TRANSACTION_CLOSED after `discard`, TRANSACTION_TIMEOUT after its time. */
  commit(): Promise<void>
  /** Drops the writes. Later reads still answer; `commit` then throws. */
  discard(): void
  /** Gives the lock back without committing. Idempotent; called after `commit` it does nothing. */
  close(): Promise<void>
  /** Aborted when the transaction ran out of time, or its database was deleted or closed; the reason says which. */
  readonly expired: AbortSignal
}

export interface ListenOptions extends CallOptions {
  /** Resume token: only changes after it. Throws UPDATES_LOST if they are not all known, INVALID_ARGUMENT. */
  after?: Uint8Array
}

export interface ListenFilter {
  /** Default: any. */
  collection?: string
  id?: string
  kind?: ChangeKind
}

export interface Update {
  readonly collection: string
  readonly id: string
  readonly kind: ChangeKind
  /** The document after the change, as the caller may see it; absent if deleted. */
  readonly document: DocumentBytes | undefined
  /** With this update all is told up to here. Opaque; of this host and database only. */
  readonly token: Uint8Array
}

export interface RefusalOptions extends AbortOptions {
  /** 1 to 1,000, which is the default. */
  limit?: number
  /** Position of a refusal: only older ones, the nearest of them. */
  before?: Uint8Array
  /** Position of a refusal: only newer ones, the nearest of them. Not with `before`. */
  after?: Uint8Array
}

export interface Refusal {
  readonly logId: LogId
  readonly counter: number
  readonly recordId: CID
  /** In ns since 1970. */
  readonly time: bigint
  readonly code: ReasonName
  /** For people. */
  readonly reason: string
  /** What the record names; nothing if it is not well formed. */
  readonly documents: readonly { collection: string; id: string }[]
  /** Its place among the refusals. */
  readonly position: Uint8Array
}

export interface WaitingOptions extends AbortOptions {
  /** 1 to 1,000, which is the default. */
  limit?: number
  /** Position of a waiting record: only those behind it. */
  after?: string
}

export interface WaitingRecord {
  readonly logId: LogId
  readonly counter: number
  /** Absent if the record cannot be read. */
  readonly recordId: CID | undefined
  /** Records of the log that wait, this one included. */
  readonly records: number
  readonly reason: WaitReason
  /** In ms since 1970; after a restart, the time of the restart. */
  readonly sinceMs: number
  /** Its place in the list. */
  readonly position: string
}

export interface ConflictOptions extends CallOptions {
  /** 1 to 1,000, which is the default. A few more may come, or fewer if they are long. */
  limit?: number
  /** The `next` of the page before. */
  after?: Uint8Array
}

export interface ConflictPage {
  /** In order of value. A page may be short, or empty, and yet have a next one. */
  readonly conflicts: readonly Conflict[]
  /** Absent on the last page. */
  readonly next: Uint8Array | undefined
}

export interface Conflict {
  /** JSON; empty if it is longer than 64 KiB. */
  readonly value: string
  /** The first 1,000 documents that have the value, by id. */
  readonly ids: readonly string[]
}
