import { describe, expect, test } from 'vitest'
import { hasCode, type ThreadsError } from '../../../../src/core/errors.ts'
import type { Document, JsonValue } from '../../../../src/db/json.ts'
import { compileSchema, refuseSchemaWithoutId } from '../../../../src/db/schema/index.ts'

const ID = { _id: { type: 'string' } }

/** The error of a document under a schema; `undefined` if it fits. */
function violation(schema: object, document: Document): ThreadsError | undefined {
  try {
    compileSchema(JSON.stringify({ properties: ID, ...schema })).validate(document)
    return undefined
  } catch (error) {
    if (hasCode(error, 'INVALID_INSTANCE') || hasCode(error, 'INVALID_SCHEMA')) return error
    throw error
  }
}

function propertyViolation(schema: object, value: JsonValue): ThreadsError | undefined {
  return violation({ properties: { ...ID, a: schema } }, { _id: 'x', a: value })
}

describe('a schema of a stranger', () => {
  test('cannot make validation asynchronous, and so pass everything', () => {
    expect(violation({ $async: true, required: ['a'] }, {})?.code).toBe('INVALID_INSTANCE')
    const nested = { additionalProperties: { $async: true, type: 'string' } }
    expect(violation(nested, { a: 1 })?.code).toBe('INVALID_INSTANCE')
  })

  test('cannot refer to other schemas', () => {
    for (const $ref of ['http://localhost/x', 'file:///etc/passwd', 'x.json#', '#/properties', '#/enum/0', '#/%zz']) {
      const error = propertyViolation({ $ref }, 1)
      expect(error?.code, $ref).toBe('INVALID_SCHEMA')
      expect(error?.message).toContain('leads to no part of the schema')
    }
  })

  test('cannot name members of prototypes as present', () => {
    expect(violation({ required: ['toString'] }, {})?.message).toContain('toString is required')
    expect(violation({ required: ['__proto__'] }, {})?.message).toContain('__proto__ is required')
  })

  test('cannot read values of the document as limits', () => {
    expect(violation({ additionalProperties: { const: { $data: '/_id' } } }, { _id: 'x', a: 'x' })).toBeDefined()
  })

  test('cannot run code', () => {
    const text = "');globalThis.hacked=1;('"
    const schema = { properties: { ...ID, [text]: { enum: [text], pattern: text } }, required: [text] }
    expect(violation(schema, { [text]: 1 })).toBeDefined()
    expect(violation({ ...schema, properties: { ...ID, [text]: {} } }, { [text]: 1 })).toBeUndefined()
    expect(Object.hasOwn(globalThis, 'hacked')).toBe(false)
  })

  test('cannot use patterns that take exponential time', () => {
    expect(propertyViolation({ pattern: '^(a+)+$' }, `${'a'.repeat(20_000)}!`)?.code).toBe('INVALID_INSTANCE')
    expect(propertyViolation({ pattern: '(?=a)' }, 'a')?.code).toBe('INVALID_SCHEMA')
  })

  test('cannot make the work grow without bound', () => {
    const definitions: Record<string, object> = { d0: { type: 'string' } }
    for (let i = 1; i < 60; i++) {
      definitions[`d${i}`] = { anyOf: [{ $ref: `#/definitions/d${i - 1}` }, { $ref: `#/definitions/d${i - 1}` }] }
    }
    const doubled = { properties: { ...ID, a: { $ref: '#/definitions/d59' } }, definitions }
    expect(violation(doubled, { a: 1 })?.message).toContain('takes too much work')

    let deep: Document = {}
    for (let i = 0; i < 60; i++) deep = { c: deep }
    const twice = {
      properties: { c: { $ref: '#/definitions/T' } },
      patternProperties: { c: { $ref: '#/definitions/T' } },
    }
    const recursive = { properties: { ...ID, a: { $ref: '#/definitions/T' } }, definitions: { T: twice } }
    expect(violation(recursive, { a: deep })?.message).toContain('takes too much work')

    const patterns = Array.from({ length: 3_000 }, (_, i) => ({ pattern: `x${i}` }))
    expect(propertyViolation({ allOf: patterns }, 'a'.repeat(100_000))?.message).toContain('takes too much work')
    expect(propertyViolation({ format: 'regex' }, 'a'.repeat(1_000_000))?.message).toContain('takes too much work')
  })

  test('cannot go in circles', () => {
    const definitions = { T: { $ref: '#/definitions/U' }, U: { $ref: '#/definitions/T' } }
    const circle = { properties: { ...ID, a: { $ref: '#/definitions/T' } }, definitions }
    expect(violation(circle, { a: 1 })?.code).toBe('INVALID_SCHEMA')
    expect(violation({ allOf: [{ $ref: '#' }] }, {})?.code).toBe('INVALID_SCHEMA')
  })

  test('cannot be too large or too deep', () => {
    const large = { description: 'x'.repeat(300_000) }
    expect(() => compileSchema(JSON.stringify(large))).toThrow(/more than \d+ bytes/)
    const many = { required: Array.from({ length: 20_000 }, () => '') }
    expect(() => compileSchema(JSON.stringify(many))).toThrow(/more than \d+ values/)
    expect(() => compileSchema(`${'{"not":'.repeat(100)}{}${'}'.repeat(100)}`)).toThrow(/more than \d+ levels deep/)
  })
})

