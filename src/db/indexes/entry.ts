/**
 * Index entries: `x thread generation index component... id`. One component for each field, self-delimiting, in the
 * order of `compareValues`: a tag, then for numbers the IEEE 754 bits made to order as bytes, for strings their UTF-8
 * bytes with 00 as 00 FF and 00 01 at the end. Strings are cut after 512 bytes and then end with 00 02: entries of
 * different values may have equal components then. Arrays and objects have the text they are ordered by as a string.
 * A descending component has every byte inverted. The value of an entry is empty.
 */
import { concatBytes } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { appendEscaped, decodeText, escapedBound, readEscaped, rowKey } from '../../store/key-codec.ts'
import { prefixRange } from '../../store/key-codec.ts'
import type { KeyRange } from '../../store/ordered-store.ts'
import type { Document, JsonValue } from '../json.ts'
import { kindOf, textOfValue, type ValueKind } from '../query/order.ts'
import { valueAt } from '../query/path.ts'
import type { IndexDefinition } from './definition.ts'

export const TAGS: Readonly<Record<ValueKind, number>> = {
  missing: 0x10,
  null: 0x14,
  false: 0x20,
  true: 0x21,
  number: 0x30,
  string: 0x40,
  array: 0x50,
  object: 0x60,
}

const KINDS: ReadonlyMap<number | undefined, ValueKind> = new Map(
  (Object.keys(TAGS) as ValueKind[]).map((kind) => [TAGS[kind], kind]),
)

const NUMBER_BYTES = 9
/** Bytes of a string that an entry holds. */
export const MAX_STRING_BYTES = 512
const END = 0x01
const CUT_END = 0x02

export const NO_VALUE: Uint8Array = new Uint8Array(0)

/** Where the entries of an index are. */
export interface IndexPlace {
  readonly thread: number
  readonly generation: number
}

/** What the entries of an index begin with. */
export function indexPrefix({ thread, generation }: IndexPlace, index: IndexDefinition): Uint8Array {
  return rowKey('x', thread, generation, index.number)
}

export function indexRange(place: IndexPlace, index: IndexDefinition): KeyRange {
  return prefixRange(indexPrefix(place, index))
}

/** The key of the entry of a document. */
export function entryKey(place: IndexPlace, index: IndexDefinition, { id, document }: Instance): Uint8Array {
  return concatBytes(entryPrefix(place, index, document), encodedId(id))
}

/** What the entries of all instances begin with that have the values of a document. */
export function entryPrefix(place: IndexPlace, index: IndexDefinition, document: Document): Uint8Array {
  const components = index.fields.map(({ path, desc }) => encodeComponent(valueAt(document, path), desc))
  return concatBytes(indexPrefix(place, index), ...components)
}

interface Instance {
  readonly id: string
  readonly document: Document
}

export function encodeComponent(value: JsonValue | undefined, desc = false): Uint8Array {
  const component = ascendingComponent(value)
  return desc ? component.map((byte) => ~byte) : component
}

function ascendingComponent(value: JsonValue | undefined): Uint8Array {
  const tag = TAGS[kindOf(value)]
  if (typeof value === 'number') return numberComponent(tag, value)
  if (typeof value === 'string') return stringComponent(tag, value)
  if (typeof value === 'object' && value !== null) return stringComponent(tag, textOfValue(value))
  return Uint8Array.of(tag)
}

function numberComponent(tag: number, value: number): Uint8Array {
  const component = new Uint8Array(NUMBER_BYTES)
  component[0] = tag
  // Adding 0 turns -0 into 0: the two are equal.
  new DataView(component.buffer).setFloat64(1, value + 0)
  if (value < 0) for (let i = 1; i < NUMBER_BYTES; i++) component[i] = ~(component[i] ?? 0)
  else component[1] = (component[1] ?? 0) | 0x80
  return component
}

function stringComponent(tag: number, text: string): Uint8Array {
  // A code unit is at least one byte, so what is behind this many never gets into the entry.
  const start = text.slice(0, MAX_STRING_BYTES + 1)
  const component = new Uint8Array(1 + escapedBound(start))
  component[0] = tag
  const end = appendEscaped(component, 1, start)
  const cut = cutOffset(component, end)
  if (cut === undefined) return component.slice(0, end)
  component.set([0, CUT_END], cut)
  return component.slice(0, cut + 2)
}

/** Where an escaped string that begins at 1 reaches the limit, if bytes follow there. */
function cutOffset(component: Uint8Array, end: number): number | undefined {
  if (end - 3 <= MAX_STRING_BYTES) return undefined
  let offset = 1
  for (let bytes = 0; bytes < MAX_STRING_BYTES; bytes++) {
    if (offset === end - 2) return undefined
    offset += component[offset] === 0 ? 2 : 1
  }
  return offset === end - 2 ? undefined : offset
}

/** What kind of value has this component, which ascends. Throws STORE_CORRUPT. */
export function kindOfComponent(component: Uint8Array): ValueKind {
  const kind = KINDS.get(component[0])
  if (kind === undefined) throw malformedEntry()
  return kind
}

/** Whether different values may have this component, which ascends. */
export function isCut(component: Uint8Array): boolean {
  return (component[0] ?? 0) >= TAGS.string && component.at(-1) === CUT_END
}

/** The first component of an entry, and the id of its instance. */
export function readEntry(key: Uint8Array, prefixLength: number, index: IndexDefinition): EntryParts<string> {
  const { component, id } = entryParts(key, prefixLength, index)
  return { component, id: decodeText(readEscaped(id, 0).bytes) }
}

/** As {@link readEntry}, with the id as it stands in keys. */
export function entryParts(key: Uint8Array, prefixLength: number, { fields }: IndexDefinition): EntryParts<Uint8Array> {
  let offset = prefixLength
  let first: Uint8Array | undefined
  for (const { desc } of fields) {
    const end = componentEnd(key, offset, desc ? 0xff : 0)
    first ??= key.subarray(offset, end)
    offset = end
  }
  return { component: first ?? NO_VALUE, id: key.subarray(offset) }
}

export interface EntryParts<Id> {
  readonly component: Uint8Array
  readonly id: Id
}

/** `mask` is what the bytes of the component are inverted with. */
function componentEnd(key: Uint8Array, offset: number, mask: number): number {
  const tag = (key[offset] ?? 0) ^ mask
  if (tag < TAGS.number) return offset + 1
  if (tag === TAGS.number) return offset + NUMBER_BYTES
  for (let i = offset + 1; i < key.length; i++) {
    if (key[i] !== mask) continue
    const following = (key[++i] ?? 0) ^ mask
    if (following === END || following === CUT_END) return i + 1
  }
  throw malformedEntry()
}

function malformedEntry(): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', 'the store holds a malformed index entry')
}

function encodedId(id: string): Uint8Array {
  const bytes = new Uint8Array(escapedBound(id))
  return bytes.subarray(0, appendEscaped(bytes, 0, id))
}
