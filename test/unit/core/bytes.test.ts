import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  bytesKey,
  compareBytes,
  compareText,
  concatBytes,
  equalBytes,
  fromHex,
  textOfUtf8,
  toHex,
  utf8,
} from '../../../src/core/bytes.ts'
import { failureOf } from '../../support/core-errors.ts'

const bytes = () => fc.uint8Array({ maxLength: 40 })

describe('bytes', () => {
  test('hex, keys and joined parts come back as they were', () => {
    fc.assert(
      fc.property(bytes(), bytes(), (a, b) => {
        expect(fromHex(toHex(a))).toEqual(a)
        expect(toHex(concatBytes(a, b))).toBe(toHex(a) + toHex(b))
        expect(bytesKey(a) === bytesKey(b)).toBe(equalBytes(a, b))
      }),
    )
  })

  test('order is that of Buffer.compare', () => {
    fc.assert(
      fc.property(bytes(), bytes(), (a, b) => {
        expect(Math.sign(compareBytes(a, b))).toBe(Buffer.compare(a, b))
        expect(compareBytes(a, a.slice())).toBe(0)
      }),
    )
  })

  test('texts are ordered by their UTF-8 bytes, also beyond U+FFFF', () => {
    expect(compareText('\uffff', '\u{10000}')).toBeLessThan(0)
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Math.sign(compareBytes(utf8(a), utf8(b))))
      }),
    )
  })

  test('texts of any length are the UTF-8 of the platform, lone surrogates too', () => {
    const unit = fc.constantFrom('a', '\u00e9', '\u20ac', '\u{1f600}', '\ud800')
    fc.assert(
      fc.property(fc.string({ unit, maxLength: 100 }), (text) => {
        expect(utf8(text)).toEqual(new TextEncoder().encode(text))
      }),
    )
  })

  test.each(['0', '0g', 'zz', ' 00', '0x00'])('%j is no hex', (text) => {
    expect(failureOf(() => fromHex(text)).code).toBe('INVALID_ARGUMENT')
  })

  test('text that is not UTF-8 is refused, a byte order mark is kept', () => {
    expect(failureOf(() => textOfUtf8(fromHex('61ff'))).code).toBe('INVALID_ARGUMENT')
    expect(textOfUtf8(fromHex('efbbbf61'))).toBe('\ufeffa')
  })
})
