import type { CID } from 'multiformats/cid'
import type { Caller } from '../core/caller.ts'
import type { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import type { LogId } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Change, Commit } from '../store/commit.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import type { ChainKey } from './chain-key.ts'

/** A record of a thread, checked and in its place in its log. */
export interface ThreadRecord {
  readonly threadId: ThreadId
  readonly logId: LogId
  /** The chain of the log that the record was read from. */
  readonly chain: ChainKey
  /** 1-based position in the log. */
  readonly counter: number
  readonly cid: CID
  /** The record before it; absent in the first of a log. */
  readonly prev?: CID
  readonly eventCid: CID
  /** Who the record says wrote it; `undefined` if that is no key. Members of a raw thread can claim any identity. */
  readonly author: Identity | undefined
  readonly blocks: RecordBlocks
  /** Decrypted body, or `undefined` if the thread's read key does not open it. */
  readonly body: Uint8Array | undefined
}

/** Where a branch parts from another chain of its log. */
export interface BranchPoint {
  readonly parent: ChainKey
  /** Counter of the last record they share; 0 if they part at the start. */
  readonly base: number
}

/** Where a record stands in its log. */
export interface RecordPlace {
  readonly logId: LogId
  readonly counter: number
  /** SHA-256 digest in the CID of the record: tells records of several chains apart. */
  readonly digest: Uint8Array
}

/** How far the owner has taken a chain of a log. */
export interface Cursor {
  /** Last record folded; 0 for none. */
  readonly counter: number
  /** Largest time of the records up to `counter`, in ns since 1970; 0n for none. */
  readonly time: bigint
}

/** Why a log's cursor stands before its head. */
export type WaitReason =
  | { readonly kind: 'read-key' }
  | { readonly kind: 'clock'; readonly untilMs: number }
  /** A verdict could not be reached. `alone`: on the first record that waits, and not on one behind it. */
  | { readonly kind: 'sandbox'; readonly alone: boolean }
  | { readonly kind: 'transaction' }
  /** The owner makes its rows anew, from the records it has folded. */
  | { readonly kind: 'rebuild' }
  /** Folding failed for no reason that the record gives; it is tried again. `alone` as above. */
  | { readonly kind: 'retry'; readonly alone: boolean }

export interface FoldContext {
  /** Stored state and the batches of this thread that wait to be stored. */
  readonly view: ReadView
  /** Cursors of the chains of these records before this call; none for a branch of which nothing was folded yet. */
  readonly cursors: ReadonlyMap<ChainKey, Cursor>
  /** Records folded before that are to be as if they had never been. What the call makes of the others comes after. */
  readonly withdrawn?: readonly ThreadRecord[]
  /** Record this host writes now: it is admitted at once, and refusing it throws WRITE_DENIED. */
  readonly local: boolean
}

export interface FoldOutcome {
  /** Rows of the owner, stored in the same batch as the cursors. */
  readonly operations: readonly Operation[]
  readonly changes: readonly Change[]
  /** New cursors of the chains that moved. */
  readonly cursors: ReadonlyMap<ChainKey, Cursor>
  /** Chains that stand before their head, and what for. */
  readonly waits: ReadonlyMap<ChainKey, WaitReason>
}

/** A log that stands before its head, or a branch of one. */
export interface WaitingLog {
  readonly logId: LogId
  readonly chain: ChainKey
  /** The record that is to be folded next. */
  readonly counter: number
  /** The newest record of the log. */
  readonly head: number
  readonly reason: WaitReason
  /** In ms since 1970; after a restart, the time of the restart. */
  readonly sinceMs: number
}

/** The owner of a thread's content: turns its records into state. */
export interface App {
  /**
   * Folds records that directly follow the cursors of their chains, several chains at once. Called by one writer at a
   * time. A record that cannot be taken yet leaves the cursor before it; a malformed one is passed over and listed. If
   * something is withdrawn, that is done or the call throws.
   */
  fold(records: readonly ThreadRecord[], context: FoldContext): Promise<FoldOutcome>
  /** Something stored of the thread is not what was written: STORE_CORRUPT says what. May come more than once. */
  damaged?(error: ThreadsError): void
}

/** Work on a thread that becomes one atomic batch. Valid until the function it was handed to returns. */
export interface Draft {
  readonly view: ReadView
  /** Largest time of all records folded into the thread so far, in ns. */
  readonly latestTime: bigint
  put(key: Uint8Array, value: Uint8Array): void
  del(key: Uint8Array): void
  change(change: Change): void
  /**
   * Appends a record with this body to the caller's log, creating the log if there is none, and folds it.
   * Throws WRITE_DENIED if the fold refuses it; the draft is void then.
   */
  append(caller: Caller, body: Uint8Array): Promise<ThreadRecord>
  /** Replaces the owner's member of the thread's row. Any value that CBOR can hold. */
  setAppData(value: unknown): void
  /**
   * Moves a log's cursor back before records that were folded, whose effects the owner takes back in the same batch. If
   * the log is one of this host, whoever wrote it gets a new one.
   */
  holdBack(logId: LogId, cursor: Cursor): void
  /** The owner's rows are made anew, from the records up to these cursors: the thread is not stale any more. */
  rebuilt(cursors: ReadonlyMap<ChainKey, Cursor>): void
}

/** A thread as its owner holds it. */
export interface OwnedThread {
  readonly id: ThreadId
  /** Host-local number, the first component of the owner's keys. */
  readonly number: number
  /** Stored state. */
  readonly reads: ReadView
  /** What `setAppData` was given last, also while it waits to be stored. */
  appData(): unknown
  /** The same as far as it is stored: what fits a snapshot taken now. */
  storedAppData(): unknown
  /** Whether the owner's rows may not fit the records: it must make them anew before it reads them. */
  stale(): boolean
  /** How far each chain is folded. */
  cursors(): ReadonlyMap<ChainKey, Cursor>
  /** Where each branch parts from another chain. */
  branches(): ReadonlyMap<ChainKey, BranchPoint>
  /** Logs that this host has the keys of. */
  ownLogs(): ReadonlySet<LogId>
  /**
   * Runs `work` alone among the writers of the thread. The promise resolves when the batch is prepared, `stored` when it
   * is durable. If `work` throws, nothing is written.
   */
  write<T>(work: (draft: Draft) => Promise<T>): Promise<{ result: T; stored: Promise<Commit | undefined> }>
  /** Logs whose next record waits, in no order. */
  waiting(): WaitingLog[]
  /** Folds what waits; called by the owner when a reason to wait is gone. */
  resume(): Promise<void>
  /** A record of the thread, as `view` shows it (default: what is stored). Throws STORE_CORRUPT if its blocks do not match. */
  record(chain: ChainKey, counter: number, view?: ReadView): Promise<ThreadRecord>
  /** The record of a log that has this id, whichever chain it is in. Throws as `record`, and RECORD_NOT_FOUND. */
  recordOf(place: RecordPlace, view?: ReadView): Promise<ThreadRecord>
  /** Resolves when every batch prepared so far is stored. */
  settled(): Promise<void>
  /** Gives the thread up; it is not folded any more. */
  detach(): void
}
