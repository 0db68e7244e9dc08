import { expect, it } from 'vitest'
import { toHex } from '../../../src/core/bytes.ts'
import { randomBytes } from '../../../src/core/crypto.ts'

it('random bytes are as many as asked for, and never those of before', () => {
  const seen = new Set<string>()
  for (let count = 0; count < 5_000; count++) {
    const length = 8 + (count % 90)
    const drawn = randomBytes(length)
    expect(drawn.length).toBe(length)
    seen.add(toHex(drawn.subarray(0, 8)))
    seen.add(toHex(drawn.subarray(-8)))
  }
  // Draws of 8 to 15 bytes are counted with parts that overlap.
  expect(seen.size).toBeGreaterThan(9_900)
  expect(randomBytes(0)).toEqual(new Uint8Array(0))
})

it('random bytes are an array of their own', () => {
  const first = randomBytes(16)
  const copy = first.slice()
  const second = randomBytes(16)
  second.fill(0)
  expect(first).toEqual(copy)
  expect(first.buffer.byteLength).toBe(16)
})
