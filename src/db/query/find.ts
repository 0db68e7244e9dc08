import { compareBytes, equalBytes } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { ReadView } from '../../store/ordered-store.ts'
import type { IndexDefinition } from '../indexes/definition.ts'
import { encodeComponent } from '../indexes/entry.ts'
import { type JsonValue, parseStored } from '../json.ts'
import { type Candidate, type CandidatePage, candidatePages } from './candidates.ts'
import { matches, matchesAll } from './match.ts'
import { compareValues, kindOf } from './order.ts'
import { ID_PATH, valueAt } from './path.ts'
import { planQuery, type ReadOrder } from './plan.ts'
import type { Query } from './query.ts'
import { Ranking } from './ranking.ts'

/** The collection a query is asked of. */
export interface FindSource {
  readonly view: ReadView
  /** Host-local number. */
  readonly thread: number
  readonly generation: number
  readonly collection: string
  readonly indexes: readonly IndexDefinition[]
  /**
   * Documents as the caller may see them, in the order given; `undefined` for hidden ones. The query is judged on what
   * he may see, so that nobody finds out the rest by asking; indexes then are of no use.
   */
  readonly serve?: (documents: readonly Uint8Array[]) => Promise<readonly (Uint8Array | undefined)[]>
}

interface Found extends Candidate {
  /** What the results are sorted by. */
  readonly value?: JsonValue | undefined
}

/**
 * The documents that match a query, in its order: matched, sorted, then skipped and limited. Stored bytes are answered
 * as they are. Throws INVALID_QUERY if two or more results do not have values of one type where they are to be sorted.
 */
export async function find(query: Query, source: FindSource): Promise<Uint8Array[]> {
  const place = { ...source, filtered: source.serve !== undefined }
  const plan = planQuery(query, place)
  if (plan === undefined) return []
  const { limit = 0 } = query
  const skip = Math.max(query.skip ?? 0, 0)
  const sortPath = place.filtered || query.sort?.path !== ID_PATH ? query.sort?.path : undefined
  const ranking = new Ranking<Found>(limit > 0 ? skip + limit : Number.POSITIVE_INFINITY, resultOrder(query, sortPath))
  const readsDocuments = sortPath !== undefined || !matchesAll(query)
  for await (const page of candidatePages(plan, place)) {
    for (const candidate of await served(page.candidates, source)) {
      if (!readsDocuments) {
        ranking.add(candidate)
        continue
      }
      const document = parseStored(candidate.document)
      if (!matches(query, document)) continue
      ranking.add(sortPath === undefined ? candidate : { ...candidate, value: valueAt(document, sortPath) })
    }
    if (isSettled(ranking, page, plan.order)) break
  }
  const results = ranking.sorted().slice(skip)
  if (sortPath !== undefined) refuseMixedTypes(results)
  return results.map((result) => result.document)
}

async function served(candidates: readonly Candidate[], { serve }: FindSource): Promise<readonly Candidate[]> {
  if (serve === undefined || candidates.length === 0) return candidates
  const documents = await serve(candidates.map((candidate) => candidate.document))
  return candidates.flatMap(({ key }, i) => {
    const document = documents[i]
    return document === undefined ? [] : [{ key, document }]
  })
}

function resultOrder({ sort }: Query, sortPath: string | undefined): (a: Found, b: Found) => number {
  const sign = sort?.desc === true ? -1 : 1
  if (sortPath === undefined) {
    const keySign = sort === undefined ? 1 : sign
    return (a, b) => keySign * compareBytes(a.key, b.key)
  }
  return (a, b) => sign * compareValues(a.value, b.value) || compareBytes(a.key, b.key)
}

/** Whether no later page can change the results. */
function isSettled(ranking: Ranking<Found>, { component }: CandidatePage, order: ReadOrder): boolean {
  if (order === 'other') return false
  const { last } = ranking
  if (last === undefined || order === 'results') return last !== undefined
  // Within one component the order is open: ids ascend where values descend, and long strings are cut.
  return component !== undefined && !equalBytes(encodeComponent(last.value), component)
}

function refuseMixedTypes(results: readonly Found[]): void {
  if (results.length < 2) return
  const [first, ...others] = results.map((result) => typeOf(result.value))
  if (first === undefined || others.some((type) => type !== first)) {
    throw new ThreadsError('INVALID_QUERY', "sorting field doesn't correspond to instance type")
  }
}

/** `undefined` for a value that results cannot be sorted by. */
function typeOf(value: JsonValue | undefined): string | undefined {
  if (typeof value === 'boolean') return 'boolean'
  return value === undefined || value === null ? undefined : kindOf(value)
}
