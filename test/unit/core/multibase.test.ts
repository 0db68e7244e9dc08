import * as fc from 'fast-check'
import { base2 } from 'multiformats/bases/base2'
import { base16, base16upper } from 'multiformats/bases/base16'
import {
  base32,
  base32hex,
  base32hexpad,
  base32hexpadupper,
  base32hexupper,
  base32pad,
  base32padupper,
  base32upper,
} from 'multiformats/bases/base32'
import { base36, base36upper } from 'multiformats/bases/base36'
import { base58btc, base58flickr } from 'multiformats/bases/base58'
import { base64, base64pad, base64url, base64urlpad } from 'multiformats/bases/base64'
import { describe, expect, test } from 'vitest'
import { decodeBase64Url, decodeMultibase, encodeBase32 } from '../../../src/core/multibase.ts'
import { failureOf } from '../../support/core-errors.ts'

const BASES = [
  base2,
  base16,
  base16upper,
  base36,
  base36upper,
  base58btc,
  base58flickr,
  base32,
  base32upper,
  base32pad,
  base32padupper,
  base32hex,
  base32hexupper,
  base32hexpad,
  base32hexpadupper,
  base64,
  base64pad,
  base64url,
  base64urlpad,
]

describe('multibase', () => {
  test.each(BASES.map((base) => [base.name, base] as const))('%s as others write it is read', (_, base) => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        expect(decodeMultibase(base.encode(bytes), 'INVALID_ID')).toEqual(bytes)
      }),
    )
  })

  test('base32 is written as others read it', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        expect(base32.decode(encodeBase32(bytes))).toEqual(bytes)
      }),
    )
  })

  test.each([
    ['mAAAAA', 'illegal base64 data at input byte 4'],
    ['MAAA', 'illegal base64 data at input byte 0'],
    ['cmy', 'illegal base32 data at input byte 0'],
    ['k!', 'illegal base36 data'],
    ['012', 'illegal base2 data'],
    ['f0\u{1f600}', "encoding/hex: invalid byte: U+1F600 '\u{1f600}'"],
  ])('%s is refused', (text, message) => {
    expect(failureOf(() => decodeMultibase(text, 'INVALID_KEY'))).toMatchObject({ code: 'INVALID_KEY', message })
  })

  test('texts longer than any key are refused before they cost anything', () => {
    expect(failureOf(() => decodeMultibase(`z${'z'.repeat(1e6)}`, 'INVALID_ID')).code).toBe('INVALID_ID')
  })

  test('base64url with foreign digits is undefined', () => {
    expect(decodeBase64Url('_-_-')).toEqual(Uint8Array.of(0xff, 0xef, 0xfe))
    expect(decodeBase64Url('/+/+')).toBeUndefined()
    expect(decodeBase64Url('AA==')).toBeUndefined()
  })
})
