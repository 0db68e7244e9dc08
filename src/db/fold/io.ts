import type { Judge } from './judge.ts'
import type { Position } from './position.ts'
import type { FoldState, HistoryEntry, InstanceKey, InstanceState, RefusedRecord } from './state.ts'
import type { ValidatorEntry } from './validator-list.ts'

export interface FoldIo {
  readonly state: FoldState
  readonly judge: Judge
  /** The validator list of a collection; empty if it has none. */
  validators(collection: string): readonly ValidatorEntry[]
  /** Awaited every 100 records, so that a long fold leaves room for other work. */
  pause?(): Promise<void>
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
  readonly after: InstanceState
}

/** What to store. */
export interface FoldResult {
  /** Instances whose row is another one. */
  readonly instances: readonly InstanceChange[]
  readonly history: readonly HistoryPut[]
  readonly refusals: {
    readonly put: readonly RefusedRecord[]
    /** Records that were refused and are accepted now. */
    readonly clear: readonly Position[]
  }
}
