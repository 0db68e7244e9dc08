import { Ajv, type ErrorObject, type Options, type ValidateFunction } from 'ajv'
import { ThreadsError } from '../../core/errors.ts'
import type { Document } from '../json.ts'
import { Budget, BudgetExceeded, PATTERN_WORK } from './budget.ts'
import { FORMATS } from './formats.ts'
import { ownKeywords } from './keywords.ts'
import { describeErrors } from './messages.ts'
import { invalidSchema, type SchemaNode } from './normalise.ts'
import { isPattern, LinearPattern } from './patterns.ts'
import { prepareSchema } from './prepare.ts'

/** Throws INVALID_INSTANCE if a document does not fit the schema. */
export type Validator = (document: Document) => void

/** Compiles a schema. Throws INVALID_SCHEMA if it cannot be enforced. */
export function createValidator(schema: SchemaNode): Validator {
  const budget = new Budget()
  let validate: ValidateFunction
  try {
    const prepared = prepareSchema(schema)
    refuseMalformed(prepared)
    validate = createAjv(budget).compile(prepared)
  } catch (cause) {
    if (cause instanceof ThreadsError) throw cause
    throw invalidSchema(`invalid schema: ${cause instanceof Error ? cause.message : String(cause)}`, cause)
  }
  return (document) => {
    budget.start()
    if (run(validate, document)) return
    const { errors } = validate
    // The compiled function would keep the document alive until it is next called.
    validate.errors = null
    throw new ThreadsError('INVALID_INSTANCE', `instance doesn't correspond to schema: ${describeErrors(errors ?? [])}`)
  }
}

function run(validate: ValidateFunction, document: Document): boolean {
  try {
    return validate(document)
  } catch (cause) {
    if (cause instanceof BudgetExceeded) {
      throw new ThreadsError('INVALID_INSTANCE', 'instance takes too much work to hold against its schema', { cause })
    }
    if (cause instanceof RangeError) throw invalidSchema('invalid schema: its references lead in a circle', cause)
    throw cause
  }
}

const OPTIONS: Options = {
  strict: false,
  logger: false,
  ownProperties: true,
  formats: FORMATS,
  // Its messages are replaced; data and schema of an error are needed for that.
  messages: false,
  verbose: true,
}

/** Holds schemas against the schema of schemas; one for all, as compiling that takes longer than anything else. */
const metaAjv = new Ajv(OPTIONS)

function refuseMalformed(schema: SchemaNode): void {
  if (metaAjv.validateSchema(schema) === true) return
  const [first] = metaAjv.errors ?? []
  throw invalidSchema(`invalid schema: ${first === undefined ? 'not well formed' : malformedText(first)}`)
}

function malformedText({ instancePath, keyword }: ErrorObject): string {
  return `${instancePath === '' ? '(root)' : instancePath} breaks the rule ${keyword}`
}

function createAjv(budget: Budget): Ajv {
  const regex = (text: string): boolean => {
    budget.spend(text.length * PATTERN_WORK)
    return isPattern(text)
  }
  const compilePattern = (pattern: string): LinearPattern => new LinearPattern(pattern, budget)
  const ajv = new Ajv({
    ...OPTIONS,
    formats: { ...FORMATS, regex },
    meta: false,
    validateSchema: false,
    allErrors: true,
    // References stay calls: copies of what they lead to could grow without bound.
    inlineRefs: false,
    ignoreKeywordsWithRef: true,
    code: { regExp: Object.assign(compilePattern, { code: 'pattern' }) },
  })
  for (const definition of ownKeywords(budget)) {
    ajv.removeKeyword(String(definition.keyword))
    ajv.addKeyword(definition)
  }
  return ajv
}
