/** What a failed or refused write leaves behind: the state of the store, and nothing that forks a log. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { createNet, type OwnedThread, type ThreadInfo, type ThreadRecord } from '../../../src/net/index.ts'
import { KEY_LETTERS, type KeyLetter, rowRange } from '../../../src/store/key-codec.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { LogMaker } from '../../support/log-maker.ts'
import { NotingApp, openStoreWithSpace } from '../../support/net-core.ts'
import { type NetHost, NetLinks, openNetHost, ownRecords, untilOpen } from '../../support/net-host.ts'

const REFUSALS = ['STORE_FAILED', 'STORE_READONLY']

async function hostWithThread(options: Parameters<typeof openNetHost>[0] = {}): Promise<[NetHost, ThreadInfo]> {
  const host = await openNetHost(options)
  return [host, await host.net.createThread(newThreadId('raw', randomBytes))]
}

function write(
  host: Pick<NetHost, 'net'>,
  { id }: ThreadInfo,
  count = 1,
): Promise<PromiseSettledResult<ThreadRecord>[]> {
  return Promise.allSettled(Array.from({ length: count }, (_, at) => host.net.createRecord(id, encode({ at }))))
}

function taken(results: readonly PromiseSettledResult<ThreadRecord>[]): string[] {
  return results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.cid.toString()] : []))
}

function refusals(results: readonly PromiseSettledResult<unknown>[]): unknown[] {
  return results.flatMap((result) => (result.status === 'rejected' ? [(result.reason as { code: unknown }).code] : []))
}

async function cids(host: Pick<NetHost, 'net'>, { id }: ThreadInfo): Promise<string[]> {
  return (await ownRecords(host, id)).map(({ cid }) => cid.toString())
}

/** Heads and cursors as memory has them. */
async function heads({ net }: NetHost): Promise<unknown> {
  const threads = await Promise.all(net.listThreads().map((id) => net.getThread(id)))
  return threads.map(({ id, logs }) => [id, logs.map((log) => [log.id, log.head.counter, log.head.cid?.toString()])])
}

function ownerOf(host: NetHost, { id }: ThreadInfo, app = new NotingApp()): OwnedThread {
  let owned: OwnedThread | undefined
  host.net.attach(id, (thread) => {
    owned = thread
    return app
  })
  if (owned === undefined) throw new Error('the thread was not handed over')
  return owned
}

