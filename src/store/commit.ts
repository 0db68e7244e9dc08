import type { Operation } from './ordered-store.ts'

/** What one atomic batch is made of. */
export interface Batch {
  /** Host-local number of the thread whose overlay shows this batch until it is stored; 0 for rows of the host. */
  readonly thread: number
  /**
   * Called once, during the submission, with the journal sequence number the batch gets. Not called if the batch is
   * refused: this is the place to move on state in memory. If it throws, nothing is queued.
   */
  operations(seq: number): Operation[]
  readonly heads: readonly HeadMove[]
  readonly changes: readonly Change[]
}

/** Records `from + 1` to `to` of a log were added. */
export interface HeadMove {
  /** Host-local number of the log. */
  readonly log: number
  readonly from: number
  readonly to: number
}

export type ChangeKind = 'created' | 'saved' | 'deleted'

/** An instance whose state is another one after the batch. */
export interface Change {
  readonly collection: string
  readonly id: string
  readonly kind: ChangeKind
  /** Document before and after, as JSON bytes. Known while the commit is in memory, absent when it is read back. */
  readonly before?: Uint8Array
  readonly after?: Uint8Array
}

/** A batch that is stored, as the journal tells it. */
export interface Commit {
  /** Dense, ascending, starting at 1 in a new store. */
  readonly seq: number
  readonly thread: number
  readonly heads: readonly HeadMove[]
  readonly changes: readonly Change[]
}
