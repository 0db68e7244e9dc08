import { describe, expect, it } from 'vitest'
import { randomBytes } from '../../../../src/core/crypto.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import { FaultLimit } from '../../../../src/net/protocol/fault-limit.ts'
import type { FrameStream } from '../../../../src/net/protocol/frame-stream.ts'
import { Status, StatusError } from '../../../../src/net/protocol/status.ts'
import { SyncStreams } from '../../../../src/net/sync/sync-streams.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeReplica } from '../../../support/fake-replica.ts'

interface Queue {
  readonly messages: Uint8Array[]
  over: StatusError | 'ok' | undefined
  wake: () => void
}

/** Both ends of a stream in memory; the first is that of the opener. */
function streamPair(): [FrameStream, FrameStream] {
  const queues = [0, 1].map((): Queue => ({ messages: [], over: undefined, wake: () => {} })) as [Queue, Queue]
  const end = (own: Queue, other: Queue): FrameStream => ({
    frames: read(own),
    send: async (message) => {
      other.messages.push(message)
      other.wake()
    },
    end: (status) => {
      for (const queue of [own, other]) {
        queue.over ??= status ?? 'ok'
        queue.wake()
      }
    },
  })
  return [end(queues[0], queues[1]), end(queues[1], queues[0])]
}

async function* read(queue: Queue): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = queue.messages.shift()
    if (next !== undefined) yield next
    else if (queue.over !== undefined) break
    else await new Promise<void>((resolve) => (queue.wake = resolve))
  }
  if (queue.over instanceof StatusError) throw queue.over
}

/** A journal in which nothing happens. */
function silence(_after: number, signal: AbortSignal): AsyncIterable<never> {
  const over = new Promise<IteratorResult<never>>((resolve) => {
    signal.addEventListener('abort', () => resolve({ done: true, value: undefined }), { once: true })
  })
  return { [Symbol.asyncIterator]: () => ({ next: () => over }) }
}

type Open = (from: PeerId) => Promise<FrameStream>

interface Side {
  readonly streams: SyncStreams
  readonly id: PeerId
  readonly clock: FakeClock
  /** Streams that it opened. */
  opened: number
  open: Open
}

function side(): Side {
  const replica = new FakeReplica()
  const clock = new FakeClock()
  const made: Side = {
    id: replica.hostId,
    clock,
    opened: 0,
    open: () => Promise.reject(new ThreadsError('PEER_UNREACHABLE', 'nobody is there')),
    streams: new SyncStreams({
      replica,
      feed: { lastSeq: 0, changes: silence },
      hints: { seen: () => {}, ahead: () => {}, has: () => {} },
      faults: new FaultLimit(clock, () => {}),
      clock,
      random: randomBytes,
      logger: silentLogger,
      journalId: randomBytes(16),
      pull: async () => {},
      isPushing: () => false,
      onMember: () => {},
      onReady: () => {},
      opener: {
        openSync: async () => {
          made.opened++
          return made.open(replica.hostId)
        },
      },
    }),
  }
  return made
}

/** Two hosts that can open streams to each other. The first has the smaller id. */
function pair(): [Side, Side] {
  const [a, b] = [side(), side()].toSorted((one, other) => (one.id < other.id ? -1 : 1)) as [Side, Side]
  const to =
    (target: Side): Open =>
    async (from) => {
      const [own, theirs] = streamPair()
      target.streams.accept(theirs, from)
      return own
    }
  a.open = to(b)
  b.open = to(a)
  return [a, b]
}

async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}

function refusing(status: number): Open {
  return async () => {
    const [own, theirs] = streamPair()
    theirs.end(new StatusError(status, 'no'))
    return own
  }
}

describe('the streams of Sync of a host', () => {
  it('are one with a peer, also for those who ask at once', async () => {
    const [a, b] = pair()
    const sessions = await Promise.all([a.streams.ensure(b.id), a.streams.ensure(b.id)])
    expect(sessions[0]).toBeDefined()
    expect(sessions[0]).toBe(sessions[1])
    expect(await b.streams.ensure(a.id)).toBe(b.streams.session(a.id))
    expect([a.opened, b.opened]).toEqual([1, 0])
  })

  it('are that of the smaller id if both open one at once', async () => {
    const [a, b] = pair()
    await Promise.all([a.streams.ensure(b.id), b.streams.ensure(a.id)])
    await settled()
    expect([a.streams.session(b.id)?.isOpener, b.streams.session(a.id)?.isOpener]).toEqual([true, false])
    expect([a.streams.session(b.id)?.isReady, b.streams.session(a.id)?.isReady]).toEqual([true, true])
  })

  it('are replaced by those with a peer that has started anew, whoever opened them', async () => {
    const [a, b] = pair()
    await a.streams.ensure(b.id)
    const before = a.streams.session(b.id)
    const again = side()
    again.open = async () => {
      const [own, theirs] = streamPair()
      a.streams.accept(theirs, b.id)
      return own
    }
    expect(await again.streams.ensure(a.id)).toBeDefined()
    expect(a.streams.session(b.id)).not.toBe(before)
    expect(before?.isReady).toBe(false)
  })

  it('are not tried with a peer that knows no Sync, until it was unreachable or some time has passed', async () => {
    const [a, b] = pair()
    const knowing = a.open
    a.open = refusing(Status.unimplemented)
    expect(await a.streams.ensure(b.id)).toBeUndefined()
    a.open = knowing
    expect(await a.streams.ensure(b.id)).toBeUndefined()
    expect(a.opened).toBe(1)
    a.streams.forget(b.id)
    expect(await a.streams.ensure(b.id)).toBeDefined()
  })

  it('are taken from a peer that took none', async () => {
    const [a, b] = pair()
    a.open = refusing(Status.unimplemented)
    await a.streams.ensure(b.id)
    expect(await b.streams.ensure(a.id)).toBeDefined()
    expect(a.streams.session(b.id)?.isReady).toBe(true)
  })

  it('are not waited for when a peer says nothing', async () => {
    const [a, b] = pair()
    a.open = async () => streamPair()[0]
    const opening = a.streams.ensure(b.id)
    await settled()
    a.clock.advance(5_000)
    expect(await opening).toBeUndefined()
    await settled()
    expect(await a.streams.ensure(b.id)).toBeUndefined()
    expect(a.opened).toBe(1)
  })

  it('throw if the peer cannot be reached', async () => {
    const alone = side()
    await expect(alone.streams.ensure(side().id)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('are 64 at most, of which those give way whose peers belong to no thread', async () => {
    const a = side()
    const join = async (from: Side): Promise<SyncStreams> => {
      from.open = async (id) => {
        const [own, theirs] = streamPair()
        a.streams.accept(theirs, id)
        return own
      }
      await from.streams.ensure(a.id)
      return from.streams
    }
    const strangers = []
    for (let count = 0; count < 64; count++) strangers.push(await join(side()))
    const last = await join(side())
    await settled()
    expect(last.session(a.id)?.isReady).toBe(true)
    expect(strangers.map((each) => each.session(a.id)?.isReady === true).filter((isReady) => isReady)).toHaveLength(63)
  })

  it('end when the host stops, and no others are taken', async () => {
    const [a, b] = pair()
    await a.streams.ensure(b.id)
    a.streams.stop()
    await a.streams.settled()
    await settled()
    expect(b.streams.session(a.id)).toBeUndefined()
    expect(await b.streams.ensure(a.id)).toBeUndefined()
  })
})
