import { describe, expect, it, vi } from 'vitest'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { PeerBook } from '../../../../src/net/replication/peer-book.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'

const MOST = (length: number): Uint8Array => new Uint8Array(length).fill(0xff)
const SECOND = 1000
const MINUTE = 60 * SECOND

const peer = newPeer().id
const threadId = new FakeReplica().addThread()
const local = { addresses: 1n, heads: 2n }
const remote = { addresses: 1n, heads: 3n }

function book(random = MOST) {
  const clock = new FakeClock()
  const onReached = vi.fn<(peer: string) => void>()
  return { clock, onReached, book: new PeerBook({ clock, random, onReached }) }
}

describe('a peer that cannot be reached', () => {
  it('is tried again after up to a second, then twice as long each time, up to two minutes', () => {
    const { clock, book: notes } = book()
    const waits: number[] = []
    for (let attempt = 0; attempt < 10; attempt++) {
      notes.failed(peer)
      const failure = notes.failure(peer)
      if (failure === undefined) throw new Error('the peer may be called')
      waits.push((failure.retryAtMs - clock.nowMs()) / SECOND)
      clock.set(failure.retryAtMs)
      expect(notes.failure(peer)).toBeUndefined()
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 120, 120, 120])
  })

  it('waits any part of that time, so that peers do not come back together', () => {
    const { clock, book: notes } = book((length) => new Uint8Array(length).fill(0x40))
    notes.failed(peer)
    const { retryAtMs = 0 } = notes.failure(peer) ?? {}
    expect(retryAtMs - clock.nowMs()).toBeGreaterThan(240)
    expect(retryAtMs - clock.nowMs()).toBeLessThan(260)
  })

  it('fails once when many calls to it fail together', () => {
    const { book: notes } = book()
    for (let call = 0; call < 16; call++) notes.failed(peer)
    expect(notes.failure(peer)?.times).toBe(1)
  })

  it('starts afresh when it is heard of, which is told once', () => {
    const { onReached, book: notes } = book()
    notes.failed(peer)
    notes.reached(peer)
    notes.reached(peer)
    expect(notes.failure(peer)).toBeUndefined()
    expect(onReached.mock.calls).toEqual([[peer]])
  })
})

describe('a question that brought nothing', () => {
  it('is not asked again for 10 s, then longer, up to 10 min', () => {
    const { clock, book: notes } = book()
    const waits: number[] = []
    for (let attempt = 0; attempt < 8; attempt++) {
      notes.broughtNothing(peer, threadId, { local, remote })
      let waited = 0
      for (; notes.isBarren(peer, threadId, { local, remote }); waited++) clock.advance(SECOND)
      waits.push(waited)
    }
    expect(waits).toEqual([10, 20, 40, 80, 160, 320, 600, 600])
  })

  it('is another question when an edge of either side has changed', () => {
    const { book: notes } = book()
    notes.broughtNothing(peer, threadId, { local, remote })
    expect(notes.isBarren(peer, threadId, { local, remote })).toBe(true)
    expect(notes.isBarren(peer, threadId, { local, remote: { ...remote, heads: 4n } })).toBe(false)
    expect(notes.isBarren(peer, threadId, { local: { ...local, heads: 4n }, remote })).toBe(false)
    expect(notes.isBarren(newPeer().id, threadId, { local, remote })).toBe(false)
  })

  it('is asked again once the peer brought something', () => {
    const { book: notes } = book()
    notes.broughtNothing(peer, threadId, { local, remote })
    notes.broughtNews(peer, threadId)
    expect(notes.isBarren(peer, threadId, { local, remote })).toBe(false)
  })
})

describe('a log that stalls at a peer', () => {
  const logId = newPeer().id

  it('is left alone for a time and listed with the reason', () => {
    const { clock, book: notes } = book()
    notes.stalled({ peer, threadId, logId }, 'fault', new ThreadsError('BAD_SIGNATURE', 'bad signature'))
    expect(notes.stalledLogs(peer, threadId, [logId, newPeer().id])).toEqual(new Set([logId]))
    expect(notes.status().stalls).toMatchObject([
      { logId, kind: 'fault', reason: 'BAD_SIGNATURE: bad signature', times: 1 },
    ])
    clock.advance(MINUTE)
    expect(notes.stalledLogs(peer, threadId, [logId])).toEqual(new Set())
  })

  it('is no longer listed once it advances', () => {
    const { book: notes } = book()
    notes.stalled({ peer, threadId, logId }, 'gap')
    notes.advanced({ peer, threadId, logId })
    expect(notes.status().stalls).toEqual([])
  })
})
