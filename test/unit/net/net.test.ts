import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Address, parseAddress, peerAddress } from '../../../src/core/address.ts'
import { encode } from '../../../src/core/cbor.ts'
import { ThreadsError } from '../../../src/core/errors.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import type { OwnedThread, ThreadInfo } from '../../../src/net/index.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { NotingApp } from '../../support/net-core.ts'
import { hostAddress, joinAddress, NetLinks, type NetHost, openNetHost, ownRecords } from '../../support/net-host.ts'

let links: NetLinks
let hosts: NetHost[]
let a: NetHost
let b: NetHost
let info: ThreadInfo

beforeEach(async () => {
  links = new NetLinks()
  a = await openNetHost({ links })
  b = await openNetHost({ links })
  hosts = [a, b]
  info = await a.net.createThread(newThreadId('raw', random))
})

afterEach(async () => {
  for (const host of hosts) await host.stop()
})

function who(log: LogMaker): { identity: ReturnType<typeof identityOf> } {
  return { identity: identityOf(log.key.publicKey) }
}

async function logOf(host: NetHost, log: LogMaker): Promise<ThreadInfo['logs'][number] | undefined> {
  return (await host.net.getThread(info.id)).logs.find(({ id }) => id === log.id)
}

describe('records written at once', () => {
  it('are one chain, each of them once', async () => {
    const made = await Promise.all(
      Array.from({ length: 64 }, (_, at) => a.net.createRecord(info.id, encode({ same: at % 2 }))),
    )
    expect(new Set(made.map(({ counter }) => counter)).size).toBe(64)
    const chain = await ownRecords(a, info.id)
    expect(chain.map(({ cid }) => cid.toString())).toEqual(made.map(({ cid }) => cid.toString()))
    a = await a.restart()
    hosts = [a, b]
    expect(await ownRecords(a, info.id)).toHaveLength(64)
    expect((await a.net.createRecord(info.id, encode({}))).counter).toBe(65)
  })

  it('by several callers are one chain each', async () => {
    const callers = Array.from({ length: 4 }, () => who(new LogMaker()))
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, at) => {
        const caller = callers[at % 4]
        return a.net.createRecord(info.id, encode({ at }), caller === undefined ? {} : { caller })
      }),
    )
    const { logs } = await a.net.getThread(info.id)
    expect(logs.map(({ head }) => head.counter)).toEqual([0, 5, 5, 5, 5])
    expect(new Set(made.map(({ logId }) => logId)).size).toBe(4)
    a = await a.restart()
    hosts = [a, b]
    const [caller] = callers
    if (caller === undefined) throw new Error('there is no caller')
    expect(await a.net.createRecord(info.id, encode({}), { caller })).toMatchObject({
      logId: made[0]?.logId,
      counter: 6,
    })
  })
})

