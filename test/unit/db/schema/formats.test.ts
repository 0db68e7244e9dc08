import { describe, expect, test } from 'vitest'
import { FORMATS } from '../../../../src/db/schema/formats.ts'

/** Beyond the cases of go-threads. */
const CASES: Readonly<Record<string, { valid: readonly string[]; invalid: readonly string[] }>> = {
  date: { valid: ['2000-02-29', '0001-01-01'], invalid: ['1900-02-29', '2020-00-10', '2020-13-01', '2020-01-32'] },
  time: { valid: ['23:59:59.5-08:00'], invalid: ['23:60:00', '23:59:60', '23:59:59z'] },
  'date-time': { valid: ['10:20:30'], invalid: ['2020-01-31T10:20:30Zx', '2020-01-31T', 'T10:20:30Z', '2020-01-31TT'] },
  hostname: { valid: ['xn--a.b'], invalid: ['a..b', 'a-', 'a'.repeat(64), `${'a.'.repeat(128)}a`] },
  email: { valid: ['a.b+c@d.e'], invalid: ['@b', 'a@', 'a@b@c', '<a@b', 'Ann <a>'] },
  ipv4: { valid: ['0.0.0.0'], invalid: ['1.2.3.4.5', '1.2.3.', ' 1.2.3.4', '1.2.3.4444'] },
  ipv6: {
    valid: ['::', '1:2:3:4:5:6:7:8', '1::8', '1:2:3:4:5:6:1.2.3.4'],
    invalid: ['1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', '1.2.3.4::', 'g::', ''],
  },
  uri: {
    valid: ['a:b', 'http://u:p@[::1]:80/x?y#z', 'mailto:a@b'],
    invalid: ['1a:b', '://x', 'http://a:b/', 'http://<a>/', 'http://a/%zz', 'http://a/\n'],
  },
  'uri-reference': { valid: ['', '?x', '//a/b', 'a/b:c'], invalid: ['1a:b', '%2', '//a b'] },
  'uri-template': { valid: ['{a}{b}', ''], invalid: ['{', '{a}{'] },
  uuid: { valid: [], invalid: ['', '123e4567-e89b-12d3-a456-42661417400'] },
  regex: { valid: ['\\p{L}'], invalid: ['\\1', '[', '*'] },
  'json-pointer': { valid: ['/', '//a'], invalid: ['/~'] },
  'relative-json-pointer': { valid: ['0', '12/a~1b'], invalid: ['', '01', '1a', '1##', '1/~', '1/a#b~'] },
}

describe.each(Object.entries(CASES))('%s', (format, { valid, invalid }) => {
  test.each(valid)('takes %j', (text) => {
    expect(FORMATS[format]?.(text)).toBe(true)
  })

  test.each(invalid)('refuses %j', (text) => {
    expect(FORMATS[format]?.(text)).toBe(false)
  })
})

test('no format takes long over a long text', () => {
  const texts = ['a', '0', ':', '.', '/', '%', '{', '<', '@', '-', '~', 'a:', 'a.', '1:', '{a'].map((part) => {
    return part.repeat(200_000)
  })
  const start = process.cpuUsage()
  // Patterns are compiled, which takes linear but noticeable time; schemas bound it by their budget.
  const checks = Object.entries(FORMATS).filter(([format]) => format !== 'regex')
  for (const [, check] of checks) for (const text of texts) check(text)
  const { user, system } = process.cpuUsage(start)
  expect((user + system) / 1000).toBeLessThan(5_000)
})
