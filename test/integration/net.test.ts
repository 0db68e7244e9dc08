/** Threads without a database: whole net layers in this process, over real sockets. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type Address, threadAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { newThreadId } from '../../src/core/thread-id.ts'
import { createNet, type Net, type NetOptions, type ThreadInfo, type ThreadRecord } from '../../src/net/index.ts'
import { createHandlers, type Handlers } from '../../src/net/protocol/handlers/handlers.ts'
import type { PushLogRequest } from '../../src/net/protocol/messages.ts'
import { servePeers } from '../../src/net/protocol/server.ts'
import { PeerAddresses } from '../../src/net/peer-addresses.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { FakeReplica, newPeer } from '../support/fake-replica.ts'
import { freePorts } from '../support/daemon.ts'
import { startHost } from '../support/host.ts'
import { newHost } from '../support/peer-host.ts'

/** A host that learns nothing from the calls of its peers, as go-threads. */
const DEAF = { seen: () => {}, ahead: () => {}, has: () => {} }
const QUICK: NetOptions = { pullStartAfterMs: 50, pullInitialIntervalMs: 100, pullIntervalMs: 200 }
const TIMEOUT = { timeout: 20_000 }
const running: Net[] = []

async function open(options: NetOptions = {}): Promise<Net> {
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const store = await openHostStore(shared)
  const net = await createNet({ store, privateKey: generateKey(randomBytes), ...shared }, { ...QUICK, ...options })
  await net.start()
  running.push(net)
  return net
}

function addressOf(info: ThreadInfo): ThreadInfo['addresses'][number] {
  const [address] = info.addresses
  if (address === undefined) throw new Error('the host has no address')
  return address
}

async function counters(net: Net, info: ThreadInfo): Promise<number[]> {
  const { logs } = await net.getThread(info.id)
  return logs.map((log) => log.head.counter).toSorted((x, y) => x - y)
}

afterEach(async () => {
  for (const net of running.splice(0)) await net.stop()
})

