import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareBytes } from '../../../../src/core/bytes.ts'
import { compareStrings, compareValues, kindOf } from '../../../../src/db/query/order.ts'
import { rowKey } from '../../../../src/store/key-codec.ts'
import { hardTexts, memberValues, signOf } from '../../../support/json-values.ts'

test('strings order as their keys do, lone surrogates included', () => {
  fc.assert(
    fc.property(hardTexts, hardTexts, (a, b) => {
      const keys = compareBytes(rowKey('x', a), rowKey('x', b))
      expect(signOf(compareStrings(a, b))).toBe(signOf(keys))
    }),
    { numRuns: 2_000 },
  )
})

test('values of different kinds order by kind, from missing to objects', () => {
  const ordered = [undefined, null, false, true, -1e300, 0, 7, '', '7', 'a', [], [1], {}, { a: 1 }]
  for (const [i, lower] of ordered.entries()) {
    for (const [j, higher] of ordered.entries()) {
      expect(signOf(compareValues(lower, higher)), `${i} ${j}`).toBe(signOf(i - j))
    }
  }
})

test('0 and -0 are equal', () => {
  expect(compareValues(0, -0) === 0).toBe(true)
})

test('the order of members does not count between objects', () => {
  expect(compareValues({ a: 1, b: 2 }, { b: 2, a: 1 })).toBe(0)
})

test('arrays order by their items as texts, the beginning of a longer one first', () => {
  const ordered = [['a'], ['a', 1], ['a', 10], ['a', 2], ['b']]
  expect(ordered.toReversed().toSorted(compareValues)).toEqual(ordered)
})

test('the order is one: antisymmetric and transitive', () => {
  fc.assert(
    fc.property(memberValues, memberValues, memberValues, (a, b, c) => {
      expect(signOf(compareValues(a, b)) + signOf(compareValues(b, a))).toBe(0)
      if (compareValues(a, b) <= 0 && compareValues(b, c) <= 0) expect(compareValues(a, c)).toBeLessThanOrEqual(0)
      if (compareValues(a, b) === 0) expect(kindOf(a)).toBe(kindOf(b))
    }),
    { numRuns: 2_000 },
  )
})
