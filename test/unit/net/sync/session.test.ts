import { beforeEach, describe, expect, it } from 'vitest'
import { randomBytes } from '../../../../src/core/crypto.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { LogId, PeerId } from '../../../../src/core/peer-id.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { ChangeFeed, ThreadChange } from '../../../../src/net/change-feed.ts'
import type { FrameStream } from '../../../../src/net/protocol/frame-stream.ts'
import { FaultLimit } from '../../../../src/net/protocol/fault-limit.ts'
import type { Receipt, ReceivedRun } from '../../../../src/net/replica.ts'
import type { SyncContext } from '../../../../src/net/sync/context.ts'
import { WINDOW_BYTES } from '../../../../src/net/sync/credit.ts'
import { decodeFrame, encodeFrame, type Frame, type Hello } from '../../../../src/net/sync/frames.ts'
import { proofOf } from '../../../../src/net/sync/proof.ts'
import { SyncSession } from '../../../../src/net/sync/session.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'

/** The other end of a stream, in the hands of a test. */
class OtherEnd {
  readonly said: Frame[] = []
  isOver = false
  readonly #waiting: Uint8Array[] = []
  #wake: (() => void) | undefined

  readonly stream: FrameStream = {
    frames: this.#frames(),
    send: async (message) => void this.said.push(decodeFrame(message)),
    end: () => {
      this.isOver = true
      this.#wake?.()
    },
  }

  say(frame: Frame): void {
    this.#waiting.push(encodeFrame(frame))
    this.#wake?.()
  }

  async *#frames(): AsyncGenerator<Uint8Array> {
    while (!this.isOver) {
      const next = this.#waiting.shift()
      if (next !== undefined) yield next
      else await new Promise<void>((resolve) => (this.#wake = resolve))
    }
  }
}

/** A journal that says what it is told to. */
class TestFeed implements ChangeFeed {
  lastSeq = 0
  /** Where streams have begun to follow it. */
  readonly begun: number[] = []
  readonly #changes: ThreadChange[] = []
  #wake: (() => void) | undefined

  add(threadId: ThreadId, ...logs: LogId[]): void {
    this.#changes.push({ seq: ++this.lastSeq, threadId, logs })
    this.#wake?.()
  }

  async *changes(after: number, signal: AbortSignal): AsyncGenerator<ThreadChange | 'resync'> {
    this.begun.push(after)
    for (let at = after; !signal.aborted; ) {
      const change = this.#changes[at]
      if (change === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
          signal.addEventListener('abort', () => resolve(), { once: true })
        })
      } else {
        at++
        yield change
      }
    }
  }
}

const LARGE = 400 * 1024

let clock: FakeClock
let replica: FakeReplica
let feed: TestFeed
let other: OtherEnd
let peer: PeerId
let threadId: ThreadId
let log: LogId
let causes: unknown[]
let nonce: Uint8Array
let pulled: ReadonlySet<LogId>[]
let pull: SyncContext['pull']

beforeEach(() => {
  clock = new FakeClock()
  replica = new FakeReplica()
  feed = new TestFeed()
  peer = newPeer().id
  threadId = replica.addThread()
  log = replica.addOwnLog(threadId)
  nonce = randomBytes(32)
  pulled = []
  pull = async (_peer, _threadId, only) => void pulled.push(only)
})

async function settled(): Promise<void> {
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setImmediate(resolve))
}

function open(options: { isOpener: boolean; seen?: { journalId: Uint8Array; seq: number } }): SyncSession {
  other = new OtherEnd()
  causes = []
  const context: SyncContext = {
    replica,
    feed,
    hints: { seen: () => {}, ahead: () => {}, has: () => {} },
    faults: new FaultLimit(clock, () => {}),
    clock,
    random: randomBytes,
    logger: silentLogger,
    journalId: JOURNAL,
    pull: (...args) => pull(...args),
    isPushing: () => false,
    onMember: () => {},
  }
  const session = new SyncSession(
    context,
    { stream: other.stream, peer, isOpener: options.isOpener },
    {
      onHello: () => true,
      onEnd: (_, cause) => void causes.push(cause),
      seen: () => options.seen,
      onSeen: (seen) => void seenSeqs.push(seen.seq),
    },
  )
  void session.run()
  return session
}

const JOURNAL = randomBytes(16)
const THEIRS = randomBytes(16)
let seenSeqs: number[] = []

