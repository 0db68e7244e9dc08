/**
 * Why a record has no effect. The numbers are stored; they are never given another meaning.
 */
export const REASONS = {
  accepted: 0,
  unreadable: 1,
  undecodable: 2,
  tooManyEvents: 3,
  badCollectionName: 4,
  badId: 5,
  badTimestamp: 6,
  badType: 7,
  badPatch: 8,
  denied: 16,
  threw: 17,
  limit: 18,
  skipped: 32,
} as const

export type ReasonCode = (typeof REASONS)[keyof typeof REASONS]

const TEXTS: Readonly<Record<ReasonCode, string>> = {
  [REASONS.accepted]: 'accepted',
  [REASONS.unreadable]: "the thread's read key does not open the record",
  [REASONS.undecodable]: 'the record does not hold events',
  [REASONS.tooManyEvents]: 'the record has too many events',
  [REASONS.badCollectionName]: 'an event has an invalid collection name',
  [REASONS.badId]: 'an event has an empty or too long instance id',
  [REASONS.badTimestamp]: 'an event has a timestamp out of range',
  [REASONS.badType]: 'an event is neither create, save nor delete',
  [REASONS.badPatch]: 'an event has an invalid document or patch',
  [REASONS.denied]: 'the write validator refused an event',
  [REASONS.threw]: 'the write validator threw an exception',
  [REASONS.limit]: 'the write validator reached its limits',
  [REASONS.skipped]: 'skipped by the operator of this host',
}

/** The reason for programs: a name that keeps its meaning. */
export type ReasonName = keyof typeof REASONS

const NAMES: Readonly<Record<ReasonCode, ReasonName>> = Object.fromEntries(
  Object.entries(REASONS).map(([name, code]) => [code, name]),
) as Record<ReasonCode, ReasonName>

export function reasonName(reason: ReasonCode): ReasonName {
  return NAMES[reason]
}

/** The reason for people. */
export function reasonText(reason: ReasonCode): string {
  return TEXTS[reason]
}

export function isReason(value: number): value is ReasonCode {
  return Object.hasOwn(TEXTS, value)
}
