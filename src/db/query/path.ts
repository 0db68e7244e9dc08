import { type Document, isDocument, type JsonValue, member } from '../json.ts'

/** The path of the id of an instance. */
export const ID_PATH = '_id'

/** The value at a path, or `undefined` if there is none. Paths lead through objects, not into arrays. */
export function valueAt(document: Document, path: string): JsonValue | undefined {
  return path.includes('.') ? valueThrough(document, path.split('.')) : member(document, path)
}

/** As {@link valueAt}, for many documents. */
export function readerOf(path: string): (document: Document) => JsonValue | undefined {
  if (!path.includes('.')) return (document) => member(document, path)
  const names = path.split('.')
  return (document) => valueThrough(document, names)
}

function valueThrough(document: Document, names: readonly string[]): JsonValue | undefined {
  let value: JsonValue | undefined = document
  for (const name of names) {
    if (!isDocument(value)) return undefined
    value = member(value, name)
  }
  return value
}
