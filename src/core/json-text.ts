/** JSON text as Go's encoder writes it: keys in byte order, characters that mean something in HTML escaped. */
import { compareText } from './bytes.ts'
import { ThreadsError } from './errors.ts'

export type JsonValue = null | boolean | number | string | readonly JsonValue[] | JsonObject

export interface JsonObject {
  readonly [key: string]: JsonValue
}

const MAX_DEPTH = 1000
/** An escape of JSON.stringify, or a character it leaves alone. */
const REWRITTEN = /\\.|[<>&\u2028\u2029]/g

/**
 * Numbers are doubles, written in their shortest form. Lone surrogates become U+FFFD. Throws INVALID_ARGUMENT for a
 * number that is not finite and for nesting deeper than 1000.
 */
export function jsonText(value: JsonValue): string {
  return textOf(value, 0)
}

function textOf(value: JsonValue, depth: number): string {
  if (depth > MAX_DEPTH) throw new ThreadsError('INVALID_ARGUMENT', `JSON nested deeper than ${MAX_DEPTH}`)
  if (typeof value === 'string') return stringText(value)
  if (typeof value === 'number') return numberText(value)
  if (value === null || typeof value === 'boolean') return String(value)
  if (isArray(value)) return `[${value.map((item) => textOf(item, depth + 1)).join(',')}]`
  const members = Object.entries(value).toSorted(([a], [b]) => compareText(a, b))
  return `{${members.map(([key, member]) => `${stringText(key)}:${textOf(member, depth + 1)}`).join(',')}}`
}

function isArray(value: readonly JsonValue[] | JsonObject): value is readonly JsonValue[] {
  return Array.isArray(value)
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new ThreadsError('INVALID_ARGUMENT', 'number out of range')
  return Object.is(value, -0) ? '-0' : String(value)
}

function stringText(text: string): string {
  return JSON.stringify(text.toWellFormed()).replace(REWRITTEN, (found) => {
    if (found === '\\b') return '\\u0008'
    if (found === '\\f') return '\\u000c'
    return found.length > 1 ? found : `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`
  })
}
