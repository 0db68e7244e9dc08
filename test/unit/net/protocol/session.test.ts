import { afterEach, expect, it, vi } from 'vitest'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import { PeerSession } from '../../../../src/net/protocol/session.ts'
import { streamPair } from '../../../support/stream-pair.ts'

const PEER = 'peer' as PeerId

afterEach(() => {
  vi.useRealTimers()
})

it('a session that is destroyed in the middle of a write ends its calls', async () => {
  const [stream] = streamPair()
  stream.stalled = true
  const session = new PeerSession(stream, PEER)
  const call = session.call('/service/Method', new Uint8Array(10), { timeoutMs: 10_000, maxReplyBytes: 1_000_000 })
  await expect.poll(() => stream.writableLength).toBeGreaterThan(0)
  session.destroy()
  await expect(call).rejects.toThrow('the connection ended')
  await expect.poll(() => session.usable).toBe(false)
})

it('a session whose peer takes nothing is given up in time', async () => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  const [stream] = streamPair()
  stream.stalled = true
  const session = new PeerSession(stream, PEER)
  const call = session.call('/service/Method', new Uint8Array(10), { timeoutMs: 60_000, maxReplyBytes: 1_000_000 })
  const outcome = expect(call).rejects.toThrow('the connection ended')
  while (stream.writableLength === 0) await new Promise((resolve) => setImmediate(resolve))
  vi.advanceTimersByTime(19_000)
  expect(stream.destroyed).toBe(false)
  vi.advanceTimersByTime(1_000)
  await outcome
  expect(stream.destroyed).toBe(true)
})
