import { describe, expect, it } from 'vitest'
import { stampTime } from '../../../src/db/stamp.ts'

const NOW_MS = Date.UTC(2027, 0, 1)
const NOW_NS = BigInt(NOW_MS) * 1_000_000n
const DAY_NS = 86_400_000_000_000n

describe('the time of a new record', () => {
  it('is that of the clock, or right after the newest record', () => {
    expect(stampTime(NOW_MS, 0n)).toBe(NOW_NS)
    expect(stampTime(NOW_MS, NOW_NS - 1n)).toBe(NOW_NS)
    expect(stampTime(NOW_MS, NOW_NS)).toBe(NOW_NS + 1n)
    expect(stampTime(NOW_MS, NOW_NS + 5n)).toBe(NOW_NS + 6n)
  })

  it('is whole nanoseconds, whatever the clock says', () => {
    expect(stampTime(NOW_MS + 0.7, 0n)).toBe(NOW_NS)
  })

  it('runs ahead of the clock by a day at most', () => {
    expect(stampTime(NOW_MS, NOW_NS + DAY_NS - 1n)).toBe(NOW_NS + DAY_NS)
    expect(() => stampTime(NOW_MS, NOW_NS + DAY_NS + 1_000_000n)).toThrow(
      expect.objectContaining({ code: 'CLOCK_SKEW', hint: expect.stringContaining('reset the clock of the database') }),
    )
  })

  it('is not that of a clock that was never set', () => {
    expect(() => stampTime(0, 0n)).toThrow('the clock of this host says 1970-01-01T00:00:00.000Z')
  })
})
