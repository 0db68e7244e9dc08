import { type Document, isDocument, type JsonValue, member } from '../json.ts'
import type { SchemaNode } from './normalise.ts'

export type FieldType = 'string' | 'number' | 'integer' | 'boolean' | 'other'

/** How many `$ref`s a path may lead through. */
const MAX_REFS = 64

/** The type a schema gives a path; `undefined` if it does not have the path. */
export function typeAt(root: SchemaNode, path: string): FieldType | undefined {
  let node: Document | undefined = dereferenced(root, root)
  for (const name of path.split('.')) {
    const properties: JsonValue | undefined = node && member(node, 'properties')
    const property: JsonValue | undefined = isDocument(properties) ? member(properties, name) : undefined
    node = isDocument(property) ? dereferenced(property, root) : undefined
  }
  if (node === undefined) return undefined
  const type = member(node, 'type')
  return type === 'string' || type === 'number' || type === 'integer' || type === 'boolean' ? type : 'other'
}

/** Whether the schema says at its root, or where its root refers to, that `_id` is a string. */
export function declaresId(root: SchemaNode): boolean {
  const properties = member(referred(root, root) ?? {}, 'properties')
  const id = isDocument(properties) ? member(properties, '_id') : undefined
  return isDocument(id) && member(id, 'type') === 'string'
}

function dereferenced(node: Document, root: SchemaNode): Document | undefined {
  let current: Document | undefined = node
  for (let refs = 0; current !== undefined && member(current, '$ref') !== undefined; refs++) {
    if (refs === MAX_REFS) return undefined
    current = referred(current, root)
  }
  return current
}

/** What `$ref` leads to, by its last part whatever comes before; the node itself if it has none. */
function referred(node: Document, root: SchemaNode): Document | undefined {
  const ref = member(node, '$ref')
  if (typeof ref !== 'string') return node
  const definitions = member(root, 'definitions')
  const target = isDocument(definitions) ? member(definitions, ref.slice(ref.lastIndexOf('/') + 1)) : undefined
  return isDocument(target) ? target : undefined
}
