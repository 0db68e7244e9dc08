import { compareBytes } from '../../core/bytes.ts'
import type { KeyRange, ReadView } from '../../store/ordered-store.ts'
import { indexPrefix, readEntry } from '../indexes/entry.ts'
import { documentOfInstance, instanceKey } from '../rows.ts'
import type { Plan, PlanPlace } from './plan.ts'

/** An instance that may be a result. */
export interface Candidate {
  /** Of the row; orders as the id does. */
  readonly key: Uint8Array
  readonly document: Uint8Array
}

export interface CandidatePage {
  readonly candidates: readonly Candidate[]
  /** In index order: what the entries of later pages are not before. */
  readonly component?: Uint8Array
}

/** Instances of the first page and, for what is read on, of later pages. */
const FIRST_PAGE = 16
const PAGE = 256

/** The instances a plan leads to, in the order it says. Those without a document are passed over. */
export function candidatePages(plan: Plan, place: PlanPlace & { view: ReadView }): AsyncIterable<CandidatePage> {
  return plan.index === undefined ? scanPages(plan.instances, place.view) : indexPages(plan, plan.index, place)
}

async function* scanPages(range: KeyRange, view: ReadView): AsyncGenerator<CandidatePage> {
  let candidates: Candidate[] = []
  let size = FIRST_PAGE
  for await (const [key, row] of view.entries(range)) {
    const document = documentOfInstance(row)
    if (document === undefined) continue
    candidates.push({ key, document })
    if (candidates.length < size) continue
    yield { candidates }
    candidates = []
    size = PAGE
  }
  yield { candidates }
}

async function* indexPages(
  { instances }: Plan,
  { definition, range }: NonNullable<Plan['index']>,
  place: PlanPlace & { view: ReadView },
): AsyncGenerator<CandidatePage> {
  const { view, thread, generation, collection } = place
  const prefixLength = indexPrefix(place, definition).length
  let keys: Uint8Array[] = []
  let size = FIRST_PAGE
  for await (const [entry] of view.entries(range)) {
    const { component, id } = readEntry(entry, prefixLength, definition)
    const key = instanceKey(thread, generation, { collection, id })
    if (compareBytes(key, instances.gte) < 0 || compareBytes(key, instances.lt) >= 0) continue
    keys.push(key)
    if (keys.length < size) continue
    yield { candidates: await load(keys, view), component }
    keys = []
    size = PAGE
  }
  yield { candidates: await load(keys, view) }
}

async function load(keys: readonly Uint8Array[], view: ReadView): Promise<Candidate[]> {
  const rows = keys.length === 0 ? [] : await view.getMany(keys)
  const candidates: Candidate[] = []
  for (const [i, key] of keys.entries()) {
    const row = rows[i]
    const document = row && documentOfInstance(row)
    if (document !== undefined) candidates.push({ key, document })
  }
  return candidates
}
