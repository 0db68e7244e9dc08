/** JSON as it was written: members in order, repeated ones too, numbers as text. */
import { jsonText } from '../../core/json-text.ts'
import type { JsonValue } from '../json.ts'

export type JsonNode =
  | { readonly kind: 'null' }
  | { readonly kind: 'bool'; readonly value: boolean }
  | { readonly kind: 'number'; readonly text: string }
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'array'; readonly items: readonly JsonNode[] }
  | { readonly kind: 'object'; readonly members: readonly JsonMember[] }

export interface JsonMember {
  readonly name: string
  readonly node: JsonNode
}

/** JSON without white space, otherwise as it was written. */
export function verbatimText(node: JsonNode): string {
  if (node.kind === 'number') return node.text
  if (node.kind === 'array') return `[${node.items.map(verbatimText).join(',')}]`
  if (node.kind !== 'object') return jsonText(plainValue(node))
  return `{${node.members.map(({ name, node: value }) => `${jsonText(name)}:${verbatimText(value)}`).join(',')}}`
}

/** The value, with numbers as doubles; of repeated members the last. */
export function plainValue(node: JsonNode): JsonValue {
  if (node.kind === 'null') return null
  if (node.kind === 'number') return Number(node.text)
  if (node.kind === 'array') return node.items.map(plainValue)
  if (node.kind !== 'object') return node.value
  return Object.fromEntries(node.members.map(({ name, node: value }) => [name, plainValue(value)]))
}
