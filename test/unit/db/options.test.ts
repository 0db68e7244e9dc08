import { describe, expect, it } from 'vitest'
import { resolveDbOptions } from '../../../src/db/options.ts'

describe('options of the db layer', () => {
  it('have defaults', () => {
    expect(resolveDbOptions({})).toEqual({
      maxClockDriftMs: 600_000,
      transactionIdleMs: 10_000,
      transactionTotalMs: 30_000,
    })
  })

  it.each([0, -1, 1.5, Number.NaN, 86_400_001])('refuse %d ms, naming the option', (value) => {
    expect(() => resolveDbOptions({ transactionIdleMs: value })).toThrow(
      new TypeError(`transactionIdleMs is ${value}, must be a whole number of milliseconds from 1 to 86400000`),
    )
  })
})
