/**
 * Reads a JSON Schema as go-threads does: into a fixed set of draft-04-like keywords, matched in any case. Two things
 * come of it. The stored form is what clients are shown: keywords in a fixed order, without those that set is missing
 * and without zero, false and empty values. The enforced form is what documents are held against: it keeps what means
 * something, also where the stored form drops it.
 */
import { ThreadsError } from '../../core/errors.ts'
import { compareText } from '../../core/bytes.ts'
import { jsonText } from '../../core/json-text.ts'
import type { JsonValue } from '../json.ts'
import { GoDecoder, goStruct } from './go-json.ts'
import { type JsonNode, plainValue, verbatimText } from './json-node.ts'
import { readJson } from './json-syntax.ts'

/** Longer schemas are refused. */
export const MAX_SCHEMA_BYTES: number = 256 * 1024
const LIMITS = { depth: 64, nodes: 10_000 }

/** A schema object with the keywords of the enforced form. */
export interface SchemaNode {
  readonly [keyword: string]: JsonValue
}

export interface NormalisedSchema {
  /** JSON as clients are shown it. */
  readonly stored: string
  readonly enforced: SchemaNode
}

/** What the value of a keyword is. */
type Kind =
  | 'text'
  | 'integer'
  | 'count'
  | 'flag'
  | 'texts'
  | 'value'
  | 'values'
  | 'verbatim'
  | 'schema'
  | 'schemaList'
  | 'schemas'

/** In the order of the stored form. A `count` of 0 is enforced though it is not stored. */
const KEYWORDS: Readonly<Record<string, Kind>> = {
  $schema: 'text',
  $ref: 'text',
  multipleOf: 'integer',
  maximum: 'count',
  exclusiveMaximum: 'flag',
  minimum: 'count',
  exclusiveMinimum: 'flag',
  maxLength: 'count',
  minLength: 'integer',
  pattern: 'text',
  additionalItems: 'schema',
  items: 'schema',
  maxItems: 'count',
  minItems: 'integer',
  uniqueItems: 'flag',
  maxProperties: 'count',
  minProperties: 'integer',
  required: 'texts',
  properties: 'schemas',
  patternProperties: 'schemas',
  additionalProperties: 'verbatim',
  dependencies: 'schemas',
  enum: 'values',
  type: 'text',
  allOf: 'schemaList',
  anyOf: 'schemaList',
  oneOf: 'schemaList',
  not: 'schema',
  definitions: 'schemas',
  title: 'text',
  description: 'text',
  default: 'value',
  format: 'text',
  examples: 'values',
  media: 'schema',
  binaryEncoding: 'text',
}

/** Keywords the stored form drops, though they mean something. */
const UNSTORED: ReadonlySet<string> = new Set(['const', 'contains', 'propertyNames', 'if', 'then', 'else'])

/** Keywords that say nothing about documents. */
const ANNOTATIONS: ReadonlySet<string> = new Set([
  'title',
  'description',
  'default',
  'examples',
  'media',
  'binaryEncoding',
])

const MEMBERS = [...Object.keys(KEYWORDS), ...UNSTORED]
const ROOT = goStruct('Schema', 'jsonschema.Schema', MEMBERS)
const NESTED = goStruct('Type', 'jsonschema.Type', MEMBERS)

/** Throws INVALID_SCHEMA for what is no JSON, or has a keyword of a wrong type. JSON null is the empty schema. */
export function normaliseSchema(text: string): NormalisedSchema {
  if (text.length > MAX_SCHEMA_BYTES) throw invalidSchema(`invalid schema: more than ${MAX_SCHEMA_BYTES} bytes`)
  let node: JsonNode
  try {
    node = readJson(text, LIMITS)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw invalidSchema(cause instanceof RangeError ? `invalid schema: ${reason}` : reason, cause)
  }
  const decoder = new GoDecoder()
  const schema = new SchemaReader(decoder).schema(node, ROOT)
  if (decoder.problem !== undefined) throw invalidSchema(decoder.problem)
  return schema ?? { stored: '{}', enforced: {} }
}

export function invalidSchema(message: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_SCHEMA', message, { cause })
}

/** The value of a keyword in both forms; `undefined` where the form goes without it. */
interface KeywordValue {
  readonly stored?: string | undefined
  readonly enforced?: JsonValue | undefined
}

