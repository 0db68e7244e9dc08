import { sha256 } from '../../core/crypto.ts'
import type { Identity } from '../../core/identity.ts'
import type { Position } from './position.ts'
import type { ReasonCode } from './reasons.ts'
import type { Content } from './well-formed.ts'

/** A record as the fold sees it. */
export interface FoldRecord {
  readonly position: Position
  /** Who the record says wrote it. */
  readonly writer: Identity
  readonly content: Content
}

export interface InstanceKey {
  readonly collection: string
  readonly id: string
}

/** An instance that some well-formed record has touched. One without a document stays: its position tells what is late. */
export interface InstanceState {
  /** JSON as it is stored; absent if the instance was deleted or never came into being. */
  readonly document: Uint8Array | undefined
  /** Last well-formed record that touches the instance, refused ones included. */
  readonly position: Position
  /** Of the document; zeros for none. */
  readonly hash: Uint8Array
  /** Writer of the record that brought the document into being; absent if there is no document. */
  readonly creator: Identity | undefined
  /** Entries of the history behind the newest one that keeps its state. */
  readonly sinceKept: number
}

/** What a record did to an instance: one entry for each record and instance it touches. */
export interface HistoryEntry {
  readonly position: Position
  readonly reason: ReasonCode
  /** Of the document after the record; zeros for none. */
  readonly hash: Uint8Array
  /** The record brought the document into being: its writer is the creator. */
  readonly created: boolean
  /** State after the record, in every KEEP_EVERY-th entry or so. */
  readonly kept?: KeptState
}

export interface KeptState {
  readonly document: Uint8Array | undefined
  readonly creator: Identity | undefined
}

/** An entry without its kept state, and whose it is. */
export interface HistoryMark {
  readonly key: InstanceKey
  readonly entry: HistoryEntry
}

export interface RefusedRecord {
  readonly position: Position
  readonly reason: ReasonCode
  readonly message: string
  /** Instances the record touches; none if it is not well formed. */
  readonly keys: readonly InstanceKey[]
}

/** The stored state of a thread, as the fold reads it. It does not change while a fold runs. */
export interface FoldState {
  /** One state or `undefined` for each key, in the order of `keys`. */
  instances(keys: readonly InstanceKey[]): Promise<(InstanceState | undefined)[]>
  /** The first entries after a position, in order, at most `limit`. */
  historyAfter(key: InstanceKey, position: Position, limit: number): Promise<HistoryEntry[]>
  /** The last entries before a position, newest first, at most `limit`. */
  historyBefore(key: InstanceKey, position: Position, limit: number): Promise<HistoryEntry[]>
  /** The entry of each instance at a position; `undefined` for one that has none there. */
  historyAt(keys: readonly InstanceKey[], position: Position): Promise<(HistoryEntry | undefined)[]>
  /** All entries of a collection whose time is at or after `since`, in any order. */
  collectionHistory(collection: string, since: bigint): AsyncIterable<HistoryMark>
  /** A record that was folded before. */
  record(position: Position): Promise<FoldRecord>
}

/** How many history entries there are to one that keeps the state. Bounds what is folded again to know an old state. */
export const KEEP_EVERY = 32

export const HASH_BYTES = 16
export const NO_HASH: Uint8Array = new Uint8Array(HASH_BYTES)

export function documentHash(document: Uint8Array | undefined): Uint8Array {
  return document === undefined ? NO_HASH : sha256(document).subarray(0, HASH_BYTES)
}