describe('a thread', () => {
  it('brings a joiner the records that are there and those that follow', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    for (let count = 0; count < 3; count++) await a.createRecord(info.id, encode({ count }))
    const joined = await b.addThread(addressOf(info), { key: info.key })
    expect(joined.logs).toHaveLength(2)
    await expect.poll(() => counters(b, info), TIMEOUT).toEqual([0, 3])
    await a.createRecord(info.id, encode({ count: 3 }))
    await b.createRecord(info.id, encode({ from: 'b' }))
    await expect.poll(() => counters(b, info), TIMEOUT).toEqual([1, 4])
    await expect.poll(() => counters(a, info), TIMEOUT).toEqual([1, 4])
  })

  it('is joined with word to its host of the log of the joiner, so that records are pushed to it from then on', async () => {
    const { key, id: peer } = newPeer()
    const replica = new FakeReplica(peer)
    const threadId = replica.addThread()
    replica.addOwnLog(threadId)
    const host = await newHost(undefined, key)
    const told = Promise.withResolvers<PushLogRequest>()
    const handlers = createHandlers({ replica, hints: DEAF, clock: systemClock, pullRecords: 10 })
    const pushLog: Handlers['pushLog'] = async (request) => {
      told.resolve(request)
      return {}
    }
    servePeers({ host, handlers: { ...handlers, pushLog }, logger: silentLogger })
    await host.start()
    const joiner = await open({ pull: false })
    const { service, read } = replica.threads.get(threadId) ?? {}
    if (service === undefined || read === undefined) throw new Error('the thread has no keys')
    const address = threadAddress(host.addresses()[0] as Address, peer, threadId)
    const { logs } = await joiner.addThread(address, { key: { service, read } })
    const own = logs.find((log) => log.privateKey !== undefined)
    expect(await told.promise).toMatchObject({ serviceKey: undefined, readKey: undefined, log: { id: own?.id } })
    await host.close()
  })

  it('tells subscribers of each record once, local or received', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    await b.addThread(addressOf(info), { key: info.key })
    const stop = new AbortController()
    const seen: ThreadRecord[] = []
    const feed = b.subscribe({ threads: [info.id], signal: stop.signal })
    const watching = (async () => {
      for await (const record of feed) if (seen.push(record) === 4) stop.abort()
    })()
    await b.createRecord(info.id, encode({ from: 'b' }))
    for (let count = 0; count < 3; count++) await a.createRecord(info.id, encode({ count }))
    await watching
    expect(new Set(seen.map((record) => record.cid.toString())).size).toBe(4)
  })

  it('goes on after the host it was joined at has moved, which no user told of the joiner', async () => {
    const privateKey = generateKey(randomBytes)
    const backend = await openMemoryStore()
    const [before, after] = (await freePorts(2)) as [number, number]
    const host = await startHost({ privateKey, backend, port: before })
    await using joiner = await startHost()
    const info = await host.net.createThread(newThreadId('raw', randomBytes))
    await joiner.net.addThread(addressOf(info), { key: info.key })
    await expect.poll(async () => [...(await PeerAddresses.load(host.store)).all()].length, TIMEOUT).toBe(1)
    await host[Symbol.asyncDispose]()
    await using moved = await startHost({ privateKey, backend, port: after })
    await moved.net.createRecord(info.id, encode({ count: 0 }))
    await expect.poll(() => counters(joiner.net, info), TIMEOUT).toEqual([0, 1])
    await joiner.net.createRecord(info.id, encode({ count: 1 }))
    await expect.poll(() => counters(moved.net, info), TIMEOUT).toEqual([1, 1])
  })

  it('is kept by a replicator without the read key', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    await a.createRecord(info.id, encode({ count: 0 }))
    const [host] = b.hostAddresses()
    const peer = await a.addReplicator(info.id, `${host}/p2p/${b.hostId}` as ThreadInfo['addresses'][number])
    expect(peer).toBe(b.hostId)
    await expect.poll(() => counters(b, info), TIMEOUT).toEqual([1])
    await a.createRecord(info.id, encode({ count: 1 }))
    await expect.poll(() => counters(b, info), TIMEOUT).toEqual([2])
    expect((await b.getThread(info.id)).key.read).toBeUndefined()
    expect((await a.getThread(info.id)).logs[0]?.addresses).toHaveLength(2)
  })

  it('takes records that were made elsewhere, also when they come again before they are stored', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    const made: ThreadRecord[] = []
    for (let count = 0; count < 3; count++) made.push(await a.createRecord(info.id, encode({ count })))
    const [log] = info.logs
    if (log === undefined) throw new Error('the thread has no log')
    await b.createThread(info.id, { key: info.key, logKey: log.publicKey })
    const add = ({ blocks }: ThreadRecord): Promise<void> => b.addRecord(info.id, log.id, blocks)
    const [first, second, third] = made as [ThreadRecord, ThreadRecord, ThreadRecord]
    await Promise.all([add(first), add(second), add(first), add(third), add(second)])
    expect(await counters(b, info)).toEqual([3])
    await expect(b.createRecord(info.id, encode({}))).rejects.toThrow('private-key is required')
  })

  it('is gone from this host when it is deleted', async () => {
    const a = await open()
    const info = await a.createThread(newThreadId('raw', randomBytes))
    const { cid } = await a.createRecord(info.id, encode({ count: 0 }))
    expect((await a.getRecord(info.id, cid)).counter).toBe(1)
    await a.deleteThread(info.id)
    await expect(a.getThread(info.id)).rejects.toThrow('thread not found')
    await expect(a.getRecord(info.id, cid)).rejects.toThrow()
  })

  it('is not joined twice, and a join that fails leaves nothing', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    const wrong = { ...info.key, service: randomBytes(32) }
    await expect(b.addThread(addressOf(info), { key: wrong })).rejects.toThrow('invalid service-key')
    expect(b.listThreads()).toEqual([])
    await b.addThread(addressOf(info), { key: info.key })
    await expect(b.addThread(addressOf(info), { key: info.key })).rejects.toThrow('log already exists')
  })
})