describe('a failed write', () => {
  for (const stored of [false, true]) {
    it(`leaves one chain with all records that were acknowledged, ${stored ? '' : 'not '}stored`, async () => {
      for (let nth = 1; nth <= 4; nth++) {
        const [host, info] = await hostWithThread()
        const before = taken(await write(host, info, 2))
        host.faulty.failBatch(nth, { stored })
        const during = []
        for (let round = 0; round < 4; round++) during.push(...(await write(host, info, 3)))
        expect(refusals(during).length).toBeGreaterThan(0)
        expect(REFUSALS).toEqual(expect.arrayContaining([...new Set(refusals(during))]))
        await untilOpen(host)
        const inMemory = await heads(host)
        const after = taken(await write(host, info, 3))
        expect(after).toHaveLength(3)
        const chain = await cids(host, info)
        const acknowledged = [...before, ...taken(during), ...after]
        expect(chain.filter((cid) => acknowledged.includes(cid))).toEqual(acknowledged)
        // Nothing else is in it but what the failed write held.
        expect(chain.length - acknowledged.length > 0).toBe(stored)
        expect(JSON.stringify(inMemory)).toContain(chain.at(-4))
        const restarted = await host.restart()
        expect(await cids(restarted, info)).toEqual(chain)
        await restarted.stop()
      }
    })
  }

  it('refuses further ones until the store is open again', async () => {
    const [host, info] = await hostWithThread()
    await write(host, info, 2)
    host.faulty.failBatch(1, { stored: false })
    host.faulty.failOpens(2)
    expect(refusals(await write(host, info))).toEqual(['STORE_FAILED'])
    const before = await heads(host)
    for (let round = 0; round < 3; round++) expect(refusals(await write(host, info))).toEqual(['STORE_READONLY'])
    expect(await heads(host)).toEqual(before)
    await untilOpen(host)
    expect(await cids(host, info)).toHaveLength(2)
    await write(host, info, 2)
    expect(await cids(host, info)).toHaveLength(4)
    await host.stop()
  })

  it('gives nobody a log, also in what is said until the store is open again', async () => {
    const [host, { id }] = await hostWithThread()
    const caller = { identity: identityOf(generateKey(randomBytes).publicKey) }
    host.faulty.failBatch(1, { stored: false })
    host.faulty.failOpens(2)
    const { key } = await host.net.getThread(id)
    const enter = () => Promise.allSettled([host.net.createThread(id, { key, caller })])
    expect(refusals(await enter())).toEqual(['STORE_FAILED'])
    expect(refusals(await enter())).toEqual(['STORE_READONLY'])
    await untilOpen(host)
    expect(refusals(await enter())).toEqual([])
    expect(refusals(await enter())).toEqual(['LOG_EXISTS'])
    await host.stop()
  })

  it('refuses one that began before it and ends after the store is open again', async () => {
    const [host, info] = await hostWithThread()
    await write(host, info, 2)
    const owned = ownerOf(host, info)
    await owned.resume()
    const reopened = Promise.withResolvers<void>()
    const begun = owned.write(async (draft) => {
      await draft.append({}, encode('begun before'))
      await reopened.promise
    })
    host.faulty.failBatch(1, { stored: false })
    const others = [host.net.createThread(newThreadId('raw', randomBytes))]
    expect(refusals(await Promise.allSettled(others))).toEqual(['STORE_FAILED'])
    await untilOpen(host)
    reopened.resolve()
    await expect(begun).rejects.toMatchObject({ code: 'STORE_READONLY' })
    owned.detach()
    await write(host, info, 2)
    expect(await cids(host, info)).toHaveLength(4)
    await host.stop()
  })

  it('refuses one that begins when the store is open again, but was not read yet', async () => {
    let begin: (() => void) | undefined
    const [host, info] = await hostWithThread({ onStore: (store) => store.onReset(() => begin?.()) })
    await write(host, info, 2)
    const owned = ownerOf(host, info)
    await owned.resume()
    const open = Promise.withResolvers<void>()
    let begun: Promise<unknown> | undefined
    begin = () => {
      begun = owned.write(async (draft) => {
        await open.promise
        await draft.append({}, encode('begun early'))
      })
      begun.catch(() => {})
    }
    host.faulty.failBatch(1, { stored: false })
    const failed = await owned.write((draft) => draft.append({}, encode('lost')))
    await expect(failed.stored).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await untilOpen(host)
    open.resolve()
    await expect(begun).rejects.toMatchObject({ code: 'STORE_READONLY' })
    owned.detach()
    await write(host, info, 2)
    expect(await cids(host, info)).toHaveLength(4)
    await host.stop()
  })

  it('tells subscribers of each record it stored, once, also of a log and a thread that it made', async () => {
    const [host, info] = await hostWithThread()
    const stop = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      for await (const { cid } of host.net.subscribe({ signal: stop.signal })) seen.push(cid.toString())
    })()
    host.faulty.failBatch(1, { stored: true })
    const identity = identityOf(generateKey(randomBytes).publicKey)
    const first = host.net.createRecord(info.id, encode('first of a log'), { caller: { identity } })
    await expect(first).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await untilOpen(host)
    await write(host, info, 2)
    const { logs } = await host.net.getThread(info.id)
    expect(logs.map(({ head }) => head.counter)).toEqual([2, 1])
    await expect.poll(() => seen.length).toBe(3)
    expect(new Set(seen).size).toBe(3)
    stop.abort()
    await watching
    await host.stop()
  })

  it('in a deletion lets it go on when the store is open again', async () => {
    for (const nth of [1, 2, 3, 4]) {
      const [host, info] = await hostWithThread()
      await write(host, info, 2)
      host.faulty.failBatch(nth, { stored: true })
      await expect(host.net.deleteThread(info.id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
      await untilOpen(host)
      expect(host.net.listThreads()).toEqual([])
      await expect
        .poll(() => {
          host.clock.advance(1_000)
          return threadRows(host)
        })
        .toBe(0)
      await host.stop()
    }
  })

  it('in a deletion lets it go on after the next start, which does not wait for it', async () => {
    const [host, info] = await hostWithThread()
    await write(host, info, 2)
    host.faulty.failBatch(3, { stored: false })
    await expect(host.net.deleteThread(info.id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await untilOpen(host)
    const restarted = await host.restart()
    expect(restarted.net.listThreads()).toEqual([])
    expect(await threadRows(restarted)).toBeGreaterThan(0)
    restarted.clock.advance(1_000)
    await expect.poll(() => threadRows(restarted)).toBe(0)
    await restarted.stop()
  })

  it('in a deletion that was not marked leaves the thread as it was', async () => {
    const [host, info] = await hostWithThread()
    await write(host, info, 2)
    host.faulty.failBatch(1, { stored: false })
    await expect(host.net.deleteThread(info.id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await untilOpen(host)
    await write(host, info)
    expect(await cids(host, info)).toHaveLength(3)
    await host.stop()
  })

  it('does not leave logs behind that were being folded', async () => {
    const [host, info] = await hostWithThread()
    await write(host, info, 3)
    const app = new NotingApp()
    host.faulty.failBatch(1, { stored: false })
    const thread = ownerOf(host, info, app)
    await expect(thread.resume()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    thread.detach()
    await untilOpen(host)
    const again = new NotingApp()
    await ownerOf(host, info, again).resume()
    expect(again.folded.map(({ counter }) => counter)).toEqual([1, 2, 3])
    await host.stop()
  })

  it('does not end the waiting of logs', async () => {
    const [host, info] = await hostWithThread()
    const app = new NotingApp()
    host.net.attach(info.id, () => app)
    const log = new LogMaker(info.key)
    await host.net.createThread(info.id, { key: info.key, logKey: log.key.publicKey })
    app.check = () => {
      throw new TypeError('a fault of the fold')
    }
    const [blocks] = log.next()
    if (blocks === undefined) throw new Error('there is no record')
    await host.net.addRecord(info.id, log.id, blocks)
    app.check = () => {}
    const before = host.store.journal.lastSeq
    host.faulty.failBatch(1, { stored: false })
    host.clock.advance(5_000)
    await expect.poll(() => app.folded.length).toBe(1)
    await untilOpen(host)
    await expect
      .poll(() => {
        host.clock.advance(5_000)
        return host.store.journal.lastSeq
      })
      .toBe(before + 1)
    expect(app.folded).toHaveLength(2)
    await host.stop()
  })
})

describe('a refused write', () => {
  it('leaves no gap in the log', async () => {
    let low = false
    const store = await openStoreWithSpace({ isLow: () => low })
    const clock = new FakeClock()
    const components = { store, privateKey: generateKey(randomBytes), clock, random: randomBytes, logger: silentLogger }
    const net = await createNet({ ...components, network: new NetLinks().network(newPeer().id) })
    const host = { net }
    const info = await net.createThread(newThreadId('raw', randomBytes))
    await write(host, info, 2)
    low = true
    expect(refusals(await write(host, info, 3))).toEqual(['NO_SPACE', 'NO_SPACE', 'NO_SPACE'])
    expect(await cids(host, info)).toHaveLength(2)
    low = false
    await write(host, info, 2)
    expect(await cids(host, info)).toHaveLength(4)
    low = true
    await net.deleteThread(info.id)
    expect(await threadRows({ store })).toBe(0)
    await store.close()
  })
})

/** Number of rows of threads and records. */
async function threadRows({ store }: Pick<NetHost, 'store'>): Promise<number> {
  let count = 0
  for (const [letter, { byThread }] of Object.entries(KEY_LETTERS)) {
    if (!byThread && letter !== 'c') continue
    for await (const _ of store.reads.entries(rowRange(letter as KeyLetter))) count++
  }
  return count
}
