/**
 * Keywords that the compiler's own do not serve: combinations must say which branch failed how, values must be compared
 * by their own members in bounded time.
 */
import { _, type CodeKeywordDefinition, type FuncKeywordDefinition, type KeywordDefinition, Name } from 'ajv'
import type { ErrorObject } from 'ajv'
import { compareStrings } from '../query/order.ts'
import { isDocument, type JsonValue, sameValue } from '../json.ts'
import { type Budget, STEP_WORK } from './budget.ts'
import { BUDGET_KEYWORD } from './prepare.ts'

/** Of an error of `anyOf` or `oneOf`. */
export interface UnionParams {
  /** How many of the errors directly before it come from each failed branch. */
  readonly counts: readonly number[]
  readonly passing: number
}

/** The variable of compiled code that counts errors. */
const ERRORS = new Name('errors')

export function ownKeywords(budget: Budget): KeywordDefinition[] {
  return [
    allOf,
    unionOf('anyOf', 1),
    unionOf('oneOf', 2),
    comparison('enum', 'array', (allowed, value) => isOneOf(allowed, value, budget)),
    comparison('const', undefined, (allowed, value) => isOneOf([allowed], value, budget)),
    uniqueItems(budget),
    {
      keyword: BUDGET_KEYWORD,
      schemaType: 'boolean',
      errors: false,
      validate: () => {
        budget.spend(STEP_WORK)
        return true
      },
    } satisfies FuncKeywordDefinition,
  ]
}

/** Adds an error of its own to those of the branches. */
const allOf: CodeKeywordDefinition = {
  keyword: 'allOf',
  schemaType: 'array',
  error: { message: 'allOf' },
  code(context) {
    const { gen } = context
    const valid = gen.name('valid')
    const failed = gen.let('failed', false)
    for (const branch of branchesOf(context.schema)) {
      context.subschema({ keyword: 'allOf', schemaProp: branch }, valid)
      gen.if(_`!${valid}`, () => gen.assign(failed, true))
    }
    context.fail(failed)
  },
}

/** Exactly one branch must pass; no branch is tried once `enough` have passed. */
function unionOf(keyword: 'anyOf' | 'oneOf', enough: number): CodeKeywordDefinition {
  return {
    keyword,
    schemaType: 'array',
    trackErrors: true,
    error: {
      message: keyword,
      params: ({ params }) => _`{counts: ${params['counts']}, passing: ${params['passing']}}`,
    },
    code(context) {
      const { gen } = context
      const valid = gen.name('valid')
      const passing = gen.let('passing', 0)
      const counts = gen.const('counts', _`[]`)
      for (const branch of branchesOf(context.schema)) {
        gen.if(_`${passing} < ${enough}`, () => {
          const before = gen.const('before', ERRORS)
          context.subschema({ keyword, schemaProp: branch, compositeRule: true }, valid)
          gen.if(
            valid,
            () => gen.code(_`${passing}++`),
            () => gen.code(_`${counts}.push(${ERRORS} - ${before})`),
          )
        })
      }
      context.setParams({ counts, passing })
      context.result(
        _`${passing} === 1`,
        () => context.reset(),
        () => context.error(true),
      )
    },
  }
}

function branchesOf(schema: unknown): number[] {
  return Array.isArray(schema) ? [...schema.keys()] : []
}

function comparison(
  keyword: string,
  schemaType: 'array' | undefined,
  validate: (given: JsonValue, value: JsonValue) => boolean,
): FuncKeywordDefinition {
  return { keyword, ...(schemaType && { schemaType }), validate, errors: true }
}

function isOneOf(allowed: JsonValue, value: JsonValue, budget: Budget): boolean {
  if (!Array.isArray(allowed)) return false
  budget.spend(allowed.length)
  return allowed.some((each) => sameValue(each, value))
}

/** By texts of the items, as comparing each item with each would take quadratic time. */
function uniqueItems(budget: Budget): FuncKeywordDefinition {
  const check: FuncKeywordDefinition['validate'] & { errors?: Partial<ErrorObject>[] } = (
    wanted: boolean,
    items: readonly JsonValue[],
  ) => {
    if (!wanted) return true
    const places = new Map<string, number>()
    for (const [j, item] of items.entries()) {
      const text = canonicalText(item)
      budget.spend(text.length)
      const i = places.get(text)
      if (i !== undefined) {
        check.errors = [{ keyword: 'uniqueItems', params: { i, j } }]
        return false
      }
      places.set(text, j)
    }
    return true
  }
  return { keyword: 'uniqueItems', type: 'array', schemaType: 'boolean', errors: true, validate: check }
}

/** Equal for equal values only, whatever the order of members. */
function canonicalText(value: JsonValue): string {
  if (Array.isArray(value)) return `[${value.map(canonicalText).join(',')}]`
  if (!isDocument(value)) return JSON.stringify(value)
  const names = Object.keys(value).toSorted(compareStrings)
  return `{${names.map((name) => `${JSON.stringify(name)}:${canonicalText(value[name] ?? null)}`).join(',')}}`
}
