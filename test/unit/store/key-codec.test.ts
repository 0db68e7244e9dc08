import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareBytes, fromHex, toHex } from '../../../src/core/bytes.ts'
import {
  appendEscaped,
  decodeText,
  escapedBound,
  KEY_LETTERS,
  type KeyPart,
  MAX_KEY_BYTES,
  parseKey,
  prefixRange,
  readEscaped,
  rowKey,
  rowRange,
  threadRanges,
} from '../../../src/store/key-codec.ts'

const MAX_UINT64 = 2n ** 64n - 1n

const numbers = fc.oneof(fc.nat(600), fc.maxSafeNat(), fc.bigInt({ min: 0n, max: MAX_UINT64 }))
/** Any string, also with lone surrogates and zeros. */
const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: fc.constantFrom('\0', 'a', 'é', '€', '😀', '\ud800', '\udc00') }),
)
const byteStrings = fc.oneof(
  fc.uint8Array(),
  fc.array(fc.constantFrom(0, 1, 0xff)).map((list) => Uint8Array.from(list)),
)

const within = (key: Uint8Array, { gte, lt }: { gte: Uint8Array; lt: Uint8Array }): boolean =>
  compareBytes(key, gte) >= 0 && compareBytes(key, lt) < 0

const same = (a: KeyPart, b: KeyPart): boolean => compareBytes(rowKey('x', a), rowKey('x', b)) === 0

const sign = (n: number): number => Math.sign(n)

/** By code points, as UTF-8 orders. */
function compareTexts(a: string, b: string): number {
  const left = Array.from(a, (char) => char.codePointAt(0) ?? 0)
  const right = Array.from(b, (char) => char.codePointAt(0) ?? 0)
  const at = left.findIndex((code, i) => code !== right[i])
  return at === -1 ? left.length - right.length : (left[at] ?? 0) - (right[at] ?? -1)
}

describe('rowKey', () => {
  it('has the bytes it has always had', () => {
    expect(toHex(rowKey('f', 0))).toBe('6600')
    expect(toHex(rowKey('f', 247))).toBe('66f7')
    expect(toHex(rowKey('f', 248))).toBe('66f8f8')
    expect(toHex(rowKey('f', 65_536))).toBe('66fa010000')
    expect(toHex(rowKey('f', 2 ** 32))).toBe('66fc0100000000')
    expect(toHex(rowKey('f', MAX_UINT64))).toBe('66ffffffffffffffffff')
    expect(toHex(rowKey('d', 1, 'a\0é😀\ud800'))).toBe('64016100ffc3a9f09f9880eda0800001')
    expect(toHex(rowKey('c', fromHex('00ff0001'), 3))).toBe('6300ffff00ff01000103')
  })

  it('orders numbers by value', () => {
    fc.assert(
      fc.property(numbers, numbers, (a, b) => {
        const order = BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0
        expect(sign(compareBytes(rowKey('f', a), rowKey('f', b)))).toBe(order)
      }),
    )
  })

  it('orders texts by code points and byte strings bytewise, whatever follows them', () => {
    fc.assert(
      fc.property(texts, texts, numbers, numbers, (a, b, x, y) => {
        fc.pre(a !== b)
        expect(sign(compareBytes(rowKey('d', a, x), rowKey('d', b, y)))).toBe(sign(compareTexts(a, b)))
      }),
    )
    fc.assert(
      fc.property(byteStrings, byteStrings, numbers, numbers, (a, b, x, y) => {
        fc.pre(compareBytes(a, b) !== 0)
        expect(sign(compareBytes(rowKey('c', a, x), rowKey('c', b, y)))).toBe(sign(compareBytes(a, b)))
      }),
    )
  })

  it('is read back component by component', () => {
    fc.assert(
      fc.property(numbers, texts, byteStrings, numbers, (a, text, bytes, b) => {
        const key = parseKey(rowKey('e', a, text, bytes, b))
        expect(key.letter).toBe('e')
        expect(BigInt(key.bigint())).toBe(BigInt(a))
        expect(key.text()).toBe(text)
        expect(Uint8Array.from(key.bytes())).toEqual(bytes)
        expect(key.atEnd).toBe(false)
        expect(BigInt(key.bigint())).toBe(BigInt(b))
        expect(key.atEnd).toBe(true)
      }),
    )
  })

  it('gives keys of their own, whatever was built after them', () => {
    const first = rowKey('d', 1, 'first')
    const copy = Uint8Array.from(first)
    rowKey('d', 2, 'second, and longer')
    expect(first).toEqual(copy)
    expect(rowKey('d', 'x'.repeat(20_000)).length).toBe(20_003)
  })

  it('refuses what a key cannot hold', () => {
    for (const wrong of [-1, 1.5, Number.NaN, 2 ** 53, -1n, MAX_UINT64 + 1n]) {
      expect(() => rowKey('f', wrong)).toThrow(TypeError)
    }
    expect(() => rowKey('d', 'x'.repeat(MAX_KEY_BYTES))).toThrow(RangeError)
    expect(() => rowKey('d', 'x'.repeat(MAX_KEY_BYTES + 1))).toThrow(RangeError)
  })
})

