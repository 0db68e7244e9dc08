import { describe, expect, it } from 'vitest'
import { Allowance, Credit, WINDOW_BYTES } from '../../../../src/net/sync/credit.ts'

/** The names of those that may send, once all that is decided. */
async function granted(asked: ReadonlyMap<string, Promise<void>>): Promise<string[]> {
  const names: string[] = []
  for (const [name, grant] of asked) void grant.then(() => names.push(name))
  await new Promise((resolve) => setImmediate(resolve))
  return names
}

describe('credit', () => {
  it('is granted in the order asked for, as far as it goes', async () => {
    const credit = new Credit()
    credit.add(100)
    const asked = new Map(
      [
        ['a', 60],
        ['b', 60],
        ['c', 10],
      ].map(([name, bytes]) => [name, credit.take(bytes as number)] as [string, Promise<void>]),
    )
    expect(await granted(asked)).toEqual(['a'])
    credit.add(30)
    expect(await granted(asked)).toEqual(['a', 'b', 'c'])
  })

  it('lets a frame that is larger than the window go when all of it is free', async () => {
    const credit = new Credit()
    credit.add(WINDOW_BYTES - 1)
    const asked = new Map([['large', credit.take(4 * WINDOW_BYTES)]])
    expect(await granted(asked)).toEqual([])
    credit.add(1)
    expect(await granted(asked)).toEqual(['large'])
  })

  it('never grows beyond the window, whatever a peer gives', async () => {
    const credit = new Credit()
    credit.add(Number.MAX_SAFE_INTEGER)
    const asked = new Map([
      ['a', credit.take(WINDOW_BYTES)],
      ['b', credit.take(1)],
    ])
    expect(await granted(asked)).toEqual(['a'])
  })

  it('keeps nobody waiting when the stream is over', async () => {
    const credit = new Credit()
    const asked = new Map([
      ['a', credit.take(10)],
      ['b', credit.take(WINDOW_BYTES)],
    ])
    credit.end()
    expect(await granted(asked)).toEqual(['a', 'b'])
  })
})

describe('what a peer may send', () => {
  it('is the window, and again what was given back', () => {
    const allowance = new Allowance()
    const cost = allowance.spend(WINDOW_BYTES)
    expect(() => allowance.spend(1)).toThrow(expect.objectContaining({ code: 'BAD_MESSAGE' }))
    allowance.giveBack(cost)
    expect(allowance.spend(5 * WINDOW_BYTES)).toBe(WINDOW_BYTES)
  })
})
