import { concatBytes, equalBytes } from '../../core/bytes.ts'
import { prefixRange } from '../../store/key-codec.ts'
import type { KeyRange } from '../../store/ordered-store.ts'
import { parseStored } from '../json.ts'
import { valueAt } from '../query/path.ts'
import { documentOfInstance, instanceKey } from '../rows.ts'
import type { Conflict, ConflictPage } from '../index.ts'
import type { IndexDefinition } from './definition.ts'
import { encodeComponent, indexPrefix, indexRange, readEntry } from './entry.ts'
import { type CollectionPlace, uniqueValue } from './maintain.ts'

/** Instances named for one entry of the index. */
const MAX_IDS = 1_000
/** Entries looked at for one page. */
const MAX_SCANNED = 100_000
/** A page ends when its values and ids have so many characters. */
const MAX_PAGE_CHARS = 1024 * 1024
const MAX_VALUE_CHARS = 64 * 1024

export interface ConflictWork {
  /** A page ends when it has so many. */
  readonly limit: number
  /** The `next` of the page before. */
  readonly after: Uint8Array | undefined
  /** Documents as the caller may see them. */
  serve(documents: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
}

/** Values of a unique index that several instances have, in order of value. Reads the index, and only their documents. */
export async function findConflicts(
  index: IndexDefinition,
  place: CollectionPlace,
  work: ConflictWork,
): Promise<ConflictPage> {
  const prefixLength = indexPrefix(place, index).length
  const conflicts: Conflict[] = []
  let scanned = 0
  let chars = 0
  let shared: { component: Uint8Array; ids: string[] } | undefined
  const flush = async (): Promise<void> => {
    if (shared === undefined) return
    for (const conflict of await conflictsAmong(shared.ids, index, { place, work })) {
      conflicts.push(conflict)
      chars += conflict.value.length + conflict.ids.reduce((sum, id) => sum + id.length, 0)
    }
  }
  for await (const [key] of place.view.entries(rangeAfter(index, place, work.after))) {
    const { component, id } = readEntry(key, prefixLength, index)
    if (shared === undefined || !equalBytes(shared.component, component)) {
      await flush()
      const full = conflicts.length >= work.limit || scanned >= MAX_SCANNED || chars >= MAX_PAGE_CHARS
      if (full && shared !== undefined) return { conflicts, next: shared.component }
      shared = { component, ids: [] }
    }
    scanned++
    if (shared.ids.length < MAX_IDS) shared.ids.push(id)
  }
  await flush()
  return { conflicts, next: undefined }
}

/** The entries behind those of a value; without one, those of all values there are: a missing one is none. */
function rangeAfter(index: IndexDefinition, place: CollectionPlace, after: Uint8Array | undefined): KeyRange {
  const component = after ?? encodeComponent(undefined)
  const { lt: gte } = prefixRange(concatBytes(indexPrefix(place, index), component))
  return { ...indexRange(place, index), gte }
}

/** Which of the instances have one value, in the eyes of the caller. Long values may share their entry and differ. */
async function conflictsAmong(
  ids: readonly string[],
  index: IndexDefinition,
  { place, work }: { place: CollectionPlace; work: ConflictWork },
): Promise<Conflict[]> {
  if (ids.length < 2) return []
  const { view, thread, generation, collection } = place
  const rows = await view.getMany(ids.map((id) => instanceKey(thread, generation, { collection, id })))
  const stored = rows.flatMap((row, at) => {
    const document = row && documentOfInstance(row)
    return document === undefined ? [] : [{ id: ids[at] ?? '', document }]
  })
  const shown = await work.serve(stored.map(({ document }) => document))
  const byValue = new Map<string, { value: string; ids: string[] }>()
  for (const [at, { id }] of stored.entries()) {
    const bytes = shown[at]
    const document = bytes && parseStored(bytes)
    const key = document && uniqueValue(index, document)
    if (document === undefined || key === undefined) continue
    const same = byValue.get(key)
    if (same === undefined) byValue.set(key, { value: textOf(index, document), ids: [id] })
    else same.ids.push(id)
  }
  return [...byValue.values()].filter((each) => each.ids.length > 1)
}

function textOf(index: IndexDefinition, document: Parameters<typeof valueAt>[0]): string {
  const text = JSON.stringify(valueAt(document, index.fields[0]?.path ?? ''))
  return text.length > MAX_VALUE_CHARS ? '' : text
}