function hello(seen: Hello['seen'] = { journalId: new Uint8Array(0), seq: 0 }): Hello {
  const about = { version: 1, features: [], journalId: THEIRS, seq: 0, seen, clockMs: clock.nowMs() }
  return { ...about, nonce, credit: WINDOW_BYTES }
}

/** A stream that the peer opened, on which both have said hello. */
async function met(seen?: Hello['seen']): Promise<SyncSession> {
  seenSeqs = []
  const session = open({ isOpener: false, seen: { journalId: THEIRS, seq: 0 } })
  other.say({ hello: hello(seen) })
  await settled()
  return session
}

function named(id: ThreadId = threadId): { id: ThreadId; proof: Uint8Array } {
  const serviceKey = replica.serviceKey(id)
  const theirs = other.said.find((frame) => frame.hello !== undefined)?.hello
  if (serviceKey === undefined || theirs === undefined) throw new Error('the peer cannot prove anything')
  return {
    id,
    proof: proofOf({ id, serviceKey }, { from: { peer, nonce }, to: { peer: replica.hostId, nonce: theirs.nonce } }),
  }
}

/** Another log of the thread, written at the peer, with records that are not here. */
function foreign(records: number, bytes: number) {
  const source = new FakeReplica(peer)
  const keys = replica.threads.get(threadId)
  source.addThread({ id: threadId, ...(keys && { service: keys.service, read: keys.read }) })
  const id = source.addOwnLog(threadId)
  for (let count = 0; count < records; count++) source.append(threadId, id, bytes)
  return { source, id, log: source.log(threadId, id) }
}

