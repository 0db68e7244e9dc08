import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { plainValue } from '../../../../src/db/schema/json-node.ts'
import { readJson } from '../../../../src/db/schema/json-syntax.ts'

const LIMITS = { depth: 100, nodes: 10_000 }

/** JSON texts, and texts that are nearly JSON: a character changed, dropped or added. */
const nearlyJson = fc
  .tuple(fc.json(), fc.nat(), fc.nat(2), fc.constantFrom(...'{}[]",:\\ 0123456789.eE+-tfnu\u0001é'.split('')))
  .map(([text, at, drop, add]) => {
    const offset = at % (text.length + 1)
    return text.slice(0, offset) + add + text.slice(offset + drop)
  })

function parsed(text: string): unknown {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return 'refused'
  }
}

function read(text: string): unknown {
  try {
    return { value: plainValue(readJson(text, LIMITS)) }
  } catch (error) {
    if (error instanceof SyntaxError) return 'refused'
    throw error
  }
}

test('what is JSON, and what it means, is as JSON.parse has it', () => {
  fc.assert(
    fc.property(fc.oneof(fc.json(), nearlyJson, fc.string()), (text) => {
      expect(read(text)).toEqual(parsed(text))
    }),
    { numRuns: 5_000 },
  )
})

test('numbers keep their text, objects the order of their members and repeated ones', () => {
  expect(readJson('{"b":1.50,"a":-0,"b":1E2}', LIMITS)).toEqual({
    kind: 'object',
    members: [
      { name: 'b', node: { kind: 'number', text: '1.50' } },
      { name: 'a', node: { kind: 'number', text: '-0' } },
      { name: 'b', node: { kind: 'number', text: '1E2' } },
    ],
  })
})

describe('what is wrong is told in the words of Go', () => {
  test.each([
    ['', 'unexpected end of JSON input'],
    ['{"a":', 'unexpected end of JSON input'],
    ['"abc', 'unexpected end of JSON input'],
    ['"\\', 'unexpected end of JSON input'],
    ['"\\u00', 'unexpected end of JSON input'],
    ['-', 'unexpected end of JSON input'],
    ['tru', 'unexpected end of JSON input'],
    ['truE', "invalid character 'E' in literal true (expecting 'e')"],
    ['nul1', "invalid character '1' in literal null (expecting 'l')"],
    ['-a', "invalid character 'a' in numeric literal"],
    ['01', "invalid character '1' after top-level value"],
    ['"a\u0001"', "invalid character '\\u0001' in string literal"],
    ['"\\x"', "invalid character 'x' in string escape code"],
    ['"\\u00g0"', "invalid character 'g' in \\u hexadecimal character escape"],
    ['{a:1}', "invalid character 'a' looking for beginning of object key string"],
    ['{"a" 1}', "invalid character '1' after object key"],
    ['{"a":1 "b":2}', "invalid character '\"' after object key:value pair"],
    ['[1 2]', "invalid character '2' after array element"],
    ["['a']", "invalid character '\\'' looking for beginning of value"],
    ['名', "invalid character 'å' looking for beginning of value"],
  ])('%s', (text, message) => {
    expect(() => readJson(text, LIMITS)).toThrow(new SyntaxError(message))
  })
})

test('limits hold', () => {
  expect(() => readJson('[[[]]]', { depth: 2, nodes: 10 })).toThrow(RangeError)
  expect(() => readJson('[1,2,3]', { depth: 2, nodes: 3 })).toThrow(RangeError)
  expect(() => readJson('['.repeat(100_000), LIMITS)).toThrow(RangeError)
})
