import { ThreadsError } from '../../core/errors.ts'
import type { Judge, JudgeRequest, Verdict } from './judge.ts'
import type { EventRecord } from './record-events.ts'
import { reasonText, REASONS, type ReasonCode } from './reasons.ts'
import type { FoldEvent } from './well-formed.ts'
import { inForce, type ValidatorEntry } from './validator-list.ts'

/** An event that meets a validator. */
export interface JudgedEvent {
  readonly event: FoldEvent
  readonly entry: ValidatorEntry
}

/** What became of a record. */
export interface Decision {
  readonly reason: ReasonCode
  /** For people; empty if accepted. */
  readonly message: string
}

export const ACCEPTED: Decision = { reason: REASONS.accepted, message: '' }

const REFUSALS = { denied: REASONS.denied, threw: REASONS.threw, limit: REASONS.limit } as const

/** Which events of a record meet a validator: the one of their collection in force at the time of the record. */
export function judgedEvents(
  { position, events }: EventRecord,
  validators: (collection: string) => readonly ValidatorEntry[],
): JudgedEvent[] {
  const judged: JudgedEvent[] = []
  for (const event of events) {
    const entry = inForce(validators(event.collection), position.time)
    if (entry !== undefined) judged.push({ event, entry })
  }
  return judged
}

/** Judges several records in one call: one decision for the requests of each. One refused event refuses its record. */
export async function decide(judge: Judge, records: readonly (readonly JudgeRequest[])[]): Promise<Decision[]> {
  const requests = records.flat()
  const verdicts = await judge.judge(requests)
  if (verdicts.length !== requests.length) throw new ThreadsError('INTERNAL', 'the judge left requests unanswered')
  let start = 0
  return records.map(({ length }) => {
    const end = start + length
    const decision = decisionOf(verdicts.slice(start, end))
    start = end
    return decision
  })
}

/** A record that is refused as a whole. */
export function refusedWhole(reason: ReasonCode): Decision {
  return { reason, message: reasonText(reason) }
}

function decisionOf(verdicts: readonly Verdict[]): Decision {
  const refusal = verdicts.find((verdict) => !verdict.accepted)
  if (refusal === undefined || refusal.accepted) return ACCEPTED
  return { reason: REFUSALS[refusal.reason], message: refusal.message }
}