describe('rowRange', () => {
  it('covers what begins with its components and no neighbour', () => {
    const range = rowRange('d', 1, 'AABB')
    expect(within(rowKey('d', 1, 'AABB'), range)).toBe(true)
    expect(within(rowKey('d', 1, 'AABB', 'x'), range)).toBe(true)
    for (const other of ['AAB', 'AABBC', 'AABBCC', 'AABB\0', 'AABC']) {
      expect(within(rowKey('d', 1, other, 'x'), range)).toBe(false)
    }
    expect(within(rowKey('d', 2, 'AABB'), range)).toBe(false)
    expect(within(rowKey('l', 255), rowRange('l', 248))).toBe(false)
    expect(within(rowKey('l', MAX_UINT64, 1), rowRange('l', MAX_UINT64))).toBe(true)
  })

  it('covers a key exactly if the first components are the same', () => {
    const sameKind = fc.oneof(fc.tuple(texts, texts), fc.tuple(byteStrings, byteStrings), fc.tuple(numbers, numbers))
    fc.assert(
      fc.property(numbers, sameKind, texts, (thread, [a, b], id) => {
        expect(within(rowKey('x', thread, b, id), rowRange('x', thread, a))).toBe(same(a, b))
        expect(within(rowKey('x', thread, a, id), rowRange('x', thread, a))).toBe(true)
      }),
    )
  })

  it('covers all rows of a letter without components', () => {
    expect(within(rowKey('d', MAX_UINT64), rowRange('d'))).toBe(true)
    expect(within(rowKey('e', 0), rowRange('d'))).toBe(false)
  })
})

describe('prefixRange', () => {
  it('ends behind a prefix of the highest bytes too', () => {
    const range = prefixRange(Uint8Array.of(0x64, 0xff, 0xff))
    expect(within(Uint8Array.of(0x64, 0xff, 0xff, 0xff, 0xff), range)).toBe(true)
    expect(within(Uint8Array.of(0x65), range)).toBe(false)
  })

  it('refuses a prefix with nothing behind it', () => {
    expect(() => prefixRange(new Uint8Array())).toThrow(TypeError)
  })
})

describe('parseKey', () => {
  it('calls a key that does not hold what is asked for corrupt', () => {
    const corrupt = expect.objectContaining({ code: 'STORE_CORRUPT' })
    expect(() => parseKey(new Uint8Array())).toThrow(corrupt)
    expect(() => parseKey(Uint8Array.of(0x21))).toThrow(corrupt)
    expect(() => parseKey(rowKey('f')).number()).toThrow(corrupt)
    expect(() => parseKey(fromHex('66f9ff')).number()).toThrow(corrupt)
    expect(() => parseKey(rowKey('f', 2n ** 53n)).number()).toThrow(corrupt)
    expect(() => parseKey(fromHex('646161')).text()).toThrow(corrupt)
    expect(() => parseKey(fromHex('64610002')).text()).toThrow(corrupt)
    expect(() => parseKey(fromHex('64ffbfbfbf0001')).text()).toThrow(corrupt)
  })

  it('hands out what is left', () => {
    const key = parseKey(rowKey('x', 1, 2))
    key.number()
    expect(key.rest()).toEqual(Uint8Array.of(2))
    expect(key.atEnd).toBe(true)
  })
})

describe('appendEscaped', () => {
  it('stays within its bound and is read back from any offset', () => {
    fc.assert(
      fc.property(fc.oneof(texts, byteStrings), fc.nat(5), (value, offset) => {
        const target = new Uint8Array(offset + escapedBound(value))
        const end = appendEscaped(target, offset, value)
        expect(end).toBeLessThanOrEqual(target.length)
        const { bytes, next } = readEscaped(target, offset)
        expect(next).toBe(end)
        if (typeof value === 'string') expect(decodeText(bytes)).toBe(value)
        else expect(Uint8Array.from(bytes)).toEqual(value)
      }),
    )
  })
})

describe('KEY_LETTERS', () => {
  it('are one byte each, so that no range of a letter reaches into another', () => {
    for (const letter of Object.keys(KEY_LETTERS)) expect(letter).toMatch(/^[a-z]$/)
  })

  it('tell the ranges that hold the rows of a thread', () => {
    const ranges = threadRanges(300)
    for (const letter of ['t', 'l', 'r', 'v', 'd', 'e', 'x'] as const) {
      expect(ranges.filter((range) => within(rowKey(letter, 300, 1), range)).length).toBe(1)
      expect(ranges.some((range) => within(rowKey(letter, 301), range))).toBe(false)
    }
    for (const letter of ['s', 'c', 'f', 'h'] as const) {
      expect(ranges.some((range) => within(rowKey(letter, 300), range))).toBe(false)
    }
  })
})
