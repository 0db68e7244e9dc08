/** Replication between peers linked in memory: what is called, and what is not. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { peerAddress } from '../../../../src/core/address.ts'
import type { LogId, PeerId } from '../../../../src/core/peer-id.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { GetRecordsRequest } from '../../../../src/net/protocol/messages.ts'
import { Status, StatusError } from '../../../../src/net/protocol/status.ts'
import { blocksOf } from '../../../support/block-peer.ts'
import { type FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { FakeClock } from '../../../support/fake-clock.ts'
import {
  introduce,
  type LinkedPeer,
  type LinkedPeerOptions,
  PeerLinks,
  shareThread,
} from '../../../support/peer-link.ts'

const MIB = 1024 * 1024
const running: LinkedPeer[] = []

afterEach(async () => {
  for (const { replication } of running.splice(0)) await replication.stop()
})

function pair(options: LinkedPeerOptions = {}) {
  const links = new PeerLinks()
  const [a, b] = [links.add(options), links.add(options)]
  running.push(a, b)
  return { links, a, b, ...shareThread(a, b) }
}

function write(peer: LinkedPeer, threadId: ThreadId, logId: LogId): void {
  peer.replication.localRecord(threadId, logId, peer.replica.append(threadId, logId))
}

/** The peer answers as go-threads does: with the newest records, at most so many. */
function sendsNewest(
  links: PeerLinks,
  peer: LinkedPeer,
  { threadId, logId, most }: { threadId: ThreadId; logId: LogId; most: () => number },
): void {
  links.answer(peer, {
    getRecords: async ({ logs: asked }) => {
      const { counter = 0, limit = 0 } = asked.find((each) => each.logId === logId) ?? {}
      const all = peer.replica.threads.get(threadId)?.logs.get(logId)?.records ?? []
      const records = all
        .slice(counter)
        .slice(-Math.min(limit, most()))
        .map(({ blocks }) => blocks)
      const log = peer.replica.log(threadId, logId)
      return { unreadable: 0, logs: limit === 0 || records.length === 0 ? [] : [{ logId, records, log }] }
    },
  })
}

/** Lets calls that are under way end; the links are in memory, so nothing waits for time. */
async function quiet(links: PeerLinks): Promise<void> {
  let before = -1
  while (before !== links.calls.length) {
    before = links.calls.length
    for (let turn = 0; turn < 50; turn++) await new Promise((resolve) => setImmediate(resolve))
  }
}

