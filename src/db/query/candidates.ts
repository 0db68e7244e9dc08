import { EMPTY_BYTES, equalBytes } from '../../core/bytes.ts'
import type { KeyRange, ReadView } from '../../store/ordered-store.ts'
import { documentOfInstance } from '../rows.ts'
import { EntryReader } from './entry-reader.ts'
import type { Plan, PlanPlace } from './plan.ts'

/** An instance that may be a result. */
export interface Candidate {
  /** Of the row; orders as the id does. */
  readonly key: Uint8Array
  /** The value, as the entry of the index has it; empty without an index. */
  readonly component: Uint8Array
  /** As it is stored. Those that an index leads to are not read yet. */
  readonly document?: Uint8Array
}

export interface LoadedCandidate extends Candidate {
  readonly document: Uint8Array
}

/** A page of rows has at most so many, and ends with the document with which it has more bytes. */
const PAGE_ROWS = 256
const PAGE_BYTES = 1024 * 1024
/** Entries of a page. It is not known how large their documents are. */
const PAGE_ENTRIES = 64

/**
 * The instances a plan leads to, in the order it says. Deleted ones are passed over. `wanted` says how many may be
 * enough, from 1.
 */
export function candidatePages(
  plan: Plan,
  place: PlanPlace & { readonly view: ReadView },
  wanted: number,
): AsyncIterable<readonly Candidate[]> {
  const { view } = place
  const first = Math.min(wanted, PAGE_ROWS)
  if (plan.index === undefined) return rowPages({ ...plan.instances, first }, view)
  const range = { ...plan.index.range, keysOnly: true, first }
  const reading = { range, entries: new EntryReader(plan, plan.index, place), view }
  return plan.order === 'index' && range.reverse === true ? descendingPages(reading) : entryPages(reading)
}

/** The candidates with their documents, read where they are missing. Those that have none are left out. */
export async function withDocuments(
  candidates: readonly Candidate[],
  view: ReadView,
): Promise<readonly LoadedCandidate[]> {
  if (candidates.every(isLoaded)) return candidates
  const loaded: LoadedCandidate[] = []
  for (let start = 0; start < candidates.length; start += PAGE_ENTRIES) {
    const page = candidates.slice(start, start + PAGE_ENTRIES)
    const rows = await view.getMany(page.map(({ key }) => key))
    for (const [i, candidate] of page.entries()) {
      const row = rows[i]
      const document = row && documentOfInstance(row)
      if (document !== undefined) loaded.push({ key: candidate.key, component: candidate.component, document })
    }
  }
  return loaded
}

function isLoaded(candidate: Candidate): candidate is LoadedCandidate {
  return candidate.document !== undefined
}

async function* rowPages(range: KeyRange & { first: number }, view: ReadView): AsyncGenerator<Candidate[]> {
  let page: Candidate[] = []
  let bytes = 0
  let size = range.first
  for await (const [key, row] of view.entries(range)) {
    const document = documentOfInstance(row)
    if (document === undefined) continue
    page.push({ key, component: EMPTY_BYTES, document })
    bytes += document.length
    if (page.length < size && bytes < PAGE_BYTES) continue
    yield page
    page = []
    bytes = 0
    size = PAGE_ROWS
  }
  yield page
}

interface IndexReading {
  readonly range: KeyRange & { first: number }
  readonly entries: EntryReader
  readonly view: ReadView
}

async function* entryPages({ range, entries, view }: IndexReading): AsyncGenerator<Candidate[]> {
  let page: Candidate[] = []
  let size = Math.min(range.first, PAGE_ENTRIES)
  for await (const [entry] of view.entries(range)) {
    const candidate = entries.read(entry)
    if (candidate === undefined) continue
    page.push(candidate)
    if (page.length < size) continue
    yield page
    page = []
    size = PAGE_ENTRIES
  }
  yield page
}

/** Values descend while the ids of one value ascend. A value of as many instances as are wanted is read forwards. */
async function* descendingPages({ range, entries, view }: IndexReading): AsyncGenerator<Candidate[]> {
  for (let { lt } = range; ; ) {
    let group: Candidate[] = []
    let large: KeyRange | undefined
    for await (const [entry] of view.entries({ ...range, lt })) {
      const candidate = entries.read(entry)
      if (candidate === undefined) continue
      if (group[0] !== undefined && !equalBytes(group[0].component, candidate.component)) {
        yield group.toReversed()
        group = []
      }
      group.push(candidate)
      if (group.length < range.first) continue
      large = entries.rangeOf(candidate.component)
      break
    }
    if (large === undefined) {
      yield group.toReversed()
      return
    }
    yield* entryPages({ range: { ...range, ...large, reverse: false }, entries, view })
    lt = large.gte
  }
}
