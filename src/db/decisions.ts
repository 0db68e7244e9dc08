import { equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ThreadRecord } from '../net/index.ts'

/**
 * What an operator decided about records of a thread. It is stored with the definition and goes into the fold as a given,
 * like validators: whoever folds the same records again comes to the same state.
 */
export interface Decisions {
  /** One for each log: its records up to `counter` are not held for the clock. */
  readonly admitted: readonly { readonly log: LogId; readonly counter: number }[]
  readonly skipped: readonly SkippedRecord[]
}

/** A record that has no effect because an operator passed it over. */
export interface SkippedRecord {
  readonly log: LogId
  readonly counter: number
  /** SHA-256 digest in the CID of the record: it tells records of a fork apart, as positions do. */
  readonly record: Uint8Array
}

type Place = Pick<ThreadRecord, 'logId' | 'counter' | 'cid'>

const NONE: Decisions = { admitted: [], skipped: [] }
/** All of them are looked at for every record that is folded. */
const MAX_SKIPPED = 1_000

export function isAdmitted(decisions: Decisions | undefined, { logId, counter }: Place): boolean {
  return decisions?.admitted.some((each) => each.log === logId && counter <= each.counter) ?? false
}

export function isSkipped(decisions: Decisions | undefined, { logId, counter, cid }: Place): boolean {
  const { digest } = cid.multihash
  const skipped = decisions?.skipped ?? []
  return skipped.some((each) => each.log === logId && each.counter === counter && equalBytes(each.record, digest))
}

export function withAdmitted(decisions: Decisions = NONE, log: LogId, counter: number): Decisions {
  const others = decisions.admitted.filter((each) => each.log !== log)
  return { ...decisions, admitted: [...others, { log, counter }] }
}

/** Takes an admission back: the records of the log are held again. */
export function withoutAdmitted(decisions: Decisions, log: LogId): Decisions {
  return { ...decisions, admitted: decisions.admitted.filter((each) => each.log !== log) }
}

/** Throws TOO_LARGE. */
export function withSkipped(decisions: Decisions = NONE, { logId, counter, cid }: Place): Decisions {
  if (decisions.skipped.length >= MAX_SKIPPED) {
    throw new ThreadsError('TOO_LARGE', `${MAX_SKIPPED} records of this database were passed over already`)
  }
  const skipped = { log: logId, counter, record: cid.multihash.digest }
  return { ...decisions, skipped: [...decisions.skipped, skipped] }
}
