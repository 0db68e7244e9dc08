import * as fc from 'fast-check'

/** Most bytes that a change may make of its input. */
const MAX_BYTES = 1024 * 1024

/** Bytes made of good ones: changed, cut, put in, repeated, wrapped in themselves; or none of that, but random. */
export function hostileBytes(good: Uint8Array, others: readonly Uint8Array[] = []): fc.Arbitrary<Uint8Array> {
  const place = fc.nat(good.length)
  const change: fc.Arbitrary<Change> = fc.oneof(
    fc.record({ at: place, byte: fc.nat(255) }).map(flip),
    fc.record({ at: place, byte: fc.constantFrom(0, 1, 0x7f, 0x80, 0x9f, 0xbf, 0xdf, 0xff) }).map(flip),
    fc.record({ at: place, remove: fc.nat(8), insert: fc.uint8Array({ maxLength: 8 }) }).map(splice),
    place.map((at) => (bytes: Uint8Array) => bytes.subarray(0, at)),
    fc.record({ from: place, length: fc.nat(40), times: fc.nat(50) }).map(repeat),
    fc.record({ at: place, other: fc.constantFrom(good, ...others), from: place }).map(cross),
    fc.record({ at: place, times: fc.nat(6) }).map(nest),
  )
  const mutated = fc.array(change, { minLength: 1, maxLength: 4 }).map((changes) => {
    let bytes = good
    for (const apply of changes) bytes = apply(bytes).slice(0, MAX_BYTES)
    return new Uint8Array(bytes)
  })
  return fc.oneof({ weight: 4, arbitrary: mutated }, { weight: 1, arbitrary: fc.uint8Array({ maxLength: 300 }) })
}

/** Long and deep inputs of the formats read here, which random ones do not come to. */
export const EXTREMES: readonly (readonly [name: string, bytes: Uint8Array])[] = [
  ['nothing', new Uint8Array(0)],
  ['zeros', new Uint8Array(300_000)],
  ['ones', new Uint8Array(300_000).fill(0xff)],
  ['lists of CBOR in one another', new Uint8Array(300_000).fill(0x81)],
  ['endless lists of CBOR', new Uint8Array(300_000).fill(0x9f)],
  ['maps of CBOR in one another', repeated([0xa1, 0x61, 0x61], 100_000)],
  ['tags of CBOR', new Uint8Array(300_000).fill(0xc6)],
  ['a list of CBOR of 2^32 entries', Uint8Array.of(0x9a, 0xff, 0xff, 0xff, 0xff)],
  ['a text of CBOR of 2^63 bytes', Uint8Array.of(0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff)],
  ['groups of protobuf in one another', new Uint8Array(300_000).fill(0x0b)],
  ['empty parts of protobuf', repeated([0x0a, 0x00], 300_000)],
  ['a part of protobuf of 2^32 bytes', Uint8Array.of(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f)],
  ['lists of JSON in one another', Buffer.from(`${'['.repeat(150_000)}${']'.repeat(150_000)}`)],
  ['objects of JSON in one another', Buffer.from('{"ors":[{"a":'.repeat(20_000))],
  ['objects of schemas in one another', Buffer.from(nested('{"properties":{"a":', '}}', 20_000))],
  ['a long number', Buffer.from('9'.repeat(300_000))],
  ['a long text of JSON', Buffer.from(`"${'\\u0000'.repeat(50_000)}"`)],
  ['escapes and quotes', Buffer.from('\\"'.repeat(150_000))],
  ['separators', Buffer.from('/p2p/'.repeat(60_000))],
  ['points', Buffer.from('.'.repeat(300_000))],
  ['lines', Buffer.from('a:b\r\n'.repeat(60_000))],
]

type Change = (bytes: Uint8Array) => Uint8Array

function flip({ at, byte }: { at: number; byte: number }): Change {
  return (bytes) => Uint8Array.from(bytes, (old, index) => (index === at ? byte : old))
}

function splice({ at, remove, insert }: { at: number; remove: number; insert: Uint8Array }): Change {
  return (bytes) => Buffer.concat([bytes.subarray(0, at), insert, bytes.subarray(at + remove)])
}

function repeat({ from, length, times }: { from: number; length: number; times: number }): Change {
  return (bytes) => {
    const part = bytes.subarray(from, from + length)
    return Buffer.concat([bytes.subarray(0, from), ...Array<Uint8Array>(times).fill(part), bytes.subarray(from)])
  }
}

function cross({ at, other, from }: { at: number; other: Uint8Array; from: number }): Change {
  return (bytes) => Buffer.concat([bytes.subarray(0, at), other.subarray(from)])
}

function nest({ at, times }: { at: number; times: number }): Change {
  return (bytes) => {
    let result = bytes
    for (let count = 0; count < times && result.length < MAX_BYTES; count++) {
      result = Buffer.concat([bytes.subarray(0, at), result, bytes.subarray(at)])
    }
    return result
  }
}

function repeated(bytes: readonly number[], times: number): Uint8Array {
  return Uint8Array.from({ length: bytes.length * times }, (_, index) => bytes[index % bytes.length] ?? 0)
}

function nested(open: string, close: string, times: number): string {
  return `${open.repeat(times)}{}${close.repeat(times)}`
}
