import type { Document, JsonValue } from '../json.ts'
import { compareStrings } from './order.ts'
import { valueAt } from './path.ts'
import type { Comparison, Criterion, Query } from './query.ts'

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
  gt: (order) => order > 0,
  lt: (order) => order < 0,
  ge: (order) => order >= 0,
  le: (order) => order <= 0,
}

/** Whether a document fits the criteria of a query. */
export function matches(query: Query, document: Document): boolean {
  const { ands = [], ors = [] } = query
  if (ands.length === 0 && ors.length === 0) return true
  if (ands.length > 0 && ands.every((criterion) => holds(criterion, document))) return true
  return ors.some((alternative) => matches(alternative, document))
}

/** Whether every document matches. */
export function matchesAll({ ands = [], ors = [] }: Query): boolean {
  return ands.length === 0 && (ors.length === 0 || ors.some(matchesAll))
}

function holds(criterion: Criterion, document: Document): boolean {
  const order = orderAgainst(valueAt(document, criterion.path), criterion.value)
  return order !== undefined && HOLDS[criterion.operation](order)
}

/** Below 0 if the value is less; `undefined` if the two cannot be compared. */
function orderAgainst(value: JsonValue | undefined, given: string | number | boolean): number | undefined {
  if (typeof value === 'string') return typeof given === 'string' ? compareStrings(value, given) : undefined
  if (typeof value === 'number') return typeof given === 'number' ? value - given : undefined
  if (typeof value !== 'boolean' || typeof given !== 'boolean') return undefined
  // Clients of go-threads know a boolean that differs as a lesser one, whichever it is.
  return value === given ? 0 : -1
}
