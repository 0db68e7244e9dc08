import { describe, expect, it } from 'vitest'
import { Mutex } from '../../../src/util/mutex.ts'

describe('Mutex', () => {
  it('grants the lock in the order it was asked for', async () => {
    const mutex = new Mutex()
    const order: number[] = []
    const release = await mutex.acquire()
    const runs = [1, 2, 3].map((n) =>
      mutex.run(async () => {
        order.push(n)
      }),
    )
    expect(order).toEqual([])
    release()
    await Promise.all(runs)
    expect(order).toEqual([1, 2, 3])
    expect(mutex.locked).toBe(false)
  })

  it('runs one task at a time, also when some fail', async () => {
    const mutex = new Mutex()
    let inside = 0
    const task = async (n: number): Promise<number> => {
      expect(++inside).toBe(1)
      await Promise.resolve()
      inside--
      if (n % 2 === 1) throw new Error(`task ${n}`)
      return n
    }
    const results = await Promise.allSettled([0, 1, 2, 3].map((n) => mutex.run(() => task(n))))
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled', 'rejected'])
    expect(mutex.locked).toBe(false)
  })

  it('lets nobody slip in while the lock is handed over', async () => {
    const mutex = new Mutex()
    const order: string[] = []
    const release = await mutex.acquire()
    const enter = async (name: string): Promise<void> => {
      const free = await mutex.acquire()
      order.push(name)
      free()
    }
    const waiting = enter('waiting')
    release()
    const late = enter('late')
    await Promise.all([waiting, late])
    expect(order).toEqual(['waiting', 'late'])
  })

  it('ignores a second release', async () => {
    const mutex = new Mutex()
    const release = await mutex.acquire()
    release()
    const next = await mutex.acquire()
    release()
    expect(mutex.locked).toBe(true)
    next()
    expect(mutex.locked).toBe(false)
  })

  it('leaves no trace of a waiter whose signal aborts', async () => {
    const mutex = new Mutex()
    const release = await mutex.acquire()
    const control = new AbortController()
    const aborted = mutex.acquire({ signal: control.signal })
    const patient = mutex.acquire()
    control.abort(new Error('no longer'))
    await expect(aborted).rejects.toThrow('no longer')
    release()
    const free = await patient
    free()
    expect(mutex.locked).toBe(false)
  })

  it('does not wait at all for a signal that is aborted already', async () => {
    const mutex = new Mutex()
    await expect(mutex.acquire({ signal: AbortSignal.abort(new Error('too late')) })).rejects.toThrow('too late')
    expect(mutex.locked).toBe(false)
  })

  it('does not end a task by the signal that would have ended its waiting', async () => {
    const mutex = new Mutex()
    const control = new AbortController()
    const result = mutex.run(
      async () => {
        control.abort()
        await Promise.resolve()
        return 'done'
      },
      { signal: control.signal },
    )
    expect(await result).toBe('done')
  })

  it('gives the lock to nobody twice when the signal aborts after it was granted', async () => {
    const mutex = new Mutex()
    const release = await mutex.acquire()
    const control = new AbortController()
    const granted = mutex.acquire({ signal: control.signal })
    release()
    control.abort()
    const free = await granted
    expect(mutex.locked).toBe(true)
    free()
    expect(mutex.locked).toBe(false)
  })
})
