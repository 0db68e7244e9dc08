import { describe, expect, test } from 'vitest'
import { BoundedCache } from '../../../src/core/bounded-cache.ts'

describe('a bounded cache', () => {
  test('keeps the entries used last', () => {
    const cache = new BoundedCache<number, string>(10)
    for (let i = 0; i < 1000; i++) {
      cache.set(i, `value ${i}`)
      expect(cache.get(0)).toBe('value 0')
      if (i >= 4) expect(cache.get(i - 4)).toBe(`value ${i - 4}`)
    }
  })

  test('forgets what was not used for twice its size', () => {
    const cache = new BoundedCache<number, number>(10)
    for (let i = 0; i < 100; i++) cache.set(i, i)
    const kept = Array.from({ length: 100 }, (_, i) => cache.get(i)).filter((value) => value !== undefined)
    expect(kept.length).toBeGreaterThanOrEqual(10)
    expect(kept.length).toBeLessThanOrEqual(20)
  })
})
