import type { Document, JsonValue } from '../json.ts'
import { compareStrings } from './order.ts'
import { readerOf } from './path.ts'
import type { Comparison, Criterion, Query } from './query.ts'

/** Whether a document fits. */
export type Matcher = (document: Document) => boolean

const HOLDS: Readonly<Record<Comparison, (order: number) => boolean>> = {
  eq: (order) => order === 0,
  ne: (order) => order !== 0,
  gt: (order) => order > 0,
  lt: (order) => order < 0,
  ge: (order) => order >= 0,
  le: (order) => order <= 0,
}

/** Tells which documents fit the criteria of a query. To be made once for all of them. */
export function matcherOf(query: Query): Matcher {
  if (matchesAll(query)) return () => true
  const { ands = [], ors = [] } = query
  const criteria = ands.map(criterionMatcher)
  const alternatives = ors.map(matcherOf)
  if (ands.length > 0) alternatives.unshift((document) => criteria.every((holds) => holds(document)))
  const [only] = alternatives
  if (alternatives.length === 1 && only !== undefined) return only
  return (document) => alternatives.some((matches) => matches(document))
}

/** Whether every document matches. */
export function matchesAll({ ands = [], ors = [] }: Query): boolean {
  return ands.length === 0 && (ors.length === 0 || ors.some(matchesAll))
}

function criterionMatcher({ path, operation, value: given }: Criterion): Matcher {
  const valueIn = readerOf(path)
  const holds = HOLDS[operation]
  return (document) => {
    const order = orderAgainst(valueIn(document), given)
    return order !== undefined && holds(order)
  }
}

/** Below 0 if the value is less; `undefined` if the two cannot be compared. */
function orderAgainst(value: JsonValue | undefined, given: string | number | boolean): number | undefined {
  if (typeof value === 'string') return typeof given === 'string' ? compareStrings(value, given) : undefined
  if (typeof value === 'number') return typeof given === 'number' ? value - given : undefined
  if (typeof value !== 'boolean' || typeof given !== 'boolean') return undefined
  // Clients of go-threads know a boolean that differs as a lesser one, whichever it is.
  return value === given ? 0 : -1
}