describe('a record written here', () => {
  it('is pushed to the peers of the thread', async () => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    for (let count = 0; count < 40; count++) write(a, threadId, logs.a)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(40)
    expect(links.callsOf('pushRecord')).toHaveLength(40)
    expect(a.replication.syncStatus()).toEqual([])
  })

  it('has at most 16 calls to a peer in flight', async () => {
    let inFlight = 0
    let most = 0
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    links.answer(b, {
      pushRecord: async () => {
        most = Math.max(most, ++inFlight)
        await new Promise((resolve) => setImmediate(resolve))
        inFlight--
        return {}
      },
    })
    const more = Array.from({ length: 20 }, () => a.replica.addOwnLog(threadId))
    for (const logId of [logs.a, ...more]) for (let count = 0; count < 10; count++) write(a, threadId, logId)
    await quiet(links)
    expect(links.callsOf('pushRecord')).toHaveLength(210)
    expect(most).toBe(16)
  })

  it.each([1, 100])('does not wait for %i records of another log that the peer is slow to take', async (count) => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    const slow = a.replica.addOwnLog(threadId)
    await b.replica.addLogs(threadId, a.replica.logs(threadId))
    const released = Promise.withResolvers<void>()
    const { pushRecord } = links.handlersOf(b)
    links.answer(b, {
      pushRecord: async (request, caller) => {
        if (request.logId === slow) await released.promise
        return pushRecord(request, caller)
      },
    })
    for (let at = 0; at < count; at++) a.replica.append(threadId, slow)
    a.replication.localRecord(threadId, slow, 1)
    a.replication.localRecord(threadId, slow, count)
    for (let at = 0; at < 40; at++) write(a, threadId, logs.a)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(40)
    expect(b.replica.counter(threadId, slow)).toBe(0)
    released.resolve()
    await quiet(links)
    expect(b.replica.counter(threadId, slow)).toBe(count)
  })

  it('brings the log along when the peer does not know it, and the peer pulls the record', async () => {
    const { links, a, b, threadId, logs } = pair()
    await a.replica.addLogs(threadId, b.replica.logs(threadId))
    b.replica.prove(threadId, a.replica.hostId)
    write(a, threadId, logs.a)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
    expect(links.callsOf('pushLog')).toHaveLength(1)
    expect(links.callsOf('pushLog')[0]?.request).toMatchObject({ serviceKey: undefined, readKey: undefined })
  })

  it('is pulled once the peer is shown that this host belongs to the thread, which a record does not', async () => {
    const { links, a, b, threadId, logs } = pair()
    await a.replica.addLogs(threadId, b.replica.logs(threadId))
    write(a, threadId, logs.a)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
    expect(links.callsOf('pushLog')[0]?.request).toMatchObject({ serviceKey: undefined, readKey: undefined })
    expect(b.replica.isProven(threadId, a.replica.hostId)).toBe(true)
  })

  it('is pulled when it comes after a gap', async () => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    for (let count = 0; count < 5; count++) a.replica.append(threadId, logs.a)
    write(a, threadId, logs.a)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(6)
    expect(links.callsOf('pushRecord')).toHaveLength(1)
  })

  it('waits for a peer that is away, and goes out in order once it is back', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock })
    await introduce(a, b, threadId)
    links.setDown(b, true)
    for (let count = 0; count < 3; count++) write(a, threadId, logs.a)
    await quiet(links)
    expect(a.replication.syncStatus()).toMatchObject([
      { peer: b.replica.hostId, failure: { times: 1 }, outstanding: [{ logId: logs.a, has: 0, until: 3 }] },
    ])
    links.setDown(b, false)
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(3)
    expect(a.replication.syncStatus()).toEqual([])
  })

  it('is outstanding in its thread, where the peer cannot be reached in all of its threads', async () => {
    const { links, a, b, threadId, logs } = pair({ clock: new FakeClock() })
    await introduce(a, b, threadId)
    const other = shareThread(a, b).threadId
    await introduce(a, b, other)
    const alone = a.replica.addThread()
    links.setDown(b, true)
    write(a, threadId, logs.a)
    await quiet(links)
    const failed = { peer: b.replica.hostId, failure: { times: 1 } }
    expect(a.replication.syncStatus(threadId)).toMatchObject([{ ...failed, outstanding: [{ logId: logs.a }] }])
    expect(a.replication.syncStatus(other)).toMatchObject([{ ...failed, outstanding: [] }])
    expect(a.replication.syncStatus(alone)).toEqual([])
  })

  it('goes out at once when the peer that was away calls', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock })
    await introduce(a, b, threadId)
    links.setDown(b, true)
    write(a, threadId, logs.a)
    await quiet(links)
    links.setDown(b, false)
    await b.replication.pullThread(threadId)
    await quiet(links)
    expect(a.replication.syncStatus()).toEqual([])
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
  })

  it('is not sent again to a peer that refuses it', async () => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    const refusal = new StatusError(Status.internal, 'app denied net record body')
    links.answer(b, { pushRecord: () => Promise.reject(refusal) })
    write(a, threadId, logs.a)
    await quiet(links)
    expect(links.callsOf('pushRecord')).toHaveLength(1)
    expect(a.replication.syncStatus()).toEqual([])
  })
})

describe('new addresses of logs', () => {
  it('are told to the peers of the thread, without keys', async () => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    const replicator = peerAddress(newPeer().id)
    const [log] = a.replica.logs(threadId)
    if (log === undefined) throw new Error('no log')
    await a.replica.addLogs(threadId, [{ ...log, addresses: [replicator] }])
    a.replication.announceLogs(threadId, [logs.a])
    await quiet(links)
    const told = b.replica.logs(threadId).find(({ id }) => id === logs.a)
    expect(told?.addresses).toContain(replicator)
    expect(links.callsOf('pushLog', b)).toMatchObject([{ request: { serviceKey: undefined, readKey: undefined } }])
  })
})

