import { type Document, isDocument, type JsonValue, member } from '../json.ts'

/** The path of the id of an instance. */
export const ID_PATH = '_id'

/** The value at a path, or `undefined` if there is none. Paths lead through objects, not into arrays. */
export function valueAt(document: Document, path: string): JsonValue | undefined {
  if (!path.includes('.')) return member(document, path)
  let value: JsonValue | undefined = document
  for (const name of path.split('.')) {
    if (!isDocument(value)) return undefined
    value = member(value, name)
  }
  return value
}
