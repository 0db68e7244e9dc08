import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { byteStringNode, CborWriter } from '../../../src/core/cbor-writer.ts'
import { cidOf } from '../../../src/core/link.ts'

const item = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 200 }),
  fc.uint8Array({ maxLength: 70_000 }),
  fc.bigInt({ min: -(2n ** 64n), max: 2n ** 64n - 1n }),
  fc.uint8Array({ maxLength: 8 }).map(cidOf),
  fc.constant(null),
)

function write(writer: CborWriter, value: unknown): void {
  if (typeof value === 'string') writer.text(value)
  else if (typeof value === 'bigint') writer.integer(value)
  else if (value instanceof Uint8Array) writer.bytes(value)
  else if (value === null) writer.null()
  else writer.link(value as ReturnType<typeof cidOf>)
}

describe('a writer of CBOR', () => {
  it('writes what the general encoder does', () => {
    fc.assert(
      fc.property(fc.array(item, { maxLength: 40 }), (items) => {
        const writer = new CborWriter().array(items.length)
        for (const value of items) write(writer, value)
        expect(writer.finish()).toEqual(encode(items))
      }),
    )
    expect(new CborWriter().map(1).text('a').bytes(Uint8Array.of(1)).finish()).toEqual(encode({ a: Uint8Array.of(1) }))
  })

  it('leaves what it has written alone, whatever is written next', () => {
    const first = byteStringNode(Uint8Array.of(1, 2, 3))
    const [one, other] = [new CborWriter(), new CborWriter()]
    one.text('one')
    other.text('other')
    const [second, third] = [one.finish(), other.finish()]
    byteStringNode(new Uint8Array(100).fill(9))
    expect(first).toEqual(encode(Uint8Array.of(1, 2, 3)))
    expect([second, third]).toEqual([encode('one'), encode('other')])
  })

  it('refuses integers of more than 64 bits', () => {
    for (const value of [2n ** 64n, -(2n ** 64n) - 1n]) {
      expect(() => new CborWriter().integer(value)).toThrow('integer of more than 64 bits')
    }
  })
})
