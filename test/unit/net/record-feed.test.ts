import { getEventListeners } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { ThreadInfo, ThreadRecord } from '../../../src/net/index.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { type NetHost, openNetHost } from '../../support/net-host.ts'

let host: NetHost
let info: ThreadInfo

beforeEach(async () => {
  host = await openNetHost()
  info = await host.net.createThread(newThreadId('raw', random))
})

afterEach(() => host.stop())

async function write(count: number, id: ThreadId = info.id): Promise<string[]> {
  const made = Array.from({ length: count }, (_, at) => host.net.createRecord(id, encode({ at })))
  return names(await Promise.all(made))
}

function names(records: readonly ThreadRecord[]): string[] {
  return records.map(({ cid }) => cid.toString())
}

function who(log: LogMaker): { identity: ReturnType<typeof identityOf> } {
  return { identity: identityOf(log.key.publicKey) }
}

/** The next records of a feed. It stays open. */
async function take(feed: AsyncIterator<ThreadRecord>, count: number): Promise<ThreadRecord[]> {
  const records: ThreadRecord[] = []
  while (records.length < count) {
    const { value, done } = await feed.next()
    if (done === true) throw new Error(`the feed ended after ${records.length} records`)
    records.push(value)
  }
  return records
}

function subscribe(options: Parameters<NetHost['net']['subscribe']>[0] = {}): AsyncIterator<ThreadRecord> {
  return host.net.subscribe(options)[Symbol.asyncIterator]()
}

describe('a feed of records', () => {
  it('brings each record once, in order, from when it is asked for', async () => {
    await write(2)
    const feed = subscribe()
    const first = await write(3)
    expect(names(await take(feed, 3))).toEqual(first)
    const second = await write(2)
    expect(names(await take(feed, 2))).toEqual(second)
  })

  it('brings received records as well, all of a run', async () => {
    const feed = subscribe()
    const log = new LogMaker(info.key)
    await host.net.createThread(info.id, { key: info.key, logKey: log.key.publicKey, caller: who(log) })
    for (const blocks of log.next(3)) await host.net.addRecord(info.id, log.id, blocks)
    const own = await write(1)
    const records = await take(feed, 4)
    expect(names(records)).toEqual([...log.records.map(({ cid }) => cid.toString()), ...own])
    expect(records.map(({ counter }) => counter)).toEqual([1, 2, 3, 1])
  })

  it('brings the records of the threads that are wanted, with their bodies', async () => {
    const other = await host.net.createThread(newThreadId('raw', random))
    const feeds = [subscribe({ threads: [other.id] }), subscribe({ threads: [] })]
    const mine = await write(1)
    const theirs = await write(1, other.id)
    const [[one] = [], all] = await Promise.all(feeds.map((feed, index) => take(feed, index + 1)))
    expect(one).toMatchObject({ threadId: other.id, body: new Uint8Array(encode({ at: 0 })) })
    expect(names(all ?? [])).toEqual([...mine, ...theirs])
  })

  it('waits for a slow consumer, and loses nothing', async () => {
    const feed = subscribe()
    const first = await write(1)
    expect(names(await take(feed, 1))).toEqual(first)
    const rest: string[] = []
    for (let round = 0; round < 10; round++) rest.push(...(await write(30)))
    expect(names(await take(feed, 300))).toEqual(rest)
  })

  it('ends for a consumer who is further behind than the host remembers', async () => {
    await host.stop()
    host = await openNetHost({ store: { feedBytes: 4_000 } })
    info = await host.net.createThread(newThreadId('raw', random))
    const feed = subscribe()
    await write(1)
    await take(feed, 1)
    for (let round = 0; round < 12; round++) await write(100)
    const ended = async (): Promise<number> => {
      for (let count = 0; ; count++) if ((await feed.next()).done === true) return count
    }
    expect(await ended()).toBeLessThan(1_200)
  })

  it('passes over a thread that is deleted, and goes on', async () => {
    const doomed = await host.net.createThread(newThreadId('raw', random))
    const feeds = [subscribe(), subscribe({ threads: [doomed.id] })] as const
    await write(150, doomed.id)
    await take(feeds[0], 1)
    await host.net.deleteThread(doomed.id)
    const [kept] = await write(1)
    let last: ThreadRecord | undefined
    while (last?.threadId !== info.id) [last] = await take(feeds[0], 1)
    expect(last?.cid.toString()).toBe(kept)
    const waiting = feeds[1].next()
    await host.net.stop()
    expect(await waiting).toMatchObject({ done: true })
  })

  it('tells writers apart, and bodies that cannot be read', async () => {
    const { service } = info.key
    const relayed = await host.net.createThread(newThreadId('raw', random), { key: { service } })
    const log = new LogMaker({ service })
    await host.net.createThread(relayed.id, { key: { service }, logKey: log.key.publicKey, caller: who(log) })
    const feed = subscribe()
    const [blocks] = log.next()
    if (blocks === undefined) throw new Error('there is no record')
    await host.net.addRecord(relayed.id, log.id, blocks)
    const [record] = await take(feed, 1)
    expect(record).toMatchObject({ author: identityOf(log.key.publicKey), body: undefined, blocks })
  })
})

describe('the end of a feed', () => {
  it('comes with its signal, and leaves nothing on it', async () => {
    const stop = new AbortController()
    const feed = subscribe({ signal: stop.signal })
    const waiting = feed.next()
    await write(1)
    await waiting
    expect(getEventListeners(stop.signal, 'abort').length).toBeGreaterThan(0)
    const last = feed.next()
    stop.abort()
    expect(await last).toMatchObject({ done: true })
    expect(getEventListeners(stop.signal, 'abort')).toEqual([])
  })

  it('comes when its consumer has enough, and leaves nothing on the signal', async () => {
    const { signal } = new AbortController()
    const reading = (async () => {
      for await (const record of host.net.subscribe({ signal })) return record.counter
      return 0
    })()
    await write(2)
    expect(await reading).toBe(1)
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  it('comes at once with a signal that is aborted, also in the middle of a run', async () => {
    expect(await subscribe({ signal: AbortSignal.abort() }).next()).toMatchObject({ done: true })
    const stop = new AbortController()
    const feed = subscribe({ signal: stop.signal })
    await write(3)
    await take(feed, 1)
    stop.abort()
    expect(await feed.next()).toMatchObject({ done: true })
  })

  it('comes when the host stops or its store closes, without an error', async () => {
    const feeds = [subscribe(), subscribe({ signal: new AbortController().signal })]
    const waiting = feeds.map((feed) => feed.next())
    await host.net.stop()
    expect(await Promise.all(waiting)).toEqual([1, 2].map(() => ({ done: true, value: undefined })))
    host = await host.restart()
    const closing = subscribe().next()
    await host.store.close()
    expect(await closing).toMatchObject({ done: true })
  })
})
