/** Keeps index entries in step with instances, and the values of unique indexes apart. */
import { bytesKey, equalBytes, utf8 } from '../../core/bytes.ts'
import { sha256 } from '../../core/crypto.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { EventData } from '../../core/events.ts'
import { prefixRange } from '../../store/key-codec.ts'
import type { KeyRange, Operation, ReadView } from '../../store/ordered-store.ts'
import { applyEvent, StoredDocument } from '../fold/rules.ts'
import { type Document, parseDocument, parseStored } from '../json.ts'
import { textOfValue } from '../query/order.ts'
import { valueAt } from '../query/path.ts'
import { documentOfInstance, instanceKey, instanceRange, readInstanceKey } from '../rows.ts'
import type { IndexDefinition } from './definition.ts'
import { encodeComponent, entryKey, entryPrefix, indexPrefix, type IndexPlace, isCut, NO_VALUE } from './entry.ts'
import { readEntry } from './entry.ts'

/** A collection as a view shows it. */
export interface CollectionPlace extends IndexPlace {
  readonly view: ReadView
  readonly collection: string
}

export interface BackfillChunk {
  readonly entries: readonly { readonly key: Uint8Array; readonly value: Uint8Array }[]
  /** Where the next chunk goes on; absent once all instances were seen. */
  readonly lastId: string | undefined
}

/** Instances of a chunk. */
export const CHUNK_INSTANCES = 1_000
/** A chunk ends behind the document with which its documents have more bytes. */
const CHUNK_BYTES = 4 * 1024 * 1024

/** What the entries of an instance must change when its document does; documents are absent where there is none. */
export function indexOperations(
  indexes: readonly IndexDefinition[],
  { id, ...place }: IndexPlace & { id: string },
  { before, after }: { before: Document | undefined; after: Document | undefined },
): Operation[] {
  const old = before && { id, document: before }
  const now = after && { id, document: after }
  const operations: Operation[] = []
  for (const index of indexes) {
    const remove = old && entryKey(place, index, old)
    const add = now && entryKey(place, index, now)
    if (remove && add && equalBytes(remove, add)) continue
    if (remove) operations.push({ type: 'del', key: remove })
    if (add) operations.push({ type: 'put', key: add, value: NO_VALUE })
  }
  return operations
}

/** The entries of the next instances by id, behind `afterId`. */
export async function backfill(
  index: IndexDefinition,
  place: CollectionPlace,
  afterId: string | undefined,
): Promise<BackfillChunk> {
  const entries: { key: Uint8Array; value: Uint8Array }[] = []
  let bytes = 0
  let count = 0
  for await (const { id, document } of instances(place, afterId)) {
    if (document !== undefined) {
      entries.push({ key: entryKey(place, index, { id, document: parseStored(document) }), value: NO_VALUE })
      bytes += document.length
    }
    if (++count === CHUNK_INSTANCES || bytes > CHUNK_BYTES) return { entries, lastId: id }
  }
  return { entries, lastId: undefined }
}

/** Whether two instances have one value of a unique index. */
export async function findDuplicates(index: IndexDefinition, place: CollectionPlace): Promise<boolean> {
  const seen = new Set<string>()
  for await (const { document } of instances(place, undefined)) {
    const value = document && uniqueValue(index, parseStored(document))
    if (value === undefined) continue
    if (seen.has(value)) return true
    seen.add(value)
  }
  return false
}

/**
 * Throws UNIQUE_VIOLATION if two instances would have one value of a unique index after the events of a transaction,
 * all of one collection. Values that the transaction itself gives up are free. Instances without the member do not
 * count, null is a value.
 */
export async function uniqueConflict(
  indexes: readonly IndexDefinition[],
  events: readonly EventData[],
  place: CollectionPlace,
): Promise<void> {
  const changed = await documentsAfter(events, place)
  for (const index of indexes) {
    const taken = new Set<string>()
    for (const document of changed.values()) {
      const value = document && uniqueValue(index, document)
      if (document === undefined || value === undefined) continue
      if (taken.has(value) || (await isHeld(index, { document, value }, { place, changed }))) throw violation()
      taken.add(value)
    }
  }
}

/** Whether an instance that stays as it is holds the value of a document. */
async function isHeld(
  index: IndexDefinition,
  { document, value }: { document: Document; value: string },
  { place, changed }: { place: CollectionPlace; changed: ReadonlyMap<string, unknown> },
): Promise<boolean> {
  const prefixLength = indexPrefix(place, index).length
  const exact = !hasCutValue(index, document)
  for await (const [key] of place.view.entries(prefixRange(entryPrefix(place, index, document)))) {
    const { id } = readEntry(key, prefixLength, index)
    if (changed.has(id)) continue
    if (exact || (await uniqueValueOf(id, index, place)) === value) return true
  }
  return false
}

async function uniqueValueOf(id: string, index: IndexDefinition, place: CollectionPlace): Promise<string | undefined> {
  const row = await place.view.get(keyOf(id, place))
  const document = row && documentOfInstance(row)
  return document && uniqueValue(index, parseStored(document))
}

/** The documents that events leave, by id; `undefined` for none. */
async function documentsAfter(
  events: readonly EventData[],
  place: CollectionPlace,
): Promise<Map<string, Document | undefined>> {
  const ids = [...new Set(events.map((event) => event.id))]
  const rows = await place.view.getMany(ids.map((id) => keyOf(id, place)))
  const documents = new Map<string, StoredDocument | undefined>()
  for (const [i, id] of ids.entries()) {
    const row = rows[i]
    const document = row && documentOfInstance(row)
    documents.set(id, document && new StoredDocument(document))
  }
  for (const event of events) {
    const document = event.patch && parseDocument(event.patch)
    documents.set(event.id, applyEvent(documents.get(event.id), { ...event, document }))
  }
  return new Map([...documents].map(([id, document]) => [id, document?.value]))
}

/** Stands for the values of a document in an index; `undefined` if one is missing. Equal values, equal texts. */
export function uniqueValue(index: IndexDefinition, document: Document): string | undefined {
  let text = ''
  for (const { path } of index.fields) {
    const value = valueAt(document, path)
    if (value === undefined) return undefined
    const component = encodeComponent(value)
    text += bytesKey(component)
    if (isCut(component)) text += bytesKey(sha256(utf8(textOfValue(value))))
  }
  return text
}

function hasCutValue(index: IndexDefinition, document: Document): boolean {
  return index.fields.some(({ path }) => isCut(encodeComponent(valueAt(document, path))))
}

async function* instances(
  place: CollectionPlace,
  afterId: string | undefined,
): AsyncGenerator<{ id: string; document: Uint8Array | undefined }> {
  const { view, thread, generation, collection } = place
  const range = instanceRange(thread, generation, collection)
  const rest: KeyRange = afterId === undefined ? range : { ...range, gte: prefixRange(keyOf(afterId, place)).lt }
  for await (const [key, row] of view.entries(rest)) {
    yield { id: readInstanceKey(key).id, document: documentOfInstance(row) }
  }
}

function keyOf(id: string, { thread, generation, collection }: CollectionPlace): Uint8Array {
  return instanceKey(thread, generation, { collection, id })
}

function violation(): ThreadsError {
  return new ThreadsError('UNIQUE_VIOLATION', 'error when indexing created data: unique constraint violation')
}
