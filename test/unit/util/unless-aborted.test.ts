import { describe, expect, it } from 'vitest'
import { unlessAborted } from '../../../src/util/unless-aborted.ts'

const never = () => new Promise<never>(() => {})

describe('unlessAborted', () => {
  it('gives what the promise gives', async () => {
    const { signal } = new AbortController()
    expect(await unlessAborted(async () => 1, signal)).toBe(1)
    await expect(unlessAborted(() => Promise.reject(new Error('failed')), signal)).rejects.toThrow('failed')
  })

  it('rejects with the reason of the signal, if that comes first', async () => {
    const controller = new AbortController()
    const waiting = unlessAborted(never, controller.signal)
    controller.abort(new Error('gone'))
    await expect(waiting).rejects.toThrow('gone')
  })

  it('does not start what is aborted already', async () => {
    let started = false
    const start = async () => {
      started = true
    }
    await expect(unlessAborted(start, AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    expect(started).toBe(false)
  })

  it('leaves no listener behind', async () => {
    const { signal } = new AbortController()
    let listeners = 0
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...args: Parameters<typeof addEventListener>) => {
      listeners++
      addEventListener.apply(signal, args)
    }
    signal.removeEventListener = (...args: Parameters<typeof removeEventListener>) => {
      listeners--
      removeEventListener.apply(signal, args)
    }
    await unlessAborted(async () => 1, signal)
    expect(listeners).toBe(0)
  })
})
