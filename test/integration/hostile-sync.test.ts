/**
 * Peers that keep no rules on streams of Sync, against a host on real sockets. After each attack the host is alive, replicates with an
 * honest peer, and holds no more than the bound of ARCHITECTURE.md.
 */
import { randomBytes } from 'node:crypto'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Address } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import type { RecordBlocks } from '../../src/core/record.ts'
import { newThreadId, type ThreadId, threadIdToBytes } from '../../src/core/thread-id.ts'
import { newThreadKey } from '../../src/core/thread-key.ts'
import { createNet, type Net, type ThreadInfo } from '../../src/net/index.ts'
import { methods } from '../../src/net/protocol/methods.ts'
import * as pb from '../../src/net/protocol/pb/net.ts'
import { Status } from '../../src/net/protocol/status.ts'
import type { NamedThread } from '../../src/net/sync/frames.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { newPeer } from '../support/fake-replica.ts'
import { HostilePeer } from '../support/hostile-peer.ts'
import { HostileSync } from '../support/hostile-sync.ts'
import { LogMaker, random } from '../support/log-maker.ts'

const MIB = 1024 * 1024
const PATIENCE_MS = 30_000
/** Of all that one peer can make the host hold, with what the peer itself holds: both are in this process. */
const MEMORY_BOUND = 150 * MIB
const GARBAGE = Uint8Array.from({ length: 200 }, (_, i) => (i * 37) | 7)

vi.setConfig({ testTimeout: 40_000 })

let host: Net
let honest: Net
let shared: ThreadInfo
let peer: HostilePeer
let heldBefore: number