describe('joining', () => {
  it('takes what the peer has', async () => {
    await a.net.createRecord(info.id, encode({}))
    const joined = await b.net.addThread(joinAddress(a, info.id), { key: info.key })
    expect(joined.logs).toHaveLength(2)
    await b.net.pullThread(info.id)
    expect((await b.net.getThread(info.id)).logs.map(({ head }) => head.counter)).toContain(1)
  })

  it('needs an address with peer and thread', async () => {
    const bad = [
      `/ip4/10.0.0.1/tcp/1/thread/${info.id}`,
      `/thread/${info.id}`,
      `/ip4/10.0.0.1/tcp/1/p2p/${a.net.hostId}`,
      `/thread/${info.id}/p2p/${a.net.hostId}`,
    ]
    for (const text of bad) {
      const joining = b.net.addThread(parseAddress(text), { key: info.key })
      await expect(joining).rejects.toMatchObject({ code: 'INVALID_ADDRESS' })
    }
    expect(b.net.listThreads()).toEqual([])
  })

  it('oneself gives another log to a thread that is here', async () => {
    const log = new LogMaker()
    const options = { key: info.key, logKey: log.key.publicKey, caller: who(log) }
    expect((await a.net.addThread(joinAddress(a, info.id), options)).logs).toHaveLength(2)
    await expect(a.net.addThread(joinAddress(a, info.id), options)).rejects.toMatchObject({ code: 'LOG_EXISTS' })
    await expect(b.net.addThread(joinAddress(b, info.id), options)).rejects.toMatchObject({
      code: 'THREAD_NOT_FOUND',
      message: 'cannot retrieve thread from self: thread not found',
    })
  })

  it('that fails leaves nothing, and can be tried again', async () => {
    links.down.add(a.net.hostId)
    const join = (): Promise<ThreadInfo> => b.net.addThread(joinAddress(a, info.id), { key: info.key })
    await expect(join()).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    links.down.delete(a.net.hostId)
    const wrong = { ...info.key, service: random(32) }
    await expect(b.net.addThread(joinAddress(a, info.id), { key: wrong })).rejects.toThrow('invalid service-key')
    expect(b.net.listThreads()).toEqual([])
    expect((await join()).logs).toHaveLength(2)
  })

  it('leaves nothing on the signal of the caller', async () => {
    const { signal } = new AbortController()
    await b.net.addThread(joinAddress(a, info.id), { key: info.key, logKey: new LogMaker().key, signal })
    await b.net.pullThread(info.id, { signal })
    await b.net.addReplicator(info.id, hostAddress(a), { signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })
})

describe('a log key that a client brings', () => {
  const log = new LogMaker()
  const options = { logKey: log.key, caller: who(log) }

  beforeEach(async () => {
    await a.net.createThread(info.id, { key: info.key, ...options })
    for (let at = 0; at < 3; at++) await a.net.createRecord(info.id, encode({ at }), { caller: who(log) })
  })

  const write = (): Promise<{ counter: number }> => b.net.createRecord(info.id, encode({}), { caller: who(log) })

  it('continues its log where it ends', async () => {
    await b.net.addThread(joinAddress(a, info.id), { key: info.key, ...options })
    expect((await write()).counter).toBe(4)
    await expect.poll(async () => (await logOf(a, log))?.head.counter).toBe(4)
  })

  it('writes nothing before a peer has said what it has of the log', async () => {
    links.answer(a.net.hostId, { getRecords: () => Promise.reject(new ThreadsError('STORE_FAILED', 'not now')) })
    await b.net.addThread(joinAddress(a, info.id), { key: info.key, ...options })
    await expect(write()).rejects.toMatchObject({ code: 'LOG_WAITS' })
    b = await b.restart()
    hosts = [a, b]
    links.down.add(a.net.hostId)
    await expect(write()).rejects.toMatchObject({ code: 'LOG_WAITS' })
    expect((await logOf(b, log))?.head.counter).toBe(0)
  })

  it('can be written once a peer has answered', async () => {
    await b.net.addThread(joinAddress(a, info.id), { key: info.key })
    links.down.add(a.net.hostId)
    await b.net.createThread(info.id, { key: info.key, ...options })
    await expect(write()).rejects.toMatchObject({ code: 'LOG_WAITS' })
    links.down.delete(a.net.hostId)
    await expect
      .poll(() =>
        write().then(
          ({ counter }) => counter,
          () => 0,
        ),
      )
      .toBe(4)
  })
})

describe('a replicator', () => {
  async function addresses(host: NetHost): Promise<readonly (readonly Address[])[]> {
    return (await host.net.getThread(info.id)).logs.map((log) => log.addresses)
  }

  it('is named in the logs, on both sides', async () => {
    expect(await a.net.addReplicator(info.id, hostAddress(b))).toBe(b.net.hostId)
    const both = [peerAddress(a.net.hostId), peerAddress(b.net.hostId)]
    expect(await addresses(a)).toEqual([both])
    expect(await addresses(b)).toEqual([both])
    const replica = await b.net.getThread(info.id)
    expect(replica.key).toEqual({ service: info.key.service })
    expect(await a.net.addReplicator(info.id, hostAddress(a))).toBe(a.net.hostId)
  })

  it('that cannot be reached, or refuses, is not named', async () => {
    links.down.add(b.net.hostId)
    await expect(a.net.addReplicator(info.id, hostAddress(b))).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    expect(await addresses(a)).toEqual([[peerAddress(a.net.hostId)]])
    links.down.delete(b.net.hostId)
    links.answer(b.net.hostId, { pushLog: () => Promise.reject(new ThreadsError('NO_SPACE', 'no')) })
    await expect(a.net.addReplicator(info.id, hostAddress(b))).rejects.toThrow('no')
    expect(await addresses(a)).toEqual([[peerAddress(a.net.hostId)]])
  })

  it('that fails later stays named where it was', async () => {
    await a.net.addReplicator(info.id, hostAddress(b))
    const log = new LogMaker()
    await a.net.createThread(info.id, { key: info.key, logKey: log.key, caller: who(log) })
    links.down.add(b.net.hostId)
    await expect(a.net.addReplicator(info.id, hostAddress(b))).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    const own = peerAddress(a.net.hostId)
    expect(await addresses(a)).toEqual([[own, peerAddress(b.net.hostId)], [own]])
  })

  it('needs an address that names it', async () => {
    await expect(a.net.addReplicator(info.id, parseAddress('/ip4/10.0.0.1/tcp/1'))).rejects.toMatchObject({
      code: 'INVALID_ADDRESS',
      message: 'protocol not found in multiaddr',
    })
    const missing = newThreadId('raw', random)
    await expect(a.net.addReplicator(missing, hostAddress(b))).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
  })

  it('is found again after a restart', async () => {
    await a.net.addReplicator(info.id, hostAddress(b))
    links.remembered.length = 0
    a = await a.restart()
    hosts = [a, b]
    expect(links.remembered).toEqual([{ peer: b.net.hostId, addresses: [parseAddress('/ip4/10.0.0.1/tcp/4006')] }])
  })
})

describe('a thread with an owner', () => {
  it('is written and deleted by its owner only', async () => {
    let thread: OwnedThread | undefined
    a.net.attach(info.id, (owned) => {
      thread = owned
      return new NotingApp()
    })
    if (thread === undefined) throw new Error('there is no owner')
    const inUse = { code: 'THREAD_IN_USE' }
    await expect(a.net.createRecord(info.id, encode({}))).rejects.toMatchObject(inUse)
    await expect(a.net.deleteThread(info.id)).rejects.toMatchObject(inUse)
    expect(() => a.net.attach(info.id, () => new NotingApp())).toThrow(expect.objectContaining(inUse))
    await a.net.deleteThread(info.id, { owner: thread })
    await expect(a.net.getThread(info.id)).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
    await expect(thread.write(async () => {})).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
  })

  it('folds what was written before it came, when it says so', async () => {
    for (let at = 0; at < 3; at++) await a.net.createRecord(info.id, encode({ at }))
    const app = new NotingApp()
    let thread: OwnedThread | undefined
    a.net.attach(info.id, (owned) => {
      thread = owned
      return app
    })
    expect(app.folded).toEqual([])
    await thread?.resume()
    expect(app.folded.map(({ counter }) => counter)).toEqual([1, 2, 3])
  })
})

describe('deleting a thread', () => {
  it('is done once, and the thread can be made anew', async () => {
    await a.net.createRecord(info.id, encode({}))
    const deletions = await Promise.allSettled([a.net.deleteThread(info.id), a.net.deleteThread(info.id)])
    expect(deletions).toMatchObject([
      { status: 'fulfilled' },
      { status: 'rejected', reason: { code: 'THREAD_NOT_FOUND' } },
    ])
    const again = await a.net.createThread(info.id)
    expect(again.logs.map(({ head }) => head.counter)).toEqual([0])
  })

  it('refuses writers that come too late', async () => {
    const deleting = a.net.deleteThread(info.id)
    const late = a.net.createRecord(info.id, encode({}))
    await expect(late).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
    await deleting
  })
})

describe('records', () => {
  it('made elsewhere are refused after a gap, and of unknown logs', async () => {
    const log = new LogMaker(info.key)
    const [first, second] = log.next(2)
    if (first === undefined || second === undefined) throw new Error('there is no record')
    await expect(a.net.addRecord(info.id, log.id, first)).rejects.toMatchObject({ code: 'LOG_NOT_FOUND' })
    await a.net.createThread(info.id, { key: info.key, logKey: log.key.publicKey, caller: who(log) })
    await expect(a.net.addRecord(info.id, log.id, second)).rejects.toMatchObject({ code: 'BROKEN_CHAIN' })
    await a.net.addRecord(info.id, log.id, first)
    await a.net.addRecord(info.id, log.id, first)
    await a.net.addRecord(info.id, log.id, second)
    expect((await logOf(a, log))?.head.counter).toBe(2)
  })

  it('are found by id in their thread only', async () => {
    const { cid } = await a.net.createRecord(info.id, encode({ name: 'Ada' }))
    const other = await a.net.createThread(newThreadId('raw', random))
    expect(await a.net.getRecord(info.id, cid)).toMatchObject({ counter: 1, author: a.net.identity })
    await expect(a.net.getRecord(other.id, cid)).rejects.toMatchObject({ code: 'RECORD_NOT_FOUND' })
    await expect(a.net.getRecord(newThreadId('raw', random), cid)).rejects.toMatchObject({
      code: 'SERVICE_KEY_REQUIRED',
    })
  })

  it('need the keys to write them', async () => {
    const { service } = info.key
    const relayed = await a.net.createThread(newThreadId('raw', random), { key: { service } })
    await expect(a.net.createRecord(relayed.id, encode({}))).rejects.toMatchObject({ code: 'READ_KEY_REQUIRED' })
    const log = new LogMaker()
    await a.net.createThread(info.id, { key: info.key, logKey: log.key.publicKey, caller: who(log) })
    await expect(a.net.createRecord(info.id, encode({}), { caller: who(log) })).rejects.toMatchObject({
      code: 'PRIVATE_KEY_REQUIRED',
    })
  })
})

describe('stopping', () => {
  it('leaves no timer behind', async () => {
    const timers = a.clock.pendingTimers
    const app = a.net.attach(info.id, () => new NotingApp())
    app.check = () => {
      throw new TypeError('a fault of the fold')
    }
    const log = new LogMaker(info.key)
    await a.net.createThread(info.id, { key: info.key, logKey: log.key.publicKey, caller: who(log) })
    const [blocks] = log.next()
    if (blocks === undefined) throw new Error('there is no record')
    await a.net.addRecord(info.id, log.id, blocks)
    expect(a.clock.pendingTimers).toBe(timers + 1)
    await a.stop()
    expect(a.clock.pendingTimers).toBe(0)
  })
})
