import { encode as encodeDagCbor } from '@ipld/dag-cbor'
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { describe, expect, test } from 'vitest'
import { concatBytes, fromHex, toHex, utf8 } from '../../../src/core/bytes.ts'
import { canonicalise, MAX_CBOR_BYTES, MAX_CBOR_DEPTH } from '../../../src/core/canonical-cbor.ts'
import { canonicalEnd } from '../../../src/core/canonical-scan.ts'
import { cidOf } from '../../../src/core/link.ts'
import { failureOf } from '../../support/core-errors.ts'

/** A value together with one of the many ways to write it. */
interface Written {
  value: unknown
  cbor: Uint8Array
}

const LINK_V0 = CID.parse('QmNLfbof5rLekrACjeuLk9JmGZD2HDBHCU4z16iYKmx5SE')

const { item } = fc.letrec<{ item: Written; array: Written; map: Written }>((tie) => ({
  item: fc.oneof(
    { depthSize: 'small' },
    integer(),
    text(),
    byteString(),
    fc.constantFrom(...literals()),
    fc
      .double({ noNaN: true, noDefaultInfinity: true })
      .filter((value) => !Number.isInteger(value))
      .map(float),
    tie('array'),
    tie('map'),
  ),
  array: fc.tuple(fc.array(tie('item'), { maxLength: 4 }), width()).map(([items, size]) => ({
    value: items.map(({ value }) => value),
    cbor: enclosed(4, { count: items.length, size, items: items.map(({ cbor }) => cbor) }),
  })),
  map: fc
    .tuple(fc.uniqueArray(fc.tuple(text(), tie('item')), { selector: ([key]) => key.value, maxLength: 4 }), width())
    .map(([entries, size]) => ({
      value: Object.fromEntries(entries.map(([key, { value }]) => [String(key.value), value])),
      cbor: enclosed(5, { count: entries.length, size, items: entries.flatMap(([key, { cbor }]) => [key.cbor, cbor]) }),
    })),
}))

describe('canonical CBOR', () => {
  test('is the same for all ways to write a value, and what the general encoder gives', () => {
    fc.assert(
      fc.property(item, ({ value, cbor }) => {
        const canonical = encodeDagCbor(value)
        expect(toHex(canonicalise(cbor))).toBe(toHex(canonical))
        expect(toHex(canonicalise(concatBytes(canonical, fromHex('00ff'))))).toBe(toHex(canonical))
      }),
      { numRuns: 500 },
    )
  })

  test('is what is seen at a glance to be canonical', () => {
    const damage = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 3 })
    let seen = 0
    fc.assert(
      fc.property(item, damage, ({ value }, changes) => {
        const bytes = encodeDagCbor(value).slice()
        for (const [at, byte] of changes) if (at < bytes.length) bytes[at] = byte
        const end = canonicalEnd(bytes, MAX_CBOR_DEPTH - 1)
        if (end === undefined) return
        seen++
        // An array of no definite length is written anew.
        const rewritten = canonicalise(concatBytes(fromHex('9f'), bytes.subarray(0, end), fromHex('ff')))
        expect(toHex(rewritten)).toBe(`81${toHex(bytes.subarray(0, end))}`)
      }),
      { numRuns: 2_000 },
    )
    expect(seen).toBeGreaterThan(500)
  })

  test('keeps 1.0 a float, and text that is not UTF-8 as it is', () => {
    expect(toHex(canonicalise(fromHex('f93c00')))).toBe('fb3ff0000000000000')
    expect(toHex(canonicalise(fromHex('a161fff6')))).toBe('a161fff6')
  })

  test('refuses repeated keys, also when they are written in different ways', () => {
    for (const cbor of ['a2616101616102', 'a261610178016102', 'bf6161017f6161ff02ff', 'a3616201616101616203']) {
      expect(failureOf(() => canonicalise(fromHex(cbor))).message).toContain('repeated')
    }
  })

  test.each([
    ['break inside a definite array', '82ff'],
    ['string chunk of another type', '5f6161ff'],
    ['string chunk of indefinite length', '5f5f4161ffff'],
    ['integer of indefinite length', '1f'],
    ['tag of indefinite length', 'df00'],
    ['indefinite array without end', '9f01'],
    ['link to something that is no CID', 'd82a4400010203'],
    ['tag around nothing', 'd82a'],
  ])('refuses a %s', (_, cbor) => {
    expect(failureOf(() => canonicalise(fromHex(cbor))).code).toBe('INVALID_RECORD')
  })

  test('bounds nesting and length', () => {
    expect(canonicalise(nested(MAX_CBOR_DEPTH))).toEqual(nested(MAX_CBOR_DEPTH))
    expect(failureOf(() => canonicalise(nested(MAX_CBOR_DEPTH + 1))).code).toBe('INVALID_RECORD')
    expect(failureOf(() => canonicalise(nested(1e6))).code).toBe('INVALID_RECORD')
    expect(failureOf(() => canonicalise(new Uint8Array(MAX_CBOR_BYTES + 1))).code).toBe('INVALID_RECORD')
  })
})

