/**
 * The one order of values, for sorting and for index entries: missing, null, false, true, numbers, strings by their
 * UTF-8 bytes, arrays, objects. Arrays among themselves, and objects, order by a text made of them, as in go-threads.
 */
import { isDocument, type JsonValue } from '../json.ts'

export type ValueKind = 'missing' | 'null' | 'false' | 'true' | 'number' | 'string' | 'array' | 'object'

const RANKS: Readonly<Record<ValueKind, number>> = {
  missing: 0,
  null: 1,
  false: 2,
  true: 3,
  number: 4,
  string: 5,
  array: 6,
  object: 7,
}

export function kindOf(value: JsonValue | undefined): ValueKind {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number') return 'number'
  if (typeof value === 'string') return 'string'
  return isDocument(value) ? 'object' : 'array'
}

/** Negative if `a` comes first, 0 if the two are equal. */
export function compareValues(a: JsonValue | undefined, b: JsonValue | undefined): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a === 'string' && typeof b === 'string') return compareStrings(a, b)
  const kind = kindOf(a)
  const difference = RANKS[kind] - RANKS[kindOf(b)]
  if (difference !== 0 || (kind !== 'array' && kind !== 'object')) return difference
  return compareStrings(textOfValue(a ?? null), textOfValue(b ?? null))
}

/** Order by code points, which is that of the bytes of keys: a lone surrogate counts as the code point it names. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  const shared = Math.min(a.length, b.length)
  for (let i = 0; i < shared; i++) {
    if (a.charCodeAt(i) !== b.charCodeAt(i)) return compareFrom(i, a, b)
  }
  return a.length - b.length
}

/** Compares two texts that first differ at an index, which may be the middle of a surrogate pair. */
function compareFrom(index: number, a: string, b: string): number {
  if (index > 0 && isHighSurrogate(a.charCodeAt(index - 1))) {
    const difference = pointAt(a, index - 1) - pointAt(b, index - 1)
    if (difference !== 0) return difference
  }
  return pointAt(a, index) - pointAt(b, index)
}

function pointAt(text: string, index: number): number {
  return text.codePointAt(index) ?? 0
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}

/**
 * What arrays and objects are ordered by: members sorted by name, strings as they are. Brackets stay open, so that the
 * beginning of a longer array comes before it.
 */
export function textOfValue(value: JsonValue): string {
  if (value === null) return '<nil>'
  if (typeof value !== 'object') return String(value)
  if (!isDocument(value)) return `[${value.map(textOfValue).join(' ')}`
  const names = Object.keys(value).toSorted(compareStrings)
  return `map[${names.map((name) => `${name}:${textOfValue(value[name] ?? null)}`).join(' ')}`
}