describe('a pull', () => {
  it('brings all logs and records of a peer', async () => {
    const { a, b, threadId, logs } = pair()
    for (let count = 0; count < 5; count++) a.replica.append(threadId, logs.a)
    await b.replica.addLogs(threadId, a.replica.logs(threadId))
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(5)
  })

  it('comes back until there is nothing left, when replies reach their limits', async () => {
    const { links, a, b, threadId, logs } = pair({ pullRecords: 10 })
    await introduce(a, b, threadId)
    for (let count = 0; count < 35; count++) a.replica.append(threadId, logs.a)
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(35)
    expect(links.callsOf('getRecords')).toHaveLength(5)
  })

  it('gets records of which few fit a reply', async () => {
    const { a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    const second = a.replica.addOwnLog(threadId)
    for (let count = 0; count < 4; count++) {
      a.replica.append(threadId, logs.a, 1.4 * MIB)
      a.replica.append(threadId, second, 3.4 * MIB)
    }
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(4)
    expect(b.replica.counter(threadId, second)).toBe(4)
  })

  it('takes the other logs when a record of one is bad, and leaves that one alone for a time', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock })
    await introduce(a, b, threadId)
    const second = a.replica.addOwnLog(threadId)
    for (let count = 0; count < 5; count++) {
      a.replica.append(threadId, logs.a)
      a.replica.append(threadId, second)
    }
    const bad = a.replica.threads.get(threadId)?.logs.get(logs.a)?.records[2]
    if (bad === undefined) throw new Error('no such record')
    Object.assign(bad, { blocks: { ...bad.blocks, bodyNode: randomBytes(34) } })
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(2)
    expect(b.replica.counter(threadId, second)).toBe(5)
    expect(b.replication.syncStatus()).toMatchObject([{ stalls: [{ logId: logs.a, kind: 'fault', times: 1 }] }])
    a.replica.append(threadId, second)
    await b.replication.pullThread(threadId)
    const request = links.callsOf('getRecords').at(-1)?.request as GetRecordsRequest | undefined
    expect(request?.logs.find(({ logId }) => logId === logs.a)?.limit).toBe(0)
    expect(b.replica.counter(threadId, second)).toBe(6)
  })

  it('asks for all of a log at a peer that sends the newest records, and lists the gap that stays', async () => {
    const { links, a, b, threadId, logs } = pair({ pullRecords: 10 })
    await introduce(a, b, threadId)
    for (let count = 0; count < 30; count++) a.replica.append(threadId, logs.a)
    let most = 100
    sendsNewest(links, a, { threadId, logId: logs.a, most: () => most })
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(30)
    for (let count = 0; count < 30; count++) a.replica.append(threadId, logs.a)
    most = 20
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(30)
    expect(b.replication.syncStatus()).toMatchObject([{ stalls: [{ logId: logs.a, kind: 'gap' }] }])
  })

  it('fetches block by block what lies before the newest records, from a peer that sends only those', async () => {
    const replicas = new Map<PeerId, FakeReplica>()
    const { links, a, b, threadId, logs } = pair({ blocks: blocksOf(replicas) })
    replicas.set(a.replica.hostId, a.replica)
    await introduce(a, b, threadId)
    sendsNewest(links, a, { threadId, logId: logs.a, most: () => 20 })
    for (const expected of [60, 90]) {
      while (a.replica.counter(threadId, logs.a) < expected) a.replica.append(threadId, logs.a)
      await b.replication.pullThread(threadId)
      expect(b.replica.counter(threadId, logs.a)).toBe(expected)
      expect(b.replication.syncStatus()).toEqual([])
    }
  })

  it('keeps what it fetched, and lists the gap, when a peer lacks one of the blocks', async () => {
    const replicas = new Map<PeerId, FakeReplica>()
    const blocks = blocksOf(replicas)
    const { links, a, b, threadId, logs } = pair({ blocks })
    await introduce(a, b, threadId)
    sendsNewest(links, a, { threadId, logId: logs.a, most: () => 20 })
    for (let count = 0; count < 60; count++) a.replica.append(threadId, logs.a)
    replicas.set(a.replica.hostId, a.replica)
    const lost = a.replica.threads.get(threadId)?.logs.get(logs.a)?.records[20]
    if (lost === undefined) throw new Error('no such record')
    Object.assign(lost, { blocks: { ...lost.blocks, bodyNode: randomBytes(34) } })
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(20)
    const stall = { logId: logs.a, kind: 'gap', reason: expect.stringContaining('RECORD_NOT_FOUND') }
    expect(b.replication.syncStatus()).toMatchObject([{ stalls: [stall] }])
  })

  it('asks for less when a reply is too large', async () => {
    const { links, a, b, threadId, logs } = pair()
    const others = Array.from({ length: 4 }, () => a.replica.addOwnLog(threadId))
    for (const logId of [logs.a, ...others]) for (let count = 0; count < 4; count++) a.replica.append(threadId, logId)
    await b.replica.addLogs(threadId, a.replica.logs(threadId).slice(0, 1))
    const { getRecords } = links.handlersOf(a)
    links.answer(a, {
      getRecords: async (request, caller) => {
        const asked = request.logs.filter(({ limit }) => limit > 0)
        const named = new Set(request.logs.map(({ logId }) => logId))
        const unnamed = a.replica.logs(threadId).filter(({ id }) => !named.has(id)).length
        if (asked.length + unnamed > 1 || (asked[0]?.limit ?? 0) > 2) {
          throw new StatusError(Status.resourceExhausted, 'received message larger than max')
        }
        return getRecords(request, caller)
      },
    })
    await b.replication.pullThread(threadId)
    for (const logId of [logs.a, ...others]) expect(b.replica.counter(threadId, logId)).toBe(4)
  })

  it('asks for less when a reply takes too long', async () => {
    const { links, a, b, threadId, logs } = pair()
    for (let count = 0; count < 50; count++) a.replica.append(threadId, logs.a)
    await b.replica.addLogs(threadId, a.replica.logs(threadId))
    const { getRecords } = links.handlersOf(a)
    links.answer(a, {
      getRecords: async (request, caller) => {
        const asked = request.logs.find(({ logId }) => logId === logs.a)
        const records = Math.min(asked?.limit ?? 0, 50 - (asked?.counter ?? 0))
        if (records > 10) throw new StatusError(Status.deadlineExceeded, 'too slow')
        return getRecords(request, caller)
      },
    })
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(50)
    expect(links.callsOf('getRecords', a).length).toBeLessThan(20)
  })

  it('asks for all logs but the one that a peer never answers for', async () => {
    const { links, a, b, threadId, logs } = pair()
    const others = Array.from({ length: 4 }, () => a.replica.addOwnLog(threadId))
    for (const logId of [logs.a, ...others]) for (let count = 0; count < 4; count++) a.replica.append(threadId, logId)
    await b.replica.addLogs(threadId, a.replica.logs(threadId))
    const { getRecords } = links.handlersOf(a)
    links.answer(a, {
      getRecords: async (request, caller) => {
        const asked = request.logs.filter(({ limit }) => limit > 0).map(({ logId }) => logId)
        if (asked.includes(logs.a)) throw new StatusError(Status.deadlineExceeded, 'too slow')
        return getRecords(request, caller)
      },
    })
    await b.replication.pullThread(threadId)
    for (const logId of others) expect(b.replica.counter(threadId, logId)).toBe(4)
    expect(b.replication.syncStatus()).toMatchObject([
      { failure: undefined, stalls: [{ logId: logs.a, kind: 'fault' }] },
    ])
    const calls = links.callsOf('getRecords', a).length
    expect(calls).toBeLessThan(20)
    // It is left out for some time.
    await b.replication.pullThread(threadId)
    expect(links.callsOf('getRecords', a).length).toBe(calls + 1)
  })

  it('asked for while one is under way brings what came meanwhile', async () => {
    const { links, a, b, threadId, logs } = pair()
    await introduce(a, b, threadId)
    const asked = Promise.withResolvers<void>()
    const held = Promise.withResolvers<void>()
    const { getRecords } = links.handlersOf(a)
    links.answer(a, {
      getRecords: async (request, caller) => {
        const reply = await getRecords(request, caller)
        asked.resolve()
        await held.promise
        return reply
      },
    })
    const first = b.replication.pullThread(threadId)
    await asked.promise
    a.replica.append(threadId, logs.a)
    const second = b.replication.pullThread(threadId)
    held.resolve()
    await Promise.all([first, second])
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
  })

  it('gives up on a peer that refuses ever smaller requests', async () => {
    const { links, a, b, threadId } = pair()
    for (let count = 0; count < 200; count++) a.replica.addOwnLog(threadId)
    await introduce(a, b, threadId)
    links.answer(a, { getRecords: () => Promise.reject(new StatusError(Status.resourceExhausted, 'too large')) })
    await b.replication.pullThread(threadId)
    expect(links.callsOf('getRecords')).toHaveLength(100)
  })

  it('does not mind a peer that is away or refuses', async () => {
    const { links, a, b, threadId } = pair()
    await introduce(a, b, threadId)
    links.setDown(a, true)
    await b.replication.pullThread(threadId)
    links.setDown(a, false)
    a.replica.threads.delete(threadId)
    await b.replication.pullThread(threadId)
  })

  it('shows the service key to no peer that has not shown it', async () => {
    const { links, a, b, threadId } = pair()
    await introduce(a, b, threadId)
    b.replica.isProven = () => false
    await b.replication.pullThread(threadId)
    expect(links.calls).toEqual([])
  })

  it('ends early when its signal does', async () => {
    const { links, a, b, threadId } = pair()
    await introduce(a, b, threadId)
    links.answer(a, { getLogs: () => new Promise(() => {}) })
    const stop = new AbortController()
    const pulling = b.replication.pullThread(threadId, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(pulling).rejects.toThrow('enough')
  })
})

