/**
 * Makes a schema safe to compile. A schema comes from anyone: what would make the compiler load other schemas, or
 * return promises, is left out, and references may only lead to other parts of the schema.
 */
import { isDocument, type JsonValue } from '../json.ts'
import { invalidSchema, type SchemaNode } from './normalise.ts'

/** Set on schemas that references lead to: repeated work always passes through one of them. */
export const BUDGET_KEYWORD = '$budget'

const ONE_SCHEMA: ReadonlySet<string> = new Set([
  'items',
  'additionalItems',
  'additionalProperties',
  'not',
  'if',
  'then',
  'else',
  'contains',
  'propertyNames',
])
const SCHEMA_LISTS: ReadonlySet<string> = new Set(['allOf', 'anyOf', 'oneOf', 'items'])
const SCHEMA_MAPS: ReadonlySet<string> = new Set(['properties', 'patternProperties', 'definitions', 'dependencies'])

/** Keywords that name, load or change a schema. */
const LEFT_OUT: ReadonlySet<string> = new Set([
  '$schema',
  '$id',
  'id',
  '$anchor',
  '$recursiveAnchor',
  '$dynamicAnchor',
  '$async',
  '$data',
  'nullable',
  'discriminator',
  BUDGET_KEYWORD,
])

/** In these versions `exclusiveMinimum` is a number; in older ones, and where no version is said, a boolean. */
const NUMERIC_EXCLUSIVE = /^http:\/\/json-schema\.org\/draft-0[67]\/schema#?$/
/** Knows none of the keywords that the stored form drops. */
const DRAFT_04 = /^http:\/\/json-schema\.org\/draft-04\/schema#?$/
const LATER_KEYWORDS: ReadonlySet<string> = new Set(['const', 'contains', 'propertyNames', 'if', 'then', 'else'])

/** A reference by a name. Names are left out, as in go-threads, where such a reference then leads to the root. */
const NAMED_REF = /^#[^/]/

type Node = Record<string, JsonValue>

/** A copy of a schema to compile as draft-07. Throws INVALID_SCHEMA for a reference that leads out of the schema. */
export function prepareSchema(schema: SchemaNode): SchemaNode {
  const version = typeof schema['$schema'] === 'string' ? schema['$schema'] : ''
  const preparation = new Preparation(version)
  const root = preparation.copy(schema)
  for (const ref of preparation.refs) {
    const target = resolve(ref, root)
    if (target === undefined || !preparation.nodes.has(target)) {
      throw invalidSchema(`invalid schema: $ref ${JSON.stringify(ref)} leads to no part of the schema`)
    }
    target[BUDGET_KEYWORD] = true
  }
  return root
}

class Preparation {
  readonly nodes = new Set<Node>()
  readonly refs = new Set<string>()
  readonly #numericExclusive: boolean
  readonly #leftOut: (keyword: string) => boolean

  constructor(version: string) {
    this.#numericExclusive = NUMERIC_EXCLUSIVE.test(version)
    const isDraft04 = DRAFT_04.test(version)
    this.#leftOut = (keyword) => LEFT_OUT.has(keyword) || (isDraft04 && LATER_KEYWORDS.has(keyword))
  }

  copy(schema: SchemaNode): Node {
    const members = Object.entries(schema).filter(([keyword]) => !this.#leftOut(keyword))
    const node = Object.fromEntries(members.map(([keyword, value]) => [keyword, this.#keyword(keyword, value)]))
    if (!this.#numericExclusive) {
      makeNumeric(node, 'exclusiveMinimum', 'minimum')
      makeNumeric(node, 'exclusiveMaximum', 'maximum')
    }
    const ref = node['$ref']
    if (typeof ref === 'string') {
      node['$ref'] = NAMED_REF.test(ref) ? '#' : ref
      this.refs.add(node['$ref'])
    }
    this.nodes.add(node)
    return node
  }

  #keyword(keyword: string, value: JsonValue): JsonValue {
    if (SCHEMA_LISTS.has(keyword) && Array.isArray(value)) return value.map((item) => this.#schema(item))
    if (ONE_SCHEMA.has(keyword)) return this.#schema(value)
    if (!SCHEMA_MAPS.has(keyword) || !isDocument(value)) return value
    return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, this.#schema(item)]))
  }

  #schema(value: JsonValue): JsonValue {
    return isDocument(value) ? this.copy(value) : value
  }
}

function makeNumeric(node: Node, exclusive: string, bound: string): void {
  const limit = node[bound]
  if (node[exclusive] !== true || limit === undefined) return
  node[exclusive] = limit
  delete node[bound]
}

/** The part of a schema that a JSON pointer in a URI fragment leads to. */
function resolve(ref: string, root: Node): Node | undefined {
  const [start, ...names] = ref.split('/')
  if (start !== '#') return undefined
  let value: JsonValue | undefined = root
  for (const name of names) {
    const key = decoded(name)
    if (typeof value !== 'object' || value === null || key === undefined || !Object.hasOwn(value, key)) return undefined
    value = (value as Readonly<Record<string, JsonValue>>)[key]
  }
  return isDocument(value) ? value : undefined
}

function decoded(name: string): string | undefined {
  try {
    return decodeURIComponent(name).replaceAll('~1', '/').replaceAll('~0', '~')
  } catch {
    return undefined
  }
}