describe('a schema', () => {
  test('that is broken is told at every document', () => {
    const schema = compileSchema(JSON.stringify({ properties: { ...ID, a: { type: 'foo' } } }))
    for (let i = 0; i < 2; i++) expect(() => schema.validate({})).toThrow(/invalid schema: \/properties\/a\/type/)
  })

  test('goes on working after it refused a document', () => {
    const schema = compileSchema(JSON.stringify({ properties: { ...ID, a: { type: 'integer' } } }))
    expect(() => schema.validate({ a: 'x' })).toThrow(/Expected: integer/)
    schema.validate({ a: 1 })
    expect(() => schema.validate({ a: 1.5 })).toThrow(/given: number/)
  })

  test('takes documents without a prototype', () => {
    const document: Document = Object.assign(Object.create(null), { _id: 'x', a: Object.create(null), b: [] })
    const schema = { properties: { ...ID, a: { enum: [{}] }, b: { uniqueItems: true } }, required: ['a'] }
    expect(violation(schema, document)).toBeUndefined()
  })

  test('enforces what its stored form drops', () => {
    expect(propertyViolation({ minimum: 0 }, -1)?.message).toContain('a: Must be greater than or equal to 0')
    expect(propertyViolation({ minimum: 0, exclusiveMinimum: true }, 0)?.message).toContain('Must be greater than 0')
    expect(propertyViolation({ if: { type: 'string' }, else: { minimum: 2 } }, 1)).toBeDefined()
    expect(propertyViolation({ const: { k: [1] } }, { k: [1] })).toBeUndefined()
  })

  test('of draft-04 does not know later keywords', () => {
    const $schema = 'http://json-schema.org/draft-04/schema#'
    expect(violation({ $schema, additionalProperties: { const: 1 } }, { a: 2 })).toBeUndefined()
  })

  test('must say that _id is a string', () => {
    expect(() => refuseSchemaWithoutId(compileSchema('{}'))).toThrow(/_id property must be a string/)
    refuseSchemaWithoutId(compileSchema(JSON.stringify({ properties: ID })))
  })
})

describe('the text of a violation', () => {
  test('tells nothing more of a value of a wrong type', () => {
    const schema = { type: 'string', enum: ['x'], anyOf: [{ minLength: 1 }, { maxLength: 0 }], not: {} }
    expect(propertyViolation(schema, 1)?.message).toBe(
      "instance doesn't correspond to schema: a: Invalid type. Expected: string, given: integer",
    )
  })

  test('tells the branch of a union that came closest, also in unions of unions', () => {
    const named = { required: ['name', 'age'], properties: { name: { type: 'string' } } }
    const inner = { oneOf: [{ type: 'boolean' }, named] }
    const message = propertyViolation({ anyOf: [{ type: 'string' }, inner] }, { name: 1, age: 1 })?.message
    expect(message).toBe(
      "instance doesn't correspond to schema: a: Must validate at least one schema (anyOf); " +
        'a: Must validate one and only one schema (oneOf); a.name: Invalid type. Expected: string, given: integer',
    )
  })

  test('keeps the violations around a union', () => {
    const schema = { required: ['r'], anyOf: [{ required: ['s'] }, { required: ['t', 'u'] }], properties: ID }
    const message = violation(schema, { _id: 1 })?.message.replace("instance doesn't correspond to schema: ", '')
    expect(message?.split('; ').toSorted()).toEqual([
      '(root): Must validate at least one schema (anyOf)',
      '(root): r is required',
      '(root): s is required',
      '_id: Invalid type. Expected: string, given: integer',
    ])
  })

  test('names the first two items that are equal, in linear time', () => {
    const items = Array.from({ length: 100_000 }, (_, i) => ({ i, k: [i] }))
    expect(propertyViolation({ uniqueItems: true }, items)).toBeUndefined()
    const message = propertyViolation({ uniqueItems: true }, [{ a: 1, b: 2 }, 3, { b: 2, a: 1 }])?.message
    expect(message).toContain('a: array items[0,2] must be unique')
  })

  test('is bounded', () => {
    const document = Object.fromEntries(Array.from({ length: 10_000 }, (_, i) => [`${'x'.repeat(1_000)}${i}`, 1]))
    const message = violation({ additionalProperties: false }, document)?.message ?? ''
    expect(message.length).toBeLessThan(8_000)
    expect(message).toMatch(/; and 9980 more$/)
  })
})
