import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../../src/core/bytes.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { MAX_QUERY_BYTES, parseQuery } from '../../../../src/db/query/parse.ts'

describe('a query', () => {
  test('is read into plain members', () => {
    const text = JSON.stringify({
      ands: [{ fieldPath: 'a', operation: 4, value: { float: 1 } }],
      ors: [{ ands: [{ fieldPath: 'b', value: { bool: false } }] }],
      sort: { fieldPath: 'c', desc: true },
      seek: 'id',
      limit: 2,
      skip: 3,
      index: 'a',
    })
    expect(parseQuery(utf8(text))).toEqual({
      ands: [{ path: 'a', operation: 'ge', value: 1 }],
      ors: [{ ands: [{ path: 'b', operation: 'eq', value: false }] }],
      sort: { path: 'c', desc: true },
      seek: 'id',
      limit: 2,
      skip: 3,
      index: 'a',
    })
  })

  test('without anything to say is empty', () => {
    const text = '{"Ands":[],"Ors":null,"Sort":{"FieldPath":""},"Seek":"","Limit":0,"Skip":-1,"Index":""}'
    expect(parseQuery(utf8(text))).toEqual({})
  })

  test('keeps an empty text and zero as values', () => {
    const text = '{"ands":[{"fieldPath":"","value":{"string":""}},{"fieldPath":"a","value":{"float":0}}]}'
    expect(parseQuery(utf8(text)).ands).toEqual([
      { path: '', operation: 'eq', value: '' },
      { path: 'a', operation: 'eq', value: 0 },
    ])
  })
})

describe('refused is', () => {
  test('a query that is too long', () => {
    expect(() => parseQuery(new Uint8Array(MAX_QUERY_BYTES + 1).fill(0x20))).toThrow(/more than \d+ bytes/)
  })

  test('one nested too deep', () => {
    const text = `${'{"ors":['.repeat(1_000)}{}${']}'.repeat(1_000)}`
    expect(() => parseQuery(utf8(text))).toThrow(/invalid query: nested more than \d+ levels deep/)
  })

  test('one that is not UTF-8', () => {
    expect(() => parseQuery(Uint8Array.of(0x22, 0xff, 0x22))).toThrow(/UTF-8/)
  })

  test('anything else with INVALID_QUERY', () => {
    const anything = fc.oneof(fc.string(), fc.json(), fc.constantFrom('{"ands":[', '{"limit":"', '-', '"\\u12', 'tru'))
    fc.assert(
      fc.property(anything, (text) => {
        try {
          parseQuery(utf8(text))
        } catch (error) {
          expect(error).toBeInstanceOf(ThreadsError)
          expect(error).toMatchObject({ code: 'INVALID_QUERY' })
        }
      }),
    )
  })
})
