import type { ReadView } from '../../store/ordered-store.ts'
import type { IndexDefinition } from '../indexes/definition.ts'
import { candidatePages, withDocuments } from './candidates.ts'
import { judgeOf, sortPathOf } from './judge.ts'
import { planQuery } from './plan.ts'
import type { Query } from './query.ts'
import { refuseMixedTypes, resultsOf } from './results.ts'

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

/** How many instances are read at first where many of them may not fit. */
const FEW = 16

/**
 * The documents that match a query, in its order: matched, sorted, then skipped and limited. Stored bytes are answered
 * as they are. Throws INVALID_QUERY if two or more results do not have values of one type where they are to be sorted.
 */
export async function find(query: Query, source: FindSource): Promise<Uint8Array[]> {
  const place = { ...source, filtered: source.serve !== undefined }
  const plan = planQuery(query, place)
  if (plan === undefined) return []
  const skip = Math.max(query.skip ?? 0, 0)
  const limit = query.limit ?? 0
  const end = limit > 0 ? skip + limit : Number.POSITIVE_INFINITY
  const { order } = plan
  const options = { order, sort: query.sort, isByValue: sortPathOf(query, source) !== undefined, end }
  const results = resultsOf(options)
  const judge = judgeOf(query, plan, source)
  for await (const page of candidatePages(plan, place, plan.decided ? end : Math.max(end, FEW))) {
    for (const found of await judge(page)) results.add(found)
    if (results.isComplete) break
  }
  const found = results.all().slice(skip, end)
  refuseMixedTypes(found, options)
  return (await withDocuments(found, source.view)).map(({ document }) => document)
}
