import { isCut } from '../indexes/entry.ts'
import { type JsonValue, parseStored } from '../json.ts'
import { type Candidate, withDocuments } from './candidates.ts'
import type { FindSource } from './find.ts'
import { matcherOf } from './match.ts'
import { ID_PATH, readerOf } from './path.ts'
import type { Plan } from './plan.ts'
import type { Query } from './query.ts'

/** An instance that fits a query. */
export interface Found extends Candidate {
  /** What the results are sorted by, where the index does not tell. */
  readonly value?: JsonValue | undefined
}

/** The path whose values results are sorted by; ids have their own order, but where a filter may have changed them. */
export function sortPathOf({ sort }: Query, source: FindSource): string | undefined {
  return source.serve === undefined && sort?.path === ID_PATH ? undefined : sort?.path
}

/** Tells which candidates of a page fit. Reads and parses documents only where their keys do not tell. */
export function judgeOf(
  query: Query,
  plan: Plan,
  source: FindSource,
): (page: readonly Candidate[]) => Promise<readonly Found[]> {
  const matches = plan.decided ? undefined : matcherOf(query)
  const sortPath = sortPathOf(query, source)
  const valueIn = sortPath === undefined || plan.order === 'results' ? undefined : readerOf(sortPath)
  const needsValues = (page: readonly Candidate[]): boolean =>
    valueIn !== undefined && (plan.order === 'other' || page.some(({ component }) => isCut(component)))

  return async (page) => {
    const served = await servedOf(page, source)
    if (matches === undefined && !needsValues(page)) return served
    const found: Found[] = []
    for (const candidate of await withDocuments(served, source.view)) {
      const document = parseStored(candidate.document)
      if (matches !== undefined && !matches(document)) continue
      found.push(valueIn === undefined ? candidate : { ...candidate, value: valueIn(document) })
    }
    return found
  }
}

async function servedOf(page: readonly Candidate[], source: FindSource): Promise<readonly Candidate[]> {
  if (source.serve === undefined || page.length === 0) return page
  const stored = await withDocuments(page, source.view)
  const served = await source.serve(stored.map(({ document }) => document))
  return stored.flatMap((candidate, i) => {
    const document = served[i]
    return document === undefined ? [] : [{ ...candidate, document }]
  })
}
