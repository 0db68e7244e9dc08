import { describe, expect, it } from 'vitest'
import { type NetOptions, resolveNetOptions } from '../../../src/net/options.ts'

describe('the options of net', () => {
  it('have defaults, also where they are given as undefined', () => {
    const { maxLogs, replicateFor, listen } = resolveNetOptions({})
    expect({ maxLogs, replicateFor }).toEqual({ maxLogs: 5_000, replicateFor: 'anyone' })
    const unset = JSON.parse('{}') as NetOptions
    for (const name of ['maxLogs', 'listen', 'replicateFor'] as const) Object.assign(unset, { [name]: undefined })
    expect(resolveNetOptions(unset)).toMatchObject({ maxLogs, replicateFor, listen })
  })

  it('are refused out of bounds, by name', () => {
    for (const bad of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 1e12]) {
      expect(() => resolveNetOptions({ pullRecords: bad })).toThrow(/^pullRecords is .*, must be a whole number from 1/)
    }
    expect(() => resolveNetOptions({ maxRecordBytes: 4 * 1024 * 1024 })).toThrow('maxRecordBytes')
  })

  it('do not replicate for everyone because of a misspelt word', () => {
    const misspelt = JSON.parse('{ "replicateFor": "nobody" }') as NetOptions
    expect(() => resolveNetOptions(misspelt)).toThrow('replicateFor is nobody, must be anyone, none or a list')
    expect(resolveNetOptions({ replicateFor: [] })).toMatchObject({ replicateFor: [] })
  })
})