describe('a stream of Sync', () => {
  it('is greeted by who opened it, and answered when it is kept', async () => {
    open({ isOpener: true })
    await settled()
    expect(other.said).toMatchObject([{ hello: { version: 1, journalId: JOURNAL } }])
    await met()
    expect(other.said[0]).toMatchObject({ hello: { version: 1 } })
  })

  it('goes on telling after the commit that the peer has seen, and compares nothing', async () => {
    replica.prove(threadId, peer)
    for (let count = 0; count < 3; count++) feed.add(threadId, log)
    replica.append(threadId, log)
    await met({ journalId: JOURNAL, seq: 2 })
    clock.advance(1_000)
    await settled()
    expect(feed.begun).toEqual([2])
    expect(other.said.filter(({ ranges }) => ranges !== undefined)).toEqual([])
    expect(other.said).toContainEqual({ told: 3 })
    expect(other.said.flatMap(({ heads }) => heads?.logs.map((entry) => entry.log.id) ?? [])).toEqual([log])
  })

  it('says nothing while nothing changes', async () => {
    replica.prove(threadId, peer)
    await met({ journalId: JOURNAL, seq: 0 })
    const before = other.said.length
    clock.advance(50_000)
    await settled()
    expect(other.said).toHaveLength(before)
  })

  it('tells nothing to a peer that is not proven, and all to one that proves itself', async () => {
    await met()
    feed.add(threadId, log)
    clock.advance(1_000)
    await settled()
    expect(other.said.some(({ heads }) => heads !== undefined)).toBe(false)
    other.say({ heads: { thread: named(), logs: [], ask: true } })
    await settled()
    clock.advance(1_000)
    await settled()
    expect(other.said.some(({ heads }) => heads !== undefined)).toBe(true)
  })

  it('wants logs of which a head is not here, and no others', async () => {
    await met()
    const theirs = foreign(2, 10)
    const own = replica.log(threadId, log)
    if (theirs.log === undefined || own === undefined) throw new Error('there are no logs')
    const logs = [theirs.log, own].map((each) => ({ log: each, branches: [] }))
    other.say({ heads: { thread: named(), logs, ask: false } })
    await settled()
    expect(pulled).toEqual([new Set([theirs.id])])
  })

  it('has seen what was told only when what it wanted has come', async () => {
    await met()
    const theirs = foreign(2, 10)
    if (theirs.log === undefined) throw new Error('there is no log')
    const coming = Promise.withResolvers<void>()
    pull = () => coming.promise
    other.say({ heads: { thread: named(), logs: [{ log: theirs.log, branches: [] }], ask: false }, told: 4 })
    await settled()
    expect(seenSeqs).toEqual([])
    coming.resolve()
    await settled()
    expect(seenSeqs).toEqual([4])
  })

  it('acknowledges a push when its records are stored, and not before', async () => {
    await met()
    const theirs = foreign(1, 10)
    if (theirs.log === undefined) throw new Error('there is no log')
    await replica.addLogs(threadId, [theirs.log])
    const stored = Promise.withResolvers<void>()
    const receive = replica.receive.bind(replica)
    replica.receive = async (run: ReceivedRun): Promise<Receipt> => {
      await stored.promise
      return receive(run)
    }
    const records = await theirs.source.recordsAfter(threadId, theirs.id, { counter: 0, maxRecords: 9, maxBytes: 1e6 })
    other.say({ push: { id: 5, thread: named(), logId: theirs.id, counter: 1, records, attestation: undefined } })
    await settled()
    expect(other.said.some(({ ack, credit }) => ack !== undefined || credit !== undefined)).toBe(false)
    stored.resolve()
    await settled()
    expect(other.said).toContainEqual({ ack: { id: 5, status: 0, message: '' } })
    expect(replica.counter(threadId, theirs.id)).toBe(1)
  })

  it('ends if the peer sends more records than it has credit for', async () => {
    await met()
    const theirs = foreign(4, LARGE)
    if (theirs.log === undefined) throw new Error('there is no log')
    await replica.addLogs(threadId, [theirs.log])
    replica.receive = () => new Promise(() => {})
    for (let counter = 1; counter <= 4; counter++) {
      const page = { counter: counter - 1, maxRecords: 1, maxBytes: 1 }
      const records = await theirs.source.recordsAfter(threadId, theirs.id, page)
      other.say({ push: { id: counter, thread: named(), logId: theirs.id, counter, records, attestation: undefined } })
    }
    await settled()
    expect(causes).toEqual([
      expect.objectContaining({ code: 'BAD_MESSAGE', message: expect.stringContaining('more records') }),
    ])
  })

  it('sends no more records than the peer gives credit for, whatever it wants', async () => {
    for (let count = 0; count < 6; count++) replica.append(threadId, log, LARGE)
    await met()
    const logs = [{ logId: log, offset: undefined, counter: 0, limit: 100 }]
    other.say({ want: { id: 1, thread: named(), logs } })
    await settled()
    const sent = (): number => other.said.filter(({ records }) => records !== undefined).length
    expect(sent()).toBe(2)
    other.say({ credit: LARGE + 10_000 })
    await settled()
    expect(sent()).toBe(3)
  })

  it('ends if the peer gives no credit for what it wants', async () => {
    for (let count = 0; count < 6; count++) replica.append(threadId, log, LARGE)
    await met()
    const logs = [{ logId: log, offset: undefined, counter: 0, limit: 100 }]
    other.say({ want: { id: 1, thread: named(), logs } })
    await settled()
    clock.advance(59_000)
    other.say({ credit: 1 })
    await settled()
    clock.advance(59_000)
    await settled()
    expect(causes).toEqual([])
    clock.advance(61_000)
    await settled()
    expect(causes).toEqual([expect.objectContaining({ message: 'the peer takes no records' })])
  })

  it('ends if the peer wants too much at once', async () => {
    for (let count = 0; count < 6; count++) replica.append(threadId, log, LARGE)
    await met()
    const logs = [{ logId: log, offset: undefined, counter: 0, limit: 100 }]
    for (let id = 1; id <= 17; id++) other.say({ want: { id, thread: named(), logs } })
    await settled()
    expect(causes).toEqual([expect.objectContaining({ code: 'BAD_MESSAGE' })])
  })

  it('is asked for a sign of life after a minute of silence, and ends without one', async () => {
    await met()
    clock.advance(60_000)
    await settled()
    expect(other.said).toContainEqual({ ping: true })
    other.say({ pong: true })
    await settled()
    clock.advance(59_000)
    await settled()
    expect(causes).toEqual([])
    clock.advance(90_000)
    await settled()
    expect(causes).toEqual([expect.objectContaining({ code: 'PEER_UNREACHABLE' })])
  })

  it('ends if the peer does not go on with what was wanted', async () => {
    const session = await met()
    const records = session.records({ threadId, logs: [{ logId: log, offset: undefined, counter: 0, limit: 9 }] })
    const first = records.next()
    const failed = expect(first).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    await settled()
    clock.advance(31_000)
    await failed
    expect(causes).toHaveLength(1)
  })
})
