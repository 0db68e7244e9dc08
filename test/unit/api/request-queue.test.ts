import { beforeEach, describe, expect, it } from 'vitest'
import { MESSAGE_OVERHEAD_BYTES, RequestQueue } from '../../../src/api/request-queue.ts'

let paused: boolean
let queue: RequestQueue
let held: number
const message = (byte: number) => Uint8Array.of(byte, byte)

beforeEach(() => {
  paused = false
  held = 0
  queue = new RequestQueue({
    account: { add: (bytes) => void (held += bytes) },
    maxBytes: 2 * (2 + MESSAGE_OVERHEAD_BYTES),
    onFull: () => {
      paused = true
    },
    onEmpty: () => {
      paused = false
    },
  })
})

describe('a request queue', () => {
  it('gives what was pushed, in order, and ends after it', async () => {
    queue.push(message(1))
    queue.push(message(2))
    queue.end()
    expect(await Array.fromAsync(queue)).toEqual([message(1), message(2)])
  })

  it('lets a reader wait for what comes later', async () => {
    const reader = queue[Symbol.asyncIterator]()
    const next = reader.next()
    queue.push(message(1))
    expect((await next).value).toEqual(message(1))
    const last = reader.next()
    queue.end()
    expect((await last).done).toBe(true)
  })

  it('drops what waits and throws when the call failed: it never looks like an end', async () => {
    queue.push(message(1))
    queue.fail(new Error('gone'))
    await expect(queue[Symbol.asyncIterator]().next()).rejects.toThrow('gone')
  })

  it('throws to a reader that waits', async () => {
    const next = queue[Symbol.asyncIterator]().next()
    queue.fail(new Error('gone'))
    await expect(next).rejects.toThrow('gone')
  })

  it('takes nothing after its end, and a failure counts even then', async () => {
    queue.end()
    queue.push(message(1))
    expect(await Array.fromAsync(queue)).toEqual([])
    queue.fail(new Error('gone'))
    await expect(queue[Symbol.asyncIterator]().next()).rejects.toThrow('gone')
  })

  it('stops the sender while it is full, until everything is taken', async () => {
    const reader = queue[Symbol.asyncIterator]()
    queue.push(message(1))
    expect(paused).toBe(false)
    queue.push(message(2))
    expect(paused).toBe(true)
    await reader.next()
    expect(paused).toBe(true)
    await reader.next()
    expect(paused).toBe(false)
  })

  it('stops a sender of empty messages, too', () => {
    for (let count = 0; count < 3; count++) queue.push(new Uint8Array(0))
    expect(paused).toBe(true)
  })

  it('counts what waits in the account of its call, until it is taken or dropped', async () => {
    queue.push(message(1))
    queue.push(message(2))
    expect(held).toBe(2 * (2 + MESSAGE_OVERHEAD_BYTES))
    await queue[Symbol.asyncIterator]().next()
    expect(held).toBe(2 + MESSAGE_OVERHEAD_BYTES)
    queue.fail(new Error('gone'))
    expect(held).toBe(0)
  })
})
