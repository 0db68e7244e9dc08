/**
 * What a peer may try. Each time the host stays up, an honest peer goes on to replicate with it meanwhile, what is refused
 * is refused with a clear error, and what the host holds stays under the bound of ARCHITECTURE.md.
 */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { type Address, peerAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import type { RecordBlocks } from '../../src/core/record.ts'
import { newThreadId, type ThreadId, threadIdToBytes } from '../../src/core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../../src/core/thread-key.ts'
import { encodeVarint } from '../../src/core/varint.ts'
import { createNet, type Net, type ThreadInfo } from '../../src/net/index.ts'
import { BLOCK_PROTOCOL } from '../../src/net/protocol/block-source.ts'
import { MAX_MESSAGE_BYTES } from '../../src/net/protocol/constants.ts'
import { methods } from '../../src/net/protocol/methods.ts'
import * as pb from '../../src/net/protocol/pb/net.ts'
import { Status } from '../../src/net/protocol/status.ts'
import type { PeerLog } from '../../src/net/replica.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { newPeer } from '../support/fake-replica.ts'
import { framed, HostilePeer, openCall, outcomeOf } from '../support/hostile-peer.ts'
import { LogMaker, random } from '../support/log-maker.ts'

const MIB = 1024 * 1024
const FLOOD_OF_LOGS = 10_000
const FLOOD_OF_THREADS = 1_000
const MAX_THREADS = 200
const PATIENCE_MS = 60_000
/** Of all that one peer can make the host hold, with what the peer itself holds: both are in this process. */
const MEMORY_BOUND = 250 * MIB

// Some attacks are large, and a busy machine takes its time.
vi.setConfig({ testTimeout: 120_000 })

let host: Net
let honest: Net
let shared: ThreadInfo
let peer: HostilePeer
let heldBefore: number

async function openNet(): Promise<Net> {
  const components = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const store = await openHostStore(components)
  const options = { pullStartAfterMs: 50, pullInitialIntervalMs: 200, pullIntervalMs: 500 }
  const limits = { maxUnsolicitedThreads: MAX_THREADS }
  const net = await createNet({ store, privateKey: generateKey(randomBytes), ...components }, { ...options, ...limits })
  await net.start()
  return net
}

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

function held(): number {
  collectGarbage()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** Resolves once the check holds. */
async function until(check: () => unknown): Promise<void> {
  for (const end = Date.now() + PATIENCE_MS; ; await new Promise((resolve) => setTimeout(resolve, 20))) {
    try {
      return void (await check())
    } catch (error) {
      if (Date.now() > end) throw error
    }
  }
}

/** The honest peer writes, and the host gets it. */
async function honestGoesOn(): Promise<void> {
  const { counter } = await honest.createRecord(shared.id, encode({ at: Date.now() }))
  const atHost = async (): Promise<number[]> => (await host.getThread(shared.id)).logs.map((log) => log.head.counter)
  await until(async () => expect(await atHost()).toContain(counter))
}

beforeAll(async () => {
  host = await openNet()
  honest = await openNet()
  shared = await host.createThread(newThreadId('raw', randomBytes))
  await honest.addThread(shared.addresses[0] as Address, { key: shared.key })
  await honestGoesOn()
})

afterAll(async () => {
  await honest.stop()
  await host.stop()
})

beforeEach(async () => {
  peer = await HostilePeer.start({ id: host.hostId, addresses: () => host.hostAddresses() })
  heldBefore = held()
})

afterEach(async () => {
  expect(held() - heldBefore).toBeLessThan(MEMORY_BOUND)
  await honestGoesOn()
  await peer.stop()
})

/** A log of the peer, as members tell of it. */
function logOf(log: LogMaker): PeerLog {
  return log.asPeerLog(peer.id)
}

/** A thread that the host keeps for the peer, and pulls from it. */
async function keptThread(key: ThreadKey = newThreadKey(random)): Promise<{ id: ThreadId; log: LogMaker }> {
  const log = new LogMaker(key)
  const id = newThreadId('raw', random)
  const pushed = { threadId: id, serviceKey: key.service, readKey: undefined, log: logOf(log) }
  expect(await peer.call('pushLog', methods.pushLog.request.encode(pushed))).toMatchObject({ status: Status.ok })
  return { id, log }
}

function pushRecord(threadId: ThreadId, log: LogMaker, record: RecordBlocks, counter: number) {
  return peer.call('pushRecord', methods.pushRecord.request.encode({ threadId, logId: log.id, record, counter }))
}

async function logsAtHost(id: ThreadId): Promise<ThreadInfo['logs']> {
  return (await host.getThread(id)).logs
}

describe('a peer that writes what it should not', () => {
  it('forges records: they are refused, then it is, then it is shut out', async () => {
    const { id, log } = await keptThread()
    const forged = log.make({ signer: newPeer().key }).blocks
    expect(await pushRecord(id, log, forged, 1)).toMatchObject({ status: Status.unauthenticated })
    const texts = new Set<string>()
    const forge = async (): Promise<void> => {
      for (let count = 0; count < 15; count++) texts.add((await pushRecord(id, log, forged, 1)).text)
    }
    const shutOut = async (): Promise<boolean> => {
      if (peer.isConnected) await forge().catch(() => {})
      return !peer.isConnected
    }
    const going = honestGoesOn()
    await until(async () => expect(await shutOut()).toBe(true))
    await going
    expect([...texts]).toContain('too many records that are not valid')
    expect((await logsAtHost(id))[0]?.head.counter).toBe(0)
  })

  it('replays a record of others: it is taken for no member, told nothing and shown no key', async () => {
    const [log] = await logsAtHost(shared.id)
    const { cid } = (await logsAtHost(shared.id)).find((each) => each.head.cid !== undefined)?.head ?? {}
    if (log === undefined || cid === undefined) throw new Error('there is no record')
    const record = await host.getRecord(shared.id, cid)
    const request = { threadId: shared.id, logId: record.logId, record: record.blocks, counter: record.counter }
    expect(await peer.call('pushRecord', methods.pushRecord.request.encode(request))).toMatchObject({ status: 0 })
    const edges = { addresses: 7n, heads: 7n }
    const compared = methods.exchangeEdges.request.encode({ threads: [{ threadId: shared.id, edges }] })
    const { reply } = await peer.call('exchangeEdges', compared)
    expect(methods.exchangeEdges.reply.decode(reply).threads[0]?.edges).toEqual({ addresses: 1n, heads: 1n })
    const unkeyed = { threadId: shared.id, serviceKey: undefined }
    expect(await peer.call('getLogs', methods.getLogs.request.encode(unkeyed))).toMatchObject({
      status: Status.unauthenticated,
    })
    const pushed = { ...unkeyed, readKey: undefined, log: logOf(new LogMaker()) }
    expect(await peer.call('pushLog', methods.pushLog.request.encode(pushed))).toMatchObject({
      status: Status.notFound,
    })
    await honestGoesOn()
    expect(peer.asked).toEqual([])
  })

  it('rolls heads back, and announces a counter of 2^63: neither is taken', async () => {
    const { id, log } = await keptThread()
    for (const [index, record] of log.next(3).entries()) {
      expect(await pushRecord(id, log, record, index + 1)).toMatchObject({ status: Status.ok })
    }
    const back = { threadId: id, serviceKey: log.threadKey.service, readKey: undefined, log: logOf(log) }
    const older = { ...back, log: { ...back.log, counter: 1, head: log.records[0]?.cid } }
    expect(await peer.call('pushLog', methods.pushLog.request.encode(older))).toMatchObject({ status: Status.ok })
    expect((await logsAtHost(id))[0]?.head.counter).toBe(3)
    const huge = pb.PushRecordRequest.encode({
      body: { threadID: threadIdToBytes(id), logID: peerIdToBytes(log.id), record: log.make().blocks },
      counter: 2n ** 63n - 1n,
    }).finish()
    const refused = await peer.call('pushRecord', huge)
    expect(refused).toMatchObject({ status: Status.invalidArgument, text: `counter ${2n ** 63n - 1n} is invalid` })
    const next = log.next()[0] as RecordBlocks
    expect(await pushRecord(id, log, next, 2 ** 52)).toMatchObject({ status: Status.ok })
    expect((await logsAtHost(id))[0]?.head.counter).toBe(4)
  })
})

describe('a peer that floods', () => {
  it('addresses of a log: the host keeps 16', async () => {
    const log = new LogMaker()
    const addresses = Array.from({ length: 20_000 }, (_, port) => `/ip4/10.0.0.1/tcp/${port}` as Address)
    const named = [peerAddress(peer.id), ...Array.from({ length: 50 }, () => peerAddress(newPeer().id))]
    const id = newThreadId('raw', random)
    const keys = { serviceKey: log.threadKey.service, readKey: undefined }
    const pushed = { threadId: id, ...keys, log: log.withAddresses([...named, ...addresses]) }
    const going = honestGoesOn()
    expect(await peer.call('pushLog', methods.pushLog.request.encode(pushed))).toMatchObject({ status: Status.ok })
    await going
    expect((await logsAtHost(id))[0]?.addresses).toHaveLength(16)
  })

  it('logs: the host keeps 5,000 of a thread', async () => {
    const { id, log } = await keptThread()
    const logs = Array.from({ length: FLOOD_OF_LOGS }, () => {
      const { key, id: logId } = newPeer()
      return { id: logId, publicKey: key.publicKey, addresses: [], head: undefined, counter: 0 }
    })
    const flood = methods.getLogs.reply.encode({ logs: [logOf(log), ...logs], unreadable: 0 })
    const empty = methods.getRecords.reply.encode({ logs: [], unreadable: 0 })
    peer.answer = (method) => (method === 'getLogs' ? flood : method === 'getRecords' ? empty : edgesOf(id))
    const going = honestGoesOn()
    await until(async () => expect((await logsAtHost(id)).length).toBeGreaterThan(4_000))
    await going
    expect((await logsAtHost(id)).length).toBeLessThanOrEqual(5_000)
  })

  it('threads: the host keeps half of what it keeps for others', async () => {
    const outcomes = new Map<number | undefined, number>()
    const before = host.listThreads().length
    const key = newThreadKey(random)
    const flood = async (): Promise<void> => {
      for (let count = 0; count < FLOOD_OF_THREADS / 10; count++) {
        const threadId = newThreadId('raw', random)
        const pushed = { threadId, serviceKey: key.service, readKey: undefined, log: logOf(new LogMaker(key)) }
        const { status, text } = await peer.call('pushLog', methods.pushLog.request.encode(pushed))
        outcomes.set(status, (outcomes.get(status) ?? 0) + 1)
        if (status !== 0) expect(text).toContain('threads for this peer, of at most')
      }
    }
    const going = honestGoesOn()
    await Promise.all(Array.from({ length: 10 }, flood))
    await going
    expect(host.listThreads().length - before).toBe(outcomes.get(Status.ok))
    expect(outcomes.get(Status.ok)).toBeLessThanOrEqual(MAX_THREADS / 2)
    expect(outcomes.get(Status.resourceExhausted)).toBe(FLOOD_OF_THREADS - (outcomes.get(Status.ok) ?? 0))
  })

  it('streams: it loses the oldest, and others get in', async () => {
    const results = await Promise.allSettled(Array.from({ length: 2_000 }, () => peer.stream()))
    const going = honestGoesOn()
    const opened = results.filter(({ status }) => status === 'fulfilled').length
    expect(opened).toBeLessThan(2_000)
    await going
    for (const result of results) if (result.status === 'fulfilled') result.value.destroy()
  })
})

describe('a peer that sends', () => {
  it('deep CBOR: the record is refused, whichever block it is in', async () => {
    const { id, log } = await keptThread()
    const deep = new Uint8Array(MIB).fill(0x81)
    const wide = new Uint8Array(MIB).fill(0x60)
    wide.set([0x9a, 0x00, 0x0f, 0xff, 0xfb])
    const good = log.make().blocks
    for (const bad of [deep, wide]) {
      for (const block of ['recordNode', 'eventNode', 'headerNode', 'bodyNode'] as const) {
        const { status, text } = await pushRecord(id, log, { ...good, [block]: bad }, 1)
        expect({ block, status }).toEqual({ block, status: Status.internal })
        expect(text).toMatch(/CBOR|is not the block the record names/)
      }
    }
    expect((await logsAtHost(id))[0]?.head.counter).toBe(0)
  })

  it('messages too large, or of too many parts: they are refused unread', async () => {
    const { status, text } = await peer.call('pushRecord', new Uint8Array(MAX_MESSAGE_BYTES + 1))
    expect({ status, text }).toMatchObject({ status: Status.resourceExhausted })
    const parts = new Uint8Array(MAX_MESSAGE_BYTES - 2).map((_, at) => (at % 2 === 0 ? 0x0a : 0))
    expect(await peer.call('getRecords', parts)).toMatchObject({
      status: Status.resourceExhausted,
      text: 'the message has too many parts',
    })
  })

  it('requests that it does not end, or a byte now and then: others are heard, and it loses its turn', async () => {
    const session = await peer.session()
    const calls = Array.from({ length: 64 }, () => openCall(session, 'pushRecord'))
    const outcomes = calls.map(outcomeOf)
    for (const call of calls) call.write(Buffer.from([0, 0, 0x10, 0, 0]))
    const drip = setInterval(() => {
      for (const call of calls) if (!call.destroyed) call.write(Buffer.from([0]))
    }, 1_000)
    await honestGoesOn()
    const first = await Promise.race(outcomes)
    clearInterval(drip)
    expect(first).toMatchObject({ status: 4, text: 'request is not complete' })
    session.destroy()
  })

  it('a request in pieces of a byte: it loses its session', async () => {
    const stream = await peer.stream()
    const session = await peer.session({}, stream)
    const call = openCall(session, 'pushRecord')
    call.write(Buffer.from([0, 0, 0x10, 0, 0]))
    await honestGoesOn()
    const piece = Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, call.id ?? 1, 0])
    for (let count = 0; count < 1_000; count++) stream.write(piece)
    await until(() => expect(session.destroyed).toBe(true))
  })

  it('garbage in place of HTTP/2: the stream ends', async () => {
    const streams = await Promise.all(Array.from({ length: 8 }, () => peer.stream()))
    for (const stream of streams) {
      stream.resume()
      stream.write(randomBytes(1_000))
    }
    const open = () => streams.filter((stream) => !stream.destroyed && !stream.readableEnded)
    await until(() => expect(open()).toEqual([]))
  })
})

