import type { Judge } from './judge.ts'
import type { Position } from './position.ts'
import type { StoredDocument } from './rules.ts'
import type { FoldRecord, FoldState, HistoryEntry, InstanceKey, InstanceState, RefusedRecord } from './state.ts'
import type { ValidatorEntry } from './validator-list.ts'

export interface FoldIo {
  readonly state: FoldState
  readonly judge: Judge
  /** The validator list of a collection; empty if it has none. */
  validators(collection: string): readonly ValidatorEntry[]
  /** Awaited every 100 records, so that a long fold leaves room for other work. */
  pause?(): Promise<void>
}

export interface FoldWork {
  /** Records that were not folded before, of any logs and in any order. */
  readonly records: readonly FoldRecord[]
  /** Each collection at most once. */
  readonly rejudge?: readonly Rejudge[]
  /** Records that were folded before and are to be as if they had never been. */
  readonly withdrawn?: readonly FoldRecord[]
}

/** The validators of a collection changed for records from a time on (ns since 1970). */
export interface Rejudge {
  readonly collection: string
  readonly since: bigint
}

export interface HistoryPut {
  readonly key: InstanceKey
  readonly entry: HistoryEntry
}

export interface InstanceChange {
  readonly key: InstanceKey
  readonly before: InstanceState | undefined
  /** Absent if no record touches the instance any more. */
  readonly after: InstanceState | undefined
  /** The document after it, whose value may be known. */
  readonly document: StoredDocument | undefined
}

/** An entry of a history that is no more. */
export interface HistoryDelete {
  readonly key: InstanceKey
  readonly position: Position
}

/** What to store. */
export interface FoldResult {
  /** Instances whose row is another one. */
  readonly instances: readonly InstanceChange[]
  readonly history: readonly HistoryPut[]
  readonly withdrawn: readonly HistoryDelete[]
  readonly refusals: {
    readonly put: readonly RefusedRecord[]
    /** Records that were refused and are accepted now, or withdrawn. */
    readonly clear: readonly Position[]
  }
}
