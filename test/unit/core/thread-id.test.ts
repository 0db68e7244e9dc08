import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { concatBytes, fromHex } from '../../../src/core/bytes.ts'
import { randomBytes } from '../../../src/core/crypto.ts'
import {
  newThreadId,
  parseThreadId,
  threadIdFromBytes,
  threadIdToBytes,
  variantOf,
} from '../../../src/core/thread-id.ts'
import { failureOf } from '../../support/core-errors.ts'

describe('a thread id', () => {
  test('is its canonical text, so that equal ids are equal strings', () => {
    fc.assert(
      fc.property(fc.constantFrom(0x55, 0x70), fc.uint8Array({ minLength: 1, maxLength: 64 }), (variant, random) => {
        fc.pre(variant === 0x55 || random.length !== 33 || random[0] !== 1)
        const bytes = concatBytes(Uint8Array.of(1, variant), random)
        const id = threadIdFromBytes(bytes)
        expect(threadIdToBytes(id)).toEqual(bytes)
        expect(parseThreadId(id.toUpperCase())).toBe(id)
        expect(parseThreadId(`f${Buffer.from(bytes).toString('hex')}`)).toBe(id)
      }),
    )
  })

  test('made here has 32 random bytes and says its variant', () => {
    const raw = newThreadId('raw', randomBytes)
    const controlled = newThreadId('access-controlled', randomBytes)
    expect([raw.slice(0, 4), controlled.slice(0, 4)]).toEqual(['bafk', 'bafy'])
    expect([variantOf(raw), variantOf(controlled)]).toEqual(['raw', 'access-controlled'])
    expect(threadIdToBytes(raw).length).toBe(34)
    expect(newThreadId('raw', randomBytes)).not.toBe(raw)
  })

  test('of a kind that is reserved for later is refused', () => {
    const reserved = concatBytes(fromHex('017001'), new Uint8Array(32))
    expect(failureOf(() => threadIdFromBytes(reserved))).toMatchObject({
      code: 'INVALID_ID',
      message: 'the thread needs a newer version of this program',
    })
    expect(variantOf(threadIdFromBytes(concatBytes(fromHex('017002'), new Uint8Array(32))))).toBe('access-controlled')
    expect(variantOf(threadIdFromBytes(concatBytes(fromHex('015501'), new Uint8Array(32))))).toBe('raw')
  })

  test('longer than any in use is refused', () => {
    expect(failureOf(() => threadIdFromBytes(concatBytes(fromHex('0155'), new Uint8Array(5000)))).code).toBe(
      'INVALID_ID',
    )
  })
})