describe('a peer that does not take', () => {
  it('replies, and goes, as peer after peer: the next is heard', async () => {
    for (let count = 0; count < 10; count++) {
      const { id, log } = await keptThread()
      const request = methods.getRecords.request.encode({ threadId: id, serviceKey: log.threadKey.service, logs: [] })
      const session = await peer.session({ settings: { initialWindowSize: 0 } })
      const calls = Array.from({ length: 4 }, () => openCall(session, 'getRecords').end(framed(request)))
      await Promise.race(calls.map((call) => once(call, 'response')))
      await peer.stop()
      peer = await HostilePeer.start({ id: host.hostId, addresses: () => host.hostAddresses() })
    }
    await keptThread()
  })

  it('replies: the host holds two of them', async () => {
    const { id, log } = await keptThread()
    for (const [index, record] of [1, 2, 3].entries()) {
      log.records.push(log.make({ body: { record, filler: randomBytes(900_000) } }))
      expect(await pushRecord(id, log, log.blocks(index)[0] as RecordBlocks, index + 1)).toMatchObject({ status: 0 })
    }
    const request = methods.getRecords.request.encode({ threadId: id, serviceKey: log.threadKey.service, logs: [] })
    const session = await peer.session({ settings: { initialWindowSize: 0 } })
    for (let count = 0; count < 60; count++) openCall(session, 'getRecords').end(framed(request))
    await honestGoesOn()
    expect(held() - heldBefore).toBeLessThan(100 * MIB)
    session.destroy()
  })
})

