/**
 * Documents as values. Numbers are doubles and of two equal members the last wins, as in `JSON.parse`. Member names are
 * data, `__proto__` too: objects are built without a prototype, and read through their own members only. Values are
 * never changed in place, so results share what they have in common with their arguments.
 */
import { textOfUtf8, utf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | Document

/** A JSON object. */
export interface Document {
  readonly [member: string]: JsonValue
}

/** How deep objects and arrays may be nested, the document itself counted. */
export const MAX_DEPTH = 64

/**
 * Reads a document: strict UTF-8, a JSON object, at most MAX_DEPTH deep, numbers within the range of a double.
 * Throws INVALID_INSTANCE.
 */
export function parseDocument(source: string | Uint8Array): Document {
  const value = parseJson(source)
  if (!isDocument(value)) throw new ThreadsError('INVALID_INSTANCE', 'the document is not a JSON object')
  checkDocument(value)
  return value
}

/** Throws INVALID_INSTANCE for what JSON can say and a document cannot: see `parseDocument`. */
export function checkDocument(document: Document): void {
  checkValue(document, 1)
}

/** A document this program wrote, or checked before it was stored. */
export function parseStored(bytes: Uint8Array): Document {
  return JSON.parse(textOfUtf8(bytes)) as Document
}

export function stringify(document: Document): string {
  return JSON.stringify(document)
}

/** The document as it is stored. */
export function documentBytes(document: Document): Uint8Array {
  return utf8(stringify(document))
}

export function isDocument(value: JsonValue | undefined): value is Document {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** The member of this name, or `undefined` if there is none. */
export function member(document: Document, name: string): JsonValue | undefined {
  return Object.hasOwn(document, name) ? document[name] : undefined
}

/** A copy in which the member has this value. */
export function withMember(document: Document, name: string, value: JsonValue): Document {
  const copy = copyOf(document)
  copy[name] = value
  return copy
}

/** Applies a merge patch (RFC 7396). */
export function mergePatch(target: JsonValue | undefined, patch: JsonValue): JsonValue {
  if (!isDocument(patch)) return patch
  return mergeDocument(isDocument(target) ? target : {}, patch)
}

/** The merge patch over a document, which is a document again. */
export function mergeDocument(target: Document, patch: Document): Document {
  const merged = copyOf(target)
  for (const name of Object.keys(patch)) {
    const change = patch[name]
    if (change === undefined || change === null) delete merged[name]
    else merged[name] = mergePatch(merged[name], change)
  }
  return merged
}

/**
 * The merge patch that turns `previous` into `next`. A patch cannot say that a member becomes null: such a member is
 * missing after the patch. Members are compared as values, the order of members does not count.
 */
export function diffPatch(previous: Document, next: Document): Document {
  const patch = emptyDocument()
  for (const name of Object.keys(previous)) {
    if (!Object.hasOwn(next, name)) patch[name] = null
  }
  for (const name of Object.keys(next)) {
    const before = member(previous, name)
    const after = next[name] ?? null
    if (isDocument(before) && isDocument(after)) {
      const inner = diffPatch(before, after)
      if (Object.keys(inner).length > 0) patch[name] = inner
    } else if (before === undefined || !sameValue(before, after)) {
      patch[name] = after
    }
  }
  return patch
}

/** The patch, and every member of `next` besides: it makes them so over any document. */
export function fullPatch(patch: Document, next: Document): Document {
  const full = copyOf(patch)
  for (const name of Object.keys(next)) {
    const value = next[name] ?? null
    const change = member(patch, name)
    full[name] = isDocument(value) && isDocument(change) ? fullPatch(change, value) : value
  }
  return full
}

/** Whether two values are equal; the order of members does not count. */
export function sameValue(a: JsonValue, b: JsonValue): boolean {
  if (a === b) return true
  if (Array.isArray(a)) {
    return Array.isArray(b) && a.length === b.length && a.every((item, index) => sameValue(item, b[index] ?? null))
  }
  if (!isDocument(a) || !isDocument(b)) return false
  const names = Object.keys(a)
  if (names.length !== Object.keys(b).length) return false
  return names.every((name) => Object.hasOwn(b, name) && sameValue(a[name] ?? null, b[name] ?? null))
}

function parseJson(source: string | Uint8Array): JsonValue {
  try {
    return JSON.parse(typeof source === 'string' ? source : textOfUtf8(source)) as JsonValue
  } catch (cause) {
    throw new ThreadsError('INVALID_INSTANCE', 'the document is not valid JSON', { cause })
  }
}

/** Refuses what no document can hold at this depth. Throws INVALID_INSTANCE. */
export function checkValue(value: JsonValue, depth: number): void {
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new ThreadsError('INVALID_INSTANCE', 'the document has a number out of range')
  } else if (typeof value === 'object' && value !== null) {
    if (depth > MAX_DEPTH) {
      throw new ThreadsError('INVALID_INSTANCE', `the document is nested more than ${MAX_DEPTH} levels deep`)
    }
    for (const inner of Object.values<JsonValue>(value)) checkValue(inner, depth + 1)
  }
}

type DocumentUnderWay = Record<string, JsonValue>

function emptyDocument(): DocumentUnderWay {
  return Object.create(null)
}

/** Copied first: V8 then keeps the members in the fast form, also through a chain of merges. */
function copyOf(document: Document): DocumentUnderWay {
  return Object.setPrototypeOf({ ...document }, null)
}
