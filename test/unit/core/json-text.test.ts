import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type JsonValue, jsonText } from '../../../src/core/json-text.ts'
import { failureOf } from '../../support/core-errors.ts'

describe('JSON text', () => {
  test('says the same as the value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        const wellFormed = JSON.parse(JSON.stringify(value).toWellFormed())
        expect(JSON.parse(jsonText(wellFormed))).toEqual(wellFormed)
      }),
    )
  })

  test.each<[JsonValue, string]>([
    [{ b: 1, a: 2, 10: 3, 9: 4 }, '{"10":3,"9":4,"a":2,"b":1}'],
    [{ '\u{1f600}': 1, '\uffff': 2 }, '{"\uffff":2,"\u{1f600}":1}'],
    ['<a href="x">&\u2028\u2029', '"\\u003ca href=\\"x\\"\\u003e\\u0026\\u2028\\u2029"'],
    ['\b\f\n\r\t\u0001\\b\\f', '"\\u0008\\u000c\\n\\r\\t\\u0001\\\\b\\\\f"'],
    ['\ud800', '"\ufffd"'],
    [[-0, 1e21, 1e-7, 0.1, null, true], '[-0,1e+21,1e-7,0.1,null,true]'],
    [JSON.parse('{"__proto__":{"a":1}}'), '{"__proto__":{"a":1}}'],
  ])('%j is written as %s', (value, text) => {
    expect(jsonText(value)).toBe(text)
  })

  test('numbers that are not finite and endless nesting are refused', () => {
    expect(failureOf(() => jsonText(Infinity)).code).toBe('INVALID_ARGUMENT')
    let nested: JsonValue = []
    for (let i = 0; i < 2000; i++) nested = [nested]
    expect(failureOf(() => jsonText(nested)).code).toBe('INVALID_ARGUMENT')
  })
})
