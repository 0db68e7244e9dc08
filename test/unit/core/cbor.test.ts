import { describe, expect, test } from 'vitest'
import { fromHex, toHex } from '../../../src/core/bytes.ts'
import { cidFromBytes, cidOf, decode, encode } from '../../../src/core/cbor.ts'
import { failureOf } from '../../support/core-errors.ts'

describe('dag-cbor of general values', () => {
  test('comes back as it was', () => {
    const value = {
      a: [1, -1, 1.5, true, null, 'x'],
      big: 2n ** 64n - 1n,
      bytes: Uint8Array.of(1, 2),
      link: cidOf(encode(1)),
    }
    const bytes = encode(value)
    expect(bytes.constructor).toBe(Uint8Array)
    expect(decode(bytes)).toEqual(value)
  })

  test('refuses values it cannot keep', () => {
    for (const value of [undefined, Number.NaN, () => {}, { a: undefined }]) {
      expect(failureOf(() => encode(value)).code).toBe('INVALID_ARGUMENT')
    }
  })

  test('refuses what it would not have written', () => {
    for (const cbor of ['', 'f7', '0000', '1801', 'a2616201616102', '9f01ff', 'fb7ff8000000000000']) {
      const read = () => decode(fromHex(cbor))
      if (cbor === 'f7') expect(read()).toBeNull()
      else if (cbor === 'a2616201616102') expect(read()).toEqual({ a: 2, b: 1 })
      else expect(failureOf(read).code).toBe('INVALID_RECORD')
    }
    expect(failureOf(() => decode(fromHex(`${'81'.repeat(1e6)}00`))).code).toBe('INVALID_RECORD')
  })

  test('CIDs of blocks are version 1, dag-cbor, sha2-256', () => {
    const cid = cidOf(fromHex('a0'))
    expect(cid.toString()).toBe('bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua')
    expect(toHex(cid.bytes)).toBe('01711220c19a797fa1fd590cd2e5b42d1cf5f246e29b91684e2f87404b81dc345c7a56a0')
    expect(cidFromBytes(cid.bytes).equals(cid)).toBe(true)
  })
})