/** Arrays in arrays around a number. */
function nested(depth: number): Uint8Array {
  return fromHex(`${'81'.repeat(depth)}00`)
}

/** Bytes of the argument of a head; 0: of indefinite length where that is possible. */
function width(): fc.Arbitrary<number> {
  return fc.constantFrom(0, 1, 2, 4, 8)
}

function head(major: number, argument: bigint, size: number): Uint8Array {
  const bytes = new Uint8Array(9)
  new DataView(bytes.buffer).setBigUint64(1, argument)
  if (argument < 24n && size <= 1) return Uint8Array.of((major << 5) | Number(argument))
  let enough = Math.max(size, 1)
  while (enough < 8 && argument >= 1n << BigInt(8 * enough)) enough *= 2
  return concatBytes(Uint8Array.of((major << 5) | (24 + Math.log2(enough))), bytes.slice(9 - enough))
}

function enclosed(
  major: number,
  { count, size, items }: { count: number; size: number; items: Uint8Array[] },
): Uint8Array {
  if (size > 0) return concatBytes(head(major, BigInt(count), size), ...items)
  return concatBytes(Uint8Array.of((major << 5) | 31), ...items, Uint8Array.of(0xff))
}

function integer(): fc.Arbitrary<Written> {
  return fc
    .tuple(fc.bigInt(-(2n ** 63n), 2n ** 64n - 1n), fc.constantFrom(64, 32, 16, 8, 3), width())
    .map(([wide, bits, size]) => {
      const value = wide < 0n ? -1n - (BigInt.asUintN(bits, wide) >> 1n) : BigInt.asUintN(bits, wide)
      return { value, cbor: value < 0n ? head(1, -1n - value, size) : head(0, value, size) }
    })
}

function text(): fc.Arbitrary<Written> {
  return fc.tuple(fc.string({ maxLength: 30 }), fc.nat(30), width()).map(([value, cut, size]) => ({
    value,
    cbor: string(3, [utf8(value.slice(0, cut)), utf8(value.slice(cut))], size),
  }))
}

function byteString(): fc.Arbitrary<Written> {
  return fc.tuple(fc.uint8Array({ maxLength: 300 }), fc.nat(300), width()).map(([value, cut, size]) => ({
    value,
    cbor: string(2, [value.slice(0, cut), value.slice(cut)], size),
  }))
}

function string(major: number, parts: Uint8Array[], size: number): Uint8Array {
  const whole = concatBytes(...parts)
  if (size > 0) return concatBytes(head(major, BigInt(whole.length), size), whole)
  const chunks = parts.map((part) => concatBytes(head(major, BigInt(part.length), 1), part))
  return enclosed(major, { count: parts.length, size, items: chunks })
}

function float(value: number): Written {
  const bytes = new Uint8Array(9)
  bytes[0] = 0xfb
  new DataView(bytes.buffer).setFloat64(1, value)
  return { value, cbor: bytes }
}

function literals(): Written[] {
  const link = cidOf(utf8('a block'))
  return [
    { value: null, cbor: fromHex('f6') },
    { value: null, cbor: fromHex('f7') },
    { value: true, cbor: fromHex('f5') },
    { value: false, cbor: fromHex('f4') },
    { value: 1.5, cbor: fromHex('f93e00') },
    { value: 1.5, cbor: fromHex('fa3fc00000') },
    { value: link, cbor: encodeDagCbor(link) },
    { value: link, cbor: concatBytes(fromHex('d82a5f582500'), link.bytes, fromHex('ff')) },
    { value: LINK_V0, cbor: encodeDagCbor(LINK_V0) },
  ]
}
