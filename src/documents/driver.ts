import type { AbortOptions } from '../core/abort.ts'
import type { ChangeKind, DatabaseInfo, ListenFilter } from './index.ts'

/** Documents as bytes of JSON, of one caller. Signals may be heeded: whoever calls a driver does not wait longer. */
export interface ReaderDriver {
  /** Throws INSTANCE_NOT_FOUND. */
  get(id: string, options: AbortOptions): Promise<Uint8Array>
  has(ids: readonly string[], options: AbortOptions): Promise<boolean>
  /** Takes a query of the wire. */
  find(query: Uint8Array, options: AbortOptions): AsyncIterable<readonly Uint8Array[]>
}

export interface WriterDriver extends ReaderDriver {
  create(documents: readonly Uint8Array[], options: AbortOptions): Promise<string[]>
  save(documents: readonly Uint8Array[], options: AbortOptions): Promise<void>
  verify(documents: readonly Uint8Array[], options: AbortOptions): Promise<void>
  delete(ids: readonly string[], options: AbortOptions): Promise<void>
}

export interface ReadTransactionDriver extends ReaderDriver {
  /** Idempotent. */
  close(): Promise<void>
}

export interface WriteTransactionDriver extends WriterDriver {
  commit(): Promise<void>
  /** Drops the writes. Idempotent; called after `commit` it does nothing. */
  close(): Promise<void>
}

export interface CollectionDriver extends WriterDriver {
  patch(id: string, operations: Uint8Array, options: AbortOptions): Promise<void>
  readTransaction(options: AbortOptions): Promise<ReadTransactionDriver>
  writeTransaction(options: AbortOptions): Promise<WriteTransactionDriver>
}

/** A collection as it travels: the schema as text, functions empty for none. */
export interface DriverConfig {
  readonly name: string
  readonly schema: string
  readonly indexes: { path: string; unique: boolean }[]
  readonly writeValidator: string
  readonly readFilter: string
}

export interface DriverUpdate {
  readonly kind: ChangeKind
  readonly collection: string
  readonly id: string
  /** Absent if deleted. */
  readonly document: Uint8Array | undefined
}

/** What a typed database is made of. */
export interface DatabaseDriver {
  readonly id: string
  info(options: AbortOptions): Promise<DatabaseInfo>
  createCollection(config: DriverConfig, options: AbortOptions): Promise<void>
  updateCollection(config: DriverConfig, options: AbortOptions): Promise<void>
  deleteCollection(name: string, options: AbortOptions): Promise<void>
  listCollections(options: AbortOptions): Promise<readonly DriverConfig[]>
  collection(name: string): CollectionDriver
  /**
   * Resolves when every later change will be told. Ends when the signal aborts or the database is deleted. Throws
   * UPDATES_LOST.
   */
  listen(filters: readonly ListenFilter[], options: AbortOptions): Promise<AsyncIterable<DriverUpdate>>
}
