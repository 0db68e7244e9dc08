import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import { edgeOf, fnv1a64 } from '../../../src/core/edge.ts'

describe('edges', () => {
  test('are FNV-1a with 64 bits, as bigints compute it', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array()), (chunks) => {
        let hash = 0xcbf29ce484222325n
        for (const byte of chunks.flatMap((chunk) => [...chunk])) {
          hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n)
        }
        expect(fnv1a64(chunks)).toBe(hash)
      }),
    )
  })

  test.each([
    ['', 0xcbf29ce484222325n],
    ['a', 0xaf63dc4c8601ec8cn],
    ['foobar', 0x85944171f73967e8n],
  ])('of %j is the published value', (text, hash) => {
    expect(fnv1a64([utf8(text)])).toBe(hash)
  })

  test('do not depend on the order of the entries', () => {
    const pair = fc.tuple(fc.uint8Array({ maxLength: 5 }), fc.uint8Array({ maxLength: 5 }))
    fc.assert(
      fc.property(fc.array(pair, { maxLength: 10 }), fc.infiniteStream(fc.nat()), (pairs, order) => {
        const shuffled = pairs
          .map((one) => [order.next().value, one] as const)
          .toSorted(([a], [b]) => Number(a) - Number(b))
        expect(edgeOf(shuffled.map(([, one]) => one))).toBe(edgeOf(pairs))
      }),
    )
  })
})
