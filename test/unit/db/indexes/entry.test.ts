import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compareBytes, toHex } from '../../../../src/core/bytes.ts'
import type { IndexDefinition } from '../../../../src/db/indexes/definition.ts'
import { encodeComponent, entryKey, indexPrefix, isCut, readEntry } from '../../../../src/db/indexes/entry.ts'
import { compareValues } from '../../../../src/db/query/order.ts'
import { rowKey } from '../../../../src/store/key-codec.ts'
import { hardTexts, memberValues, signOf } from '../../../support/json-values.ts'

const PLACE = { thread: 300, generation: 2 }

function indexOf(...fields: IndexDefinition['fields']): IndexDefinition {
  return { number: 5, fields, unique: false, encoding: 1, ready: true }
}

describe('components order as their values do', () => {
  test('ascending', () => {
    fc.assert(
      fc.property(memberValues, memberValues, (a, b) => {
        const [first, second] = [encodeComponent(a), encodeComponent(b)]
        const order = signOf(compareBytes(first, second))
        if (order === 0 && isCut(first)) return
        expect(order).toBe(signOf(compareValues(a, b)))
      }),
      { numRuns: 3_000 },
    )
  })

  test('descending', () => {
    fc.assert(
      fc.property(memberValues, memberValues, (a, b) => {
        const order = signOf(compareBytes(encodeComponent(a, true), encodeComponent(b, true)))
        if (order === 0 && isCut(encodeComponent(a))) return
        expect(order).toBe(signOf(compareValues(b, a)))
      }),
      { numRuns: 3_000 },
    )
  })

  test('only strings that share their first 512 bytes and go on have one component', () => {
    const start = 'a'.repeat(510)
    expect(encodeComponent(`${start}éx`)).toEqual(encodeComponent(`${start}éy`))
    expect(encodeComponent(`${start}é`)).not.toEqual(encodeComponent(`${start}éy`))
    expect(encodeComponent(`${start}xy1`)).not.toEqual(encodeComponent(`${start}xz1`))
  })
})

describe('bytes of components', () => {
  test.each([
    [undefined, '10'],
    [null, '14'],
    [false, '20'],
    [true, '21'],
    [0, '308000000000000000'],
    [-0, '308000000000000000'],
    [1, '30bff0000000000000'],
    [-1, '30400fffffffffffff'],
    ['', '400001'],
    ['a\u0000b', '406100ff620001'],
    ['é\ud800', '40c3a9eda0800001'],
  ])('%j', (value, hex) => {
    expect(toHex(encodeComponent(value))).toBe(hex)
  })

  test('a string of 512 bytes is whole, a longer one is cut', () => {
    expect(toHex(encodeComponent('a'.repeat(512)))).toBe(`40${'61'.repeat(512)}0001`)
    expect(toHex(encodeComponent('a'.repeat(513)))).toBe(`40${'61'.repeat(512)}0002`)
    expect(toHex(encodeComponent('\u0000'.repeat(513)))).toBe(`40${'00ff'.repeat(512)}0002`)
  })

  test('a descending component has every byte inverted', () => {
    expect(toHex(encodeComponent('a', true))).toBe('bf9efffe')
  })
})

describe('entries', () => {
  test('tell component and id, whatever stands in them', () => {
    const ids = hardTexts.filter((text) => text.isWellFormed())
    fc.assert(
      fc.property(memberValues, memberValues, ids, fc.boolean(), (a, b, id, desc) => {
        const index = indexOf({ path: 'a', desc }, { path: 'b', desc: !desc })
        const document = { ...(a !== undefined && { a }), ...(b !== undefined && { b }) }
        const key = entryKey(PLACE, index, { id, document })
        const parts = readEntry(key, indexPrefix(PLACE, index).length, index)
        expect(parts).toEqual({ component: encodeComponent(a, desc), id })
      }),
      { numRuns: 1_000 },
    )
  })

  test('of equal values order by id', () => {
    const index = indexOf({ path: 'a', desc: false })
    const keys = ['', 'a', 'a\u0000', 'b', 'é'].map((id) => entryKey(PLACE, index, { id, document: { a: 1 } }))
    expect(keys.toReversed().toSorted(compareBytes)).toEqual(keys)
  })

  test('a key that does not hold an entry is damage of the store', () => {
    const index = indexOf({ path: 'a', desc: false })
    const key = rowKey('x', PLACE.thread, PLACE.generation, index.number, '@')
    expect(() => readEntry(key, indexPrefix(PLACE, index).length, index)).toThrow(/malformed/)
  })
})