describe('pulls that take long', () => {
  it('let others of the same peer have their turn, and go on after them', async () => {
    const clock = new FakeClock()
    const { links, a, b } = pair({ clock, pullRecords: 1 })
    const threads = Array.from({ length: 3 }, () => shareThread(a, b))
    for (const { threadId, logs } of threads) {
      await introduce(a, b, threadId)
      for (let count = 0; count < 4; count++) a.replica.append(threadId, logs.a)
    }
    const { getRecords } = links.handlersOf(a)
    const asked: number[] = []
    links.answer(a, {
      getRecords: async (request, caller) => {
        asked.push(threads.findIndex(({ threadId }) => threadId === request.threadId))
        clock.advance(40_000)
        return getRecords(request, caller)
      },
    })
    await Promise.all(threads.map(({ threadId }) => b.replication.pullThread(threadId)))
    // Two at once; the third begins before they are done.
    expect(asked.indexOf(2)).toBeLessThan(asked.lastIndexOf(0))
    expect(threads.map(({ threadId, logs }) => b.replica.counter(threadId, logs.a))).toEqual([4, 4, 4])
  })
})

describe('the exchange of edges', () => {
  const quickly = { pullStartAfterMs: 1_000, pullInitialIntervalMs: 1_000, pullIntervalMs: 10_000 }

  it('finds at its intervals what was missed, on both sides', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    a.replica.append(threadId, logs.a)
    b.replica.append(threadId, logs.b)
    b.replication.start()
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
    expect(a.replica.counter(threadId, logs.b)).toBe(1)
    a.replica.append(threadId, logs.a)
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(2)
    a.replica.append(threadId, logs.a)
    clock.advance(9_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(2)
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(3)
  })

  it('learns of logs and addresses', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    const fresh = a.replica.addOwnLog(threadId)
    b.replication.start()
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.logs(threadId).map(({ id }) => id)).toContain(fresh)
  })

  it('brings together two of which one forgot the other', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock, ...quickly })
    await b.replica.addLogs(threadId, a.replica.logs(threadId))
    a.replica.append(threadId, logs.a)
    b.replica.append(threadId, logs.b)
    b.replication.start()
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
    expect(a.replica.counter(threadId, logs.b)).toBe(1)
  })

  it('packs ten threads in a call', async () => {
    const clock = new FakeClock()
    const links = new PeerLinks()
    const [a, b] = [links.add({ clock }), links.add({ clock })]
    running.push(a, b)
    for (let count = 0; count < 25; count++) {
      const { threadId } = shareThread(a, b)
      await introduce(a, b, threadId)
    }
    b.replication.start()
    clock.advance(1_000)
    await quiet(links)
    const sizes = links
      .callsOf('exchangeEdges')
      .map(({ request }) => (request as { threads: unknown[] }).threads.length)
    expect(sizes).toEqual([10, 10, 5])
  })

  it('does not ask again for what brought nothing while the edges are the same', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    a.replica.append(threadId, logs.a)
    links.answer(a, { getRecords: async () => ({ unreadable: 0, logs: [] }) })
    b.replication.start()
    for (let second = 0; second < 11; second++) {
      clock.advance(1_000)
      await quiet(links)
    }
    expect(links.callsOf('getRecords', a)).toHaveLength(1)
    a.replica.append(threadId, logs.a)
    clock.advance(10_000)
    await quiet(links)
    expect(links.callsOf('getRecords', a)).toHaveLength(2)
  })

  it('asks older peers, which know no edges, for records', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId, logs } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    a.replica.append(threadId, logs.a)
    links.answer(a, { exchangeEdges: () => Promise.reject(new StatusError(Status.unimplemented, 'unknown method')) })
    b.replication.start()
    clock.advance(1_000)
    await quiet(links)
    expect(b.replica.counter(threadId, logs.a)).toBe(1)
  })

  it('does not call a peer that is away before its back-off', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    links.setDown(a, true)
    b.replication.start()
    for (let second = 0; second < 300; second++) {
      clock.advance(1_000)
      await quiet(links)
    }
    const attempts = links.callsOf('exchangeEdges').length
    expect(attempts).toBeGreaterThan(3)
    expect(attempts).toBeLessThan(25)
  })

  it('is over when replication stops', async () => {
    const clock = new FakeClock()
    const { links, a, b, threadId } = pair({ clock, ...quickly })
    await introduce(a, b, threadId)
    b.replication.start()
    await b.replication.stop()
    clock.advance(60_000)
    await quiet(links)
    expect(links.calls).toEqual([])
  })
})
