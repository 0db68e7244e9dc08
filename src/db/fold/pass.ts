import type { Identity } from '../../core/identity.ts'
import { applyTouch, type Lane, sameState, type StateMark } from './lane.ts'
import type { Position } from './position.ts'
import { REASONS, type ReasonCode } from './reasons.ts'
import type { Touch } from './record-events.ts'
import { type FoldRecord, type HistoryEntry, KEEP_EVERY, NO_HASH } from './state.ts'

/** A record on its way past one of the instances it touches. */
export interface Passing {
  readonly position: Position
  readonly writer: Identity
  readonly touch: Touch
  readonly reason: ReasonCode
  /** Stored reason; absent for a new record. */
  readonly previous: ReasonCode | undefined
  /** Stored entry, if it is known. Where a record is not new and this is absent, the lane is not dirty. */
  readonly entry: HistoryEntry | undefined
}

/** Moves a lane over a record. Answers the entry to store, unless it is the stored one. */
export function pass(lane: Lane, passing: Passing): HistoryEntry | undefined {
  const { position, writer, touch, reason, entry } = passing
  const { after, created } =
    reason === REASONS.accepted ? applyTouch(lane.state, touch, writer) : { after: lane.state, created: false }
  const stored = storedOutcome(lane, passing)
  const same = sameState(after, stored.after)
  lane.at = position
  lane.last = position
  lane.state = after
  lane.stored = same ? after : stored.after
  if (same && created === stored.created && reason === passing.previous) {
    lane.sinceKept = entry?.kept === undefined ? lane.sinceKept + 1 : 0
    return undefined
  }
  const { hash } = after
  if (lane.sinceKept + 1 < KEEP_EVERY) {
    lane.sinceKept += 1
    return { position, reason, hash, created }
  }
  lane.sinceKept = 0
  return { position, reason, hash, created, kept: { document: after.document?.bytes, creator: after.creator } }
}

/** Moves a lane over the place of a record that is withdrawn. */
export function passWithdrawn(lane: Lane, { position, writer }: FoldRecord, entry: HistoryEntry): void {
  const stored = markAfter(lane, writer, entry)
  lane.at = position
  lane.stored = sameState(lane.state, stored) ? lane.state : stored
}

/** What is stored for the place behind the record. */
function storedOutcome(lane: Lane, passing: Passing): { after: StateMark; created: boolean } {
  const { entry, previous, writer, touch } = passing
  if (previous === undefined) return { after: lane.stored, created: false }
  if (entry === undefined) {
    return previous === REASONS.accepted
      ? applyTouch(lane.state, touch, writer)
      : { after: lane.stored, created: false }
  }
  return { after: markAfter(lane, writer, entry), created: entry.created }
}

function markAfter(lane: Lane, writer: Identity, { hash, created }: HistoryEntry): StateMark {
  const absent = sameState({ hash, creator: undefined }, { hash: NO_HASH, creator: undefined })
  const creator = created ? writer : lane.stored.creator
  return { hash, creator: absent ? undefined : creator }
}