/** The peer says that it has other logs and records, for ever. */
function edgesOf(...ids: readonly ThreadId[]): Uint8Array {
  const edges = { addresses: BigInt(Date.now()), heads: BigInt(Date.now()) }
  return methods.exchangeEdges.reply.encode({ threads: ids.map((threadId) => ({ threadId, exists: true, edges })) })
}

describe('a peer that the host asks', () => {
  it('lies in edges: it is asked again less and less', async () => {
    const { id } = await keptThread()
    const nothing = { getLogs: methods.getLogs.reply.encode({ logs: [], unreadable: 0 }) }
    const records = methods.getRecords.reply.encode({ logs: [], unreadable: 0 })
    peer.answer = (method) =>
      method === 'exchangeEdges' ? edgesOf(id) : method === 'getLogs' ? nothing.getLogs : records
    const exchanges = (): number => peer.asked.filter(({ method }) => method === 'exchangeEdges').length
    await until(() => expect(exchanges()).toBeGreaterThan(6))
    await honestGoesOn()
    expect(peer.asked.length - exchanges()).toBeLessThan(exchanges() * 2 + 4)
  })

  it('answers with garbage in place of HTTP/2, or with nothing: others are pulled from', async () => {
    let streams = 0
    peer.onStream = (stream) => {
      streams++
      stream.resume()
      if (streams % 2 === 0) stream.write(randomBytes(1_000))
      else stream.destroy(new Error('reset'))
    }
    await keptThread()
    await until(() => expect(streams).toBeGreaterThan(2))
  })

  it('answers every pull with 4 MiB of records that are not valid: two are held', async () => {
    const log = new LogMaker()
    const filler = randomBytes(MIB - 1_000)
    const bad = { recordNode: filler, eventNode: filler, headerNode: filler, bodyNode: filler }
    const threads: { id: ThreadId; log: LogMaker }[] = []
    for (let count = 0; count < 8; count++) threads.push(await keptThread(log.threadKey))
    peer.answer = (method, request) => {
      if (method === 'exchangeEdges') return edgesOf(...threads.map(({ id }) => id))
      if (method !== 'getRecords') return methods.getLogs.reply.encode({ logs: [], unreadable: 0 })
      const { threadId } = methods.getRecords.request.decode(request)
      const asked = threads.find((each) => each.id === threadId)?.log ?? log
      const logs = [{ logId: asked.id, records: [bad], log: { ...logOf(asked), counter: 9 } }]
      return methods.getRecords.reply.encode({ logs, unreadable: 0 })
    }
    const pulls = (): number => peer.asked.filter(({ method }) => method === 'getRecords').length
    await until(() => expect(pulls()).toBeGreaterThan(4))
    await honestGoesOn()
    for (const { id } of threads) expect((await logsAtHost(id))[0]?.head.counter).toBe(0)
  })

  it('lies in bitswap: its log stalls, and no other', async () => {
    const { id, log } = await keptThread()
    log.next(20)
    let wants = 0
    await peer.handle(BLOCK_PROTOCOL, (stream) => {
      stream.on('data', () => {
        wants++
        lie().catch(() => {})
      })
    })
    const lie = async (): Promise<void> => {
      for (const lying of [randomBytes(100_000), Buffer.from([0xff, 0xff, 0xff, 0x7f]), Buffer.alloc(1)]) {
        const stream = await peer.stream(BLOCK_PROTOCOL)
        stream.resume()
        stream.write(Buffer.concat([encodeVarint(lying.length), lying]))
      }
    }
    const newest = { logId: log.id, records: log.blocks(19), log: logOf(log) }
    peer.answer = (method) =>
      method === 'exchangeEdges'
        ? edgesOf(id)
        : method === 'getLogs'
          ? methods.getLogs.reply.encode({ logs: [logOf(log)], unreadable: 0 })
          : methods.getRecords.reply.encode({ logs: [newest], unreadable: 0 })
    await until(() => expect(wants).toBeGreaterThan(0))
    await honestGoesOn()
    expect((await logsAtHost(id))[0]?.head.counter).toBe(0)
  })
})
