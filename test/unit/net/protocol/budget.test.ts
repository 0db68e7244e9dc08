import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Budget } from '../../../../src/net/protocol/budget.ts'

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('a budget', () => {
  it('makes who asks for more than is free wait, in the order of asking', async () => {
    const budget = new Budget(10)
    const order: string[] = []
    const first = await budget.acquire(8)
    const large = budget.acquire(6).then((release) => {
      order.push('large')
      return release
    })
    const small = budget.acquire(1).then(() => order.push('small'))
    await turn()
    expect(order).toEqual([])
    first()
    await small
    expect(order).toEqual(['large', 'small'])
    const release = await large
    release()
  })

  it('takes back a part at once and the rest later', async () => {
    const budget = new Budget(10)
    const release = await budget.acquire(10)
    release(3)
    const rest = await budget.acquire(7)
    let entered = false
    const waiting = (async () => {
      await budget.acquire(3)
      entered = true
    })()
    await turn()
    expect(entered).toBe(false)
    release()
    await waiting
    rest()
  })

  it('is not given twice for one grant', async () => {
    const budget = new Budget(2)
    const release = await budget.acquire(1)
    release()
    release()
    await budget.acquire(2)
    const stop = new AbortController()
    const third = budget.acquire(1, { signal: stop.signal })
    stop.abort(new Error('still full'))
    await expect(third).rejects.toThrow('still full')
  })

  it('lets those behind pass when one who waits gives up', async () => {
    const budget = new Budget(4)
    await budget.acquire(2)
    const stop = new AbortController()
    const large = budget.acquire(4, { signal: stop.signal })
    const small = budget.acquire(2)
    stop.abort(new Error('gave up'))
    await expect(large).rejects.toThrow('gave up')
    await small
  })

  it('never lends more than it has and ends with all of it back', async () => {
    const amounts = fc.array(fc.integer({ min: 1, max: 10 }), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(amounts, fc.scheduler(), async (wanted, scheduler) => {
        const budget = new Budget(10)
        let lent = 0
        let most = 0
        const users = wanted.map(async (amount) => {
          const release = await budget.acquire(amount)
          lent += amount
          most = Math.max(most, lent)
          await scheduler.schedule(Promise.resolve())
          lent -= amount
          release()
        })
        await scheduler.waitFor(Promise.all(users))
        expect(most).toBeLessThanOrEqual(10)
        await budget.acquire(10)
      }),
    )
  })
})
