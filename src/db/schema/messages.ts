/** Violations of a schema in the words of go-threads, which clients match. */
import type { ErrorObject } from 'ajv'
import { jsonText } from '../../core/json-text.ts'
import type { JsonValue } from '../json.ts'
import type { UnionParams } from './keywords.ts'

/** Violations told at most, and characters of one that are told at most: the text must fit a reply's header. */
const MAX_VIOLATIONS = 20
const MAX_CHARACTERS = 300

/** What the compiled schema tells of a violation: an error of Ajv with its parameters spelt out. */
export interface Violation extends Pick<ErrorObject, 'keyword' | 'instancePath' | 'schemaPath' | 'schema' | 'data'> {
  readonly params: ViolationParams
}

/** Each keyword has some of them. */
interface ViolationParams extends Partial<UnionParams> {
  readonly limit?: number
  readonly multipleOf?: number
  readonly pattern?: string
  readonly format?: string
  readonly missingProperty?: string
  readonly additionalProperty?: string
  readonly propertyName?: string
  readonly failingKeyword?: string
  readonly i?: number
  readonly j?: number
}

/** `FIELD: DESCRIPTION; FIELD: DESCRIPTION`, members of an object after the object itself. */
export function describeErrors(errors: readonly Violation[]): string {
  const violations = arranged(errors)
  const told = violations.slice(0, MAX_VIOLATIONS).map((violation) => shortened(describe(violation)))
  const more = violations.length - told.length
  return [...told, ...(more > 0 ? [`and ${more} more`] : [])].join('; ')
}

function describe(violation: Violation): string {
  const field = fieldOf(violation.instancePath)
  const { keyword } = violation
  const text = Object.hasOwn(DESCRIPTIONS, keyword) ? DESCRIPTIONS[keyword]?.(violation, field) : undefined
  return `${field}: ${text ?? `Does not fit the schema (${keyword})`}`
}

const DESCRIPTIONS: Readonly<Record<string, (violation: Violation, field: string) => string>> = {
  required: ({ params }) => `${params.missingProperty} is required`,
  type: ({ schema, data }) => `Invalid type. Expected: ${String(schema)}, given: ${typeName(data)}`,
  additionalProperties: ({ params }) => `Additional property ${params.additionalProperty} is not allowed`,
  minLength: ({ params }) => `String length must be greater than or equal to ${params.limit}`,
  maxLength: ({ params }) => `String length must be less than or equal to ${params.limit}`,
  pattern: ({ params }) => `Does not match pattern '${params.pattern}'`,
  format: ({ params }) => `Does not match format '${params.format}'`,
  minimum: ({ params }) => `Must be greater than or equal to ${params.limit}`,
  maximum: ({ params }) => `Must be less than or equal to ${params.limit}`,
  exclusiveMinimum: ({ params }) => `Must be greater than ${params.limit}`,
  exclusiveMaximum: ({ params }) => `Must be less than ${params.limit}`,
  multipleOf: ({ params }) => `Must be a multiple of ${params.multipleOf}`,
  enum: ({ schema }, field) => `${field} must be one of the following: ${listText(schema)}`,
  const: ({ schema }, field) => `${field} does not match: ${jsonText(schema as JsonValue)}`,
  minItems: ({ params }) => `Array must have at least ${params.limit} items`,
  maxItems: ({ params }) => `Array must have at most ${params.limit} items`,
  uniqueItems: ({ params }) => `array items[${params.i},${params.j}] must be unique`,
  contains: () => 'At least one of the items must match',
  minProperties: ({ params }) => `Must have at least ${params.limit} properties`,
  maxProperties: ({ params }) => `Must have at most ${params.limit} properties`,
  propertyNames: ({ params }) => `Property name of "${params.propertyName}" does not match`,
  anyOf: () => 'Must validate at least one schema (anyOf)',
  oneOf: () => 'Must validate one and only one schema (oneOf)',
  allOf: () => 'Must validate all the schemas (allOf)',
  not: () => 'Must not validate the schema (not)',
  if: ({ params }) =>
    params.failingKeyword === 'then'
      ? 'Must validate "then" as "if" was valid'
      : 'Must validate "else" as "if" was not valid',
  dependencies: ({ params }) => `Has a dependency on ${params.missingProperty}`,
}

/** Violations in the order they are told. Of a failed union, only the branch that came closest. */
function arranged(errors: readonly Violation[]): Violation[] {
  const units: Violation[][] = []
  let end = errors.length
  while (end > 0) {
    const error = errors[--end]
    if (error === undefined) break
    const { counts = [], passing = 0 } = error.params
    const branches: Violation[][] = []
    for (const count of counts.toReversed()) {
      branches.unshift(arranged(errors.slice(end - count, end)))
      end -= count
    }
    units.push(passing > 0 ? [error] : [error, ...closest(branches, error.instancePath)])
  }
  const mistyped = new Set(units.flatMap(([head]) => (head?.keyword === 'type' ? [placeOf(head)] : [])))
  return units.toReversed().flatMap((unit) => {
    const [head] = unit
    return head !== undefined && head.keyword !== 'type' && mistyped.has(placeOf(head)) ? [] : unit
  })
}

/** A branch for values of another type is further off than any other; then fewer violations are closer. */
function closest(branches: readonly Violation[][], place: string): Violation[] {
  const fitting = branches.filter(
    (branch) => !branch.some((each) => each.keyword === 'type' && each.instancePath === place),
  )
  const comparable = fitting.length > 0 ? fitting : branches
  return comparable.toSorted((a, b) => a.length - b.length)[0] ?? []
}

/** A value and the schema it was held against. Of a value of a wrong type nothing else is told. */
function placeOf({ instancePath, schemaPath }: Violation): string {
  return `${instancePath} ${schemaPath.slice(0, schemaPath.lastIndexOf('/'))}`
}

/** JSON pointer to names joined by dots. */
function fieldOf(pointer: string): string {
  if (pointer === '') return '(root)'
  const names = pointer.slice(1).split('/')
  return names.map((name) => name.replaceAll('~1', '/').replaceAll('~0', '~')).join('.')
}

function typeName(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  return Number.isInteger(value) ? 'integer' : typeof value
}

function listText(values: unknown): string {
  return Array.isArray(values) ? values.map((value: JsonValue) => jsonText(value)).join(', ') : ''
}

function shortened(text: string): string {
  return text.length > MAX_CHARACTERS ? `${text.slice(0, MAX_CHARACTERS)}…` : text
}
