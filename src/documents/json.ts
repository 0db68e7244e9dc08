import { textOfUtf8, utf8 } from '../core/bytes.ts'
import type { Stored } from './index.ts'

/** Throws TypeError for what JSON cannot hold. */
export function encodeJson(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value))
}

/** A document that a host sent. That it has this type is what the schema of its collection promises. */
export function decodeDocument<T>(bytes: Uint8Array): Stored<T> {
  return JSON.parse(textOfUtf8(bytes)) as Stored<T>
}

/** One or many as a list. */
export function listOf<T extends string | object>(values: T | readonly T[]): readonly T[] {
  return Array.isArray(values) ? values : [values as T]
}
