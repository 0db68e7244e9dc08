import { describe, expect, it } from 'vitest'
import { nearest } from '../../../daemon/nearest.ts'

const NAMES = ['apiAddr', 'apiProxyAddr', 'repo', 'debug', 'maxCalls', 'maxLogs']

describe('the nearest name', () => {
  it.each([
    ['apiAdr', 'apiAddr'],
    ['apiAddrr', 'apiAddr'],
    ['paiAddr', 'apiAddr'],
    ['APIPROXYADDR', 'apiProxyAddr'],
    ['rep', 'repo'],
    ['maxcall', 'maxCalls'],
    ['maxLgos', 'maxLogs'],
  ])('of %s is %s', (name, meant) => expect(nearest(name, NAMES)).toBe(meant))

  it.each(['', 'x', 'foo', 'apiKey', 'toString', '\u{1f600}'.repeat(100)])('of %j is none', (name) => {
    expect(nearest(name, NAMES)).toBeUndefined()
  })
})