async function openNet(): Promise<Net> {
  const components = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const store = await openHostStore(components)
  const options = { pullStartAfterMs: 50, pullInitialIntervalMs: 200, pullIntervalMs: 500 }
  const net = await createNet({ store, privateKey: generateKey(randomBytes), ...components }, options)
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

async function honestGoesOn(): Promise<void> {
  const { counter } = await honest.createRecord(shared.id, encode({ at: Date.now() }))
  const atHost = async (): Promise<number[]> => (await host.getThread(shared.id)).logs.map((log) => log.head.counter)
  await until(async () => expect(await atHost()).toContain(counter))
}

/** Resolves when the host has ended the stream. */
async function ends(sync: HostileSync): Promise<void> {
  const late = new Promise((_, reject) => setTimeout(reject, PATIENCE_MS, new Error('the stream goes on')).unref())
  await Promise.race([sync.ended, late])
}

/** A thread that the host keeps for the peer. */
async function keptThread(): Promise<{ id: ThreadId; log: LogMaker }> {
  const log = new LogMaker(newThreadKey(random))
  const id = newThreadId('raw', random)
  const pushed = { threadId: id, serviceKey: log.threadKey.service, readKey: undefined, log: log.asPeerLog(peer.id) }
  expect(await peer.call('pushLog', methods.pushLog.request.encode(pushed))).toMatchObject({ status: Status.ok })
  return { id, log }
}

async function counterAtHost(id: ThreadId): Promise<number | undefined> {
  return (await host.getThread(id)).logs[0]?.head.counter
}

function push(thread: NamedThread, log: LogMaker, records: readonly RecordBlocks[], counter: number) {
  return { push: { id: 1, thread, logId: log.id, counter, records, attestation: undefined } }
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

describe('a peer that keeps to the rules', () => {
  it('pushes records, and has them acknowledged and its credit given back', async () => {
    const { id, log } = await keptThread()
    const sync = await HostileSync.met(peer, host.hostId)
    sync.send(push(await sync.name(id, log.threadKey.service), log, log.next(10), 1))
    await until(async () => expect(sync.heard).toContainEqual({ ack: { id: 1, status: Status.ok, message: '' } }))
    await until(async () => expect(sync.heard.some(({ credit = 0 }) => credit > 0)).toBe(true))
    expect(await counterAtHost(id)).toBe(10)
  })

  it('speaks of things that the host does not know, and is heard all the same', async () => {
    const { id, log } = await keptThread()
    const sync = await HostileSync.met(peer, host.hostId, { version: 7, features: ['of tomorrow'] })
    // Field 99 of 3 bytes.
    sync.sendBytes(Uint8Array.of(0x9a, 0x06, 3, 1, 2, 3))
    sync.send(push(await sync.name(id, log.threadKey.service), log, log.next(1), 1))
    await until(async () => expect(await counterAtHost(id)).toBe(1))
  })
})

describe('a peer that speaks wrongly', () => {
  it.each([
    ['garbage', (sync: HostileSync) => sync.sendBytes(GARBAGE)],
    ['no hello', (sync: HostileSync) => sync.send({ told: 1 })],
    [
      'a hello without nonce',
      (sync: HostileSync) => sync.send({ hello: { ...sync.hello(), nonce: new Uint8Array(3) } }),
    ],
    ['half a message', (sync: HostileSync) => sync.sendRaw(Uint8Array.of(0, 0, 0, 1, 0, 1))],
    ['a message that is too large', (sync: HostileSync) => sync.sendRaw(Uint8Array.of(0, 255, 255, 255, 255))],
  ])('at the start, with %s, loses the stream', async (_, speak) => {
    const sync = await HostileSync.open(peer, host.hostId)
    speak(sync)
    await ends(sync)
    expect(sync.heard).toEqual([])
  })

  it.each([
    ['garbage', (sync: HostileSync) => sync.sendBytes(GARBAGE)],
    ['a second hello', (sync: HostileSync) => sync.send({ hello: sync.hello() })],
    ['a counter of 2^63', (sync: HostileSync) => sync.sendBytes(pb.SyncFrame.encode({ told: 2n ** 63n }).finish())],
    [
      'ranges that overlap',
      (sync: HostileSync) => {
        const range = { from: new Uint8Array(0), to: new Uint8Array(0), count: 1, items: [] }
        sync.sendBytes(pb.SyncFrame.encode({ ranges: { ranges: [range, range] } }).finish())
      },
    ],
    [
      'too many parts',
      (sync: HostileSync) => {
        const items = Array.from({ length: 200_000 }, () => ({}))
        sync.sendBytes(pb.SyncFrame.encode({ ranges: { ranges: [{ items }] } }).finish())
      },
    ],
  ])('after the hello, with %s, loses the stream, and gets no other', async (_, speak) => {
    const sync = await HostileSync.met(peer, host.hostId)
    speak(sync)
    await ends(sync)
    const again = await HostileSync.open(peer, host.hostId)
    again.send({ hello: again.hello() })
    await ends(again)
  })

  it('says no hello, and loses the stream in time', async () => {
    await ends(await HostileSync.open(peer, host.hostId))
  })

  it('opens a second stream: the newer one stays', async () => {
    const { journalId } = (await HostileSync.open(peer, host.hostId)).hello()
    const first = await HostileSync.met(peer, host.hostId, { journalId })
    const second = await HostileSync.met(peer, host.hostId, { journalId })
    await ends(first)
    second.send({ ping: true })
    await until(async () => expect(second.heard).toContainEqual({ pong: true }))
  })
})

describe('a stranger', () => {
  it('learns nothing of a thread by naming it, nor by comparing all', async () => {
    const sync = await HostileSync.met(peer, host.hostId)
    const [log] = shared.logs
    if (log === undefined) throw new Error('there is no log')
    for (const proof of [new Uint8Array(0), random(32)]) {
      const thread = { id: shared.id, proof }
      sync.send({ heads: { thread, logs: [], ask: true } })
      sync.send({ want: { id: 9, thread, logs: [{ logId: log.id, offset: undefined, counter: 0, limit: 10 }] } })
    }
    const item = { id: threadIdToBytes(shared.id), digest: new Uint8Array(16) }
    sync.send({ ranges: [{ from: new Uint8Array(0), to: undefined, count: 1, items: [item], answers: false }] })
    await until(async () => expect(sync.heard.length).toBeGreaterThanOrEqual(3))
    const said = sync.heard.map((frame) => frame.ack ?? frame.ranges)
    const refused = { id: 9, status: Status.notFound, message: 'thread not found' }
    const nothing = [expect.objectContaining({ items: [], answers: true })]
    expect(said).toEqual([refused, refused, nothing])
  })

  it('replays the proof of a member: it does not hold for another peer, nor on another stream', async () => {
    const { id, log } = await keptThread()
    const first = await HostileSync.met(peer, host.hostId)
    const proven = await first.name(id, log.threadKey.service)
    const other = await HostilePeer.start({ id: host.hostId, addresses: () => host.hostAddresses() })
    const sync = await HostileSync.met(other, host.hostId)
    sync.send(push(proven, log, log.next(1), 1))
    await until(async () =>
      expect(sync.heard).toContainEqual({ ack: { id: 1, status: Status.notFound, message: 'log not found' } }),
    )
    expect(await counterAtHost(id)).toBe(0)
    await other.stop()
  })

  it('tries keys: it loses the stream after a few', async () => {
    const sync = await HostileSync.met(peer, host.hostId)
    for (let count = 0; count < 100; count++) {
      sync.send({ heads: { thread: { id: shared.id, proof: random(32) }, logs: [], ask: true } })
    }
    await ends(sync)
    expect(sync.heard).toEqual([])
  })
})

describe('a peer that takes more than it may', () => {
  it('sends answers that nobody asked for: they are dropped', async () => {
    const { id, log } = await keptThread()
    const sync = await HostileSync.met(peer, host.hostId)
    sync.send({
      records: {
        id: 77,
        reply: { logs: [{ logId: log.id, records: log.next(3), log: log.asPeerLog() }], unreadable: 0 },
      },
    })
    sync.send({ ack: { id: 78, status: 0, message: 'well done' } })
    await until(async () => expect(sync.heard.some(({ credit = 0 }) => credit > 0)).toBe(true))
    expect(await counterAtHost(id)).toBe(0)
  })

  it('pushes forged records: they are refused, then it is', async () => {
    const { id, log } = await keptThread()
    const sync = await HostileSync.met(peer, host.hostId)
    const thread = await sync.name(id, log.threadKey.service)
    const forged = log.make({ signer: newPeer().key }).blocks
    for (let count = 0; count < 30; count++) sync.send(push(thread, log, [forged], 1))
    await until(async () => expect(sync.heard.filter(({ ack }) => ack !== undefined).length).toBe(30))
    const statuses = new Set(sync.heard.flatMap(({ ack }) => ack?.status ?? []))
    expect(statuses).toEqual(new Set([Status.unauthenticated, Status.permissionDenied]))
    expect(await counterAtHost(id)).toBe(0)
  })

  it('floods heads of logs: the host keeps 5,000 of a thread', async () => {
    const { id, log } = await keptThread()
    const sync = await HostileSync.met(peer, host.hostId)
    const thread = await sync.name(id, log.threadKey.service)
    const head = log.make().cid
    const going = honestGoesOn()
    for (let round = 0; round < 24; round++) {
      const logs = Array.from({ length: 250 }, () => {
        const { key, id: logId } = newPeer()
        return { log: { id: logId, publicKey: key.publicKey, addresses: [], head, counter: 1_000 }, branches: [] }
      })
      sync.send({ heads: { thread, logs, ask: true } })
    }
    await going
    await until(async () => expect((await host.getThread(id)).logs.length).toBe(5_000))
  })

  it('floods threads that are not here: they are passed over', async () => {
    const sync = await HostileSync.met(peer, host.hostId)
    const before = host.listThreads().length
    for (let count = 0; count < 20_000; count++) {
      sync.send({ heads: { thread: { id: newThreadId('raw', random), proof: random(32) }, logs: [], ask: true } })
    }
    sync.send({ ping: true })
    await until(async () => expect(sync.heard).toContainEqual({ pong: true }))
    expect(sync.heard).toHaveLength(1)
    expect(host.listThreads()).toHaveLength(before)
  })
})