class SchemaReader {
  readonly #decoder: GoDecoder
  readonly #read: Readonly<Record<Kind, (node: JsonNode) => KeywordValue>> = {
    text: (node) => sameInBoth(this.#decoder.string(node) || undefined),
    integer: (node) => this.#integer(node, false),
    count: (node) => this.#integer(node, true),
    flag: (node) => sameInBoth(this.#decoder.boolean(node) || undefined),
    texts: (node) =>
      listOf(this.#decoder.list(node, '[]string', (item) => sameInBoth(this.#decoder.string(item) ?? ''))),
    value: (node) => (node.kind === 'null' ? {} : this.#value(node)),
    values: (node) => listOf(this.#decoder.list(node, '[]interface {}', (item) => this.#value(item))),
    verbatim: (node) => (node.kind === 'null' ? {} : { stored: verbatimText(node), enforced: plainValue(node) }),
    schema: (node) => this.schema(node, NESTED) ?? {},
    schemaList: (node) => listOf(this.#decoder.list(node, '[]*jsonschema.Type', (item) => this.#schemaOrNull(item))),
    schemas: (node) =>
      mapOf(this.#decoder.map(node, 'map[string]*jsonschema.Type', (item) => this.#schemaOrNull(item))),
  }

  constructor(decoder: GoDecoder) {
    this.#decoder = decoder
  }

  schema(node: JsonNode, struct: typeof ROOT): NormalisedSchema | undefined {
    const values = new Map<string, KeywordValue>()
    const read = this.#decoder.object(node, struct, (keyword, value) => {
      const kind = KEYWORDS[keyword]
      values.set(keyword, kind === undefined ? { enforced: plainValue(value) } : this.#read[kind](value))
    })
    if (!read) return undefined
    return { stored: storedText(values, struct === ROOT), enforced: enforcedNode(values) }
  }

  #integer(node: JsonNode, zeroCounts: boolean): KeywordValue {
    const value = this.#decoder.integer(node)
    if (value === undefined) return {}
    // The text, as a double would round what is beyond 2^53.
    const stored = node.kind === 'number' && value !== 0 ? node.text : undefined
    return { stored, enforced: value !== 0 || zeroCounts ? value : undefined }
  }

  #value(node: JsonNode): KeywordValue {
    this.#checkNumbers(node)
    const value = plainValue(node)
    return this.#decoder.problem === undefined ? sameInBoth(value) : {}
  }

  #checkNumbers(node: JsonNode): void {
    if (node.kind === 'number') this.#decoder.float(node)
    else if (node.kind === 'array') for (const item of node.items) this.#checkNumbers(item)
    else if (node.kind === 'object') for (const member of node.members) this.#checkNumbers(member.node)
  }

  #schemaOrNull(node: JsonNode): KeywordValue {
    return this.schema(node, NESTED) ?? { stored: 'null', enforced: null }
  }
}

function sameInBoth(value: JsonValue | undefined): KeywordValue {
  return value === undefined ? {} : { stored: jsonText(value), enforced: value }
}

function listOf(items: readonly KeywordValue[] = []): KeywordValue {
  if (items.length === 0) return {}
  return {
    stored: `[${items.map((item) => item.stored).join(',')}]`,
    enforced: items.map((item) => item.enforced ?? null),
  }
}

function mapOf(members: ReadonlyMap<string, KeywordValue> = new Map()): KeywordValue {
  if (members.size === 0) return {}
  const sorted = [...members].toSorted(([a], [b]) => compareText(a, b))
  return {
    stored: `{${sorted.map(([name, value]) => `${jsonText(name)}:${value.stored}`).join(',')}}`,
    enforced: Object.fromEntries(sorted.map(([name, value]) => [name, value.enforced ?? null])),
  }
}

function storedText(values: ReadonlyMap<string, KeywordValue>, isRoot: boolean): string {
  const keywords = Object.keys(KEYWORDS).filter((keyword) => keyword !== 'definitions' || !isRoot)
  if (isRoot) keywords.push('definitions')
  const members = keywords.flatMap((keyword) => {
    const text = values.get(keyword)?.stored
    return text === undefined ? [] : [`${jsonText(keyword)}:${text}`]
  })
  return `{${members.join(',')}}`
}

function enforcedNode(values: ReadonlyMap<string, KeywordValue>): SchemaNode {
  const members: [string, JsonValue][] = []
  for (const [keyword, { enforced }] of values) {
    if (enforced !== undefined && !ANNOTATIONS.has(keyword)) members.push([keyword, enforced])
  }
  return Object.fromEntries(members)
}
