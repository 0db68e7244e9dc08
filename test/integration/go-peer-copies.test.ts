/** Copies of threads at hosts of ours and of go-threads: whoever keeps them, and however they come about, they are the same. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { threadAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import type { RecordBlocks } from '../../src/core/record.ts'
import { newThreadId } from '../../src/core/thread-id.ts'
import type { GoLog, GoThread } from '../support/go-thread.ts'
import type { TestHost } from '../support/host.ts'
import { bytesOf, found, joinNotes, newNotes, NOTE } from '../support/notes.ts'
import type { Page } from '../support/scripted-go-peer.ts'
import {
  addressOf,
  closeAll,
  create,
  expectInStep,
  headsAt,
  headsOf,
  hostAddress,
  open,
  otherLogIn,
  openGo,
  PATIENCE,
  remove,
  resources,
  save,
  share,
  sorted,
} from '../support/shared-with-go.ts'

const MIB = 1024 * 1024
const START_MS = Date.parse('2024-01-01T00:00:00Z')

// Hosts with sockets on a busy machine.
vi.setConfig({ testTimeout: 300_000 })
afterEach(closeAll)

/** Counters of the records that pages hold of a log. */
function countersOf(thread: GoThread, pages: readonly Page[], log: GoLog): number[][] {
  return pages.map(({ reply }) =>
    reply.logs
      .filter(({ logId }) => logId === log.id)
      .flatMap(({ records }) => records.map((record) => 1 + indexIn(thread, log, record))),
  )
}

function indexIn(thread: GoThread, { records }: GoLog, blocks: RecordBlocks): number {
  const { cid } = thread.open(blocks)
  return records.findIndex((record) => record.cid.equals(cid))
}

async function countersAt({ net }: TestHost, { id }: GoThread): Promise<number[]> {
  return net.listThreads().includes(id) ? (await net.getThread(id)).logs.map(({ head }) => head.counter) : []
}

function range(from: number, to: number): number[] {
  return Array.from({ length: to - from + 1 }, (_, index) => from + index)
}

/** Numbers below a bound, the same for the same seed. */
function numbersFrom(seed: number): (bound: number) => number {
  let state = seed
  return (bound) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * bound)
  }
}

describe('hosts of ours and of go-threads together', () => {
  it.each([1, 2, 3])('end in step, whatever happens on the way (story %i)', async (seed) => {
    const shared = await share({ pullLimit: 40, waitMs: 500 })
    const { host, database } = shared
    const second = await joinNotes(await open(), database)
    const other = await openGo({ pullLimit: 40, waitMs: 500 })
    const copy = await other.join(await addressOf(database), (await database.info()).key)
    const peers = [shared.peer, other]
    const ours = [shared.notes, second.notes]
    const next = numbersFrom(seed)
    const pick = <T>(list: readonly T[]): T => list[next(list.length)] as T
    const late: (() => Promise<unknown>)[] = []
    for (let step = 0; step < 150; step++) {
      const peer = pick(peers)
      const id = `note ${next(12)}`
      const atMs = START_MS + next(100_000)
      const event = pick([create(id, `made in ${step}`, atMs), save(id, `saved in ${step}`, atMs), remove(id, atMs)])
      const action = next(10)
      if (action < 3) await pick(ours).save([bytesOf({ _id: id, name: `ours in ${step}` })])
      else if (action === 3) await peer.exchange(host.net.hostId)
      else if (action === 4) await Promise.all(late.splice(next(late.length + 1)).map((push) => push()))
      else if (action === 5 && next(8) === 0) {
        await peer.stop()
        await peer.listen()
      } else {
        const record = peer.write(database.id, [event])
        const push = (): Promise<unknown> => peer.push(database.id, record)
        if (action < 8) await push()
        // Lost, or pushed late; some come twice.
        if (action > 6) late.push(push)
      }
    }
    for (const peer of peers) await peer.exchange(host.net.hostId)
    await expect
      .poll(async () => {
        for (const peer of peers) await peer.exchange(host.net.hostId)
        return [headsOf(copy), headsOf(shared.thread), await headsAt(host, database)].map(sorted)
      }, PATIENCE)
      .toSatisfy((all: unknown[]) => new Set(all.map((each) => JSON.stringify(each))).size === 1)
    await expectInStep(shared)
    await expectInStep({ ...shared, peer: other, thread: copy })
    const expected = await found(shared.notes)
    await expect.poll(() => found(second.notes), PATIENCE).toEqual(expected)
  })
})

describe('a go-threads host that keeps a thread with its service key only', () => {
  it('gets all logs and what follows, and gives them to others when we are gone', async () => {
    const [host, peer] = [await open(), await openGo()]
    const { database, notes } = await newNotes(host, [{ _id: '1' }, { _id: '2' }])
    expect(await host.net.addReplicator(database.id, peer.address)).toBe(peer.id)
    await notes.create([bytesOf({ _id: '3' })])
    await expect.poll(() => peer.threads.get(database.id)?.applied.length, PATIENCE).toBe(2)
    await notes.save([bytesOf({ _id: '3', name: 'changed' })])
    await expect.poll(() => peer.threads.get(database.id)?.applied.length, PATIENCE).toBe(3)
    expect(peer.requests('pushLog')[0]?.serviceKey).toBeDefined()
    for (const { readKey } of peer.requests('pushLog')) expect(readKey).toBeUndefined()
    const expected = await found(notes)
    const { key } = await database.info()
    resources.splice(resources.indexOf(host), 1)
    await host[Symbol.asyncDispose]()
    const options = { key, collections: [NOTE], block: true }
    const again = await (await open()).databases.join(peer.addressOf(database.id), options)
    expect(await found(again.collection('Note'))).toEqual(expected)
    expect(peer.panics).toEqual([])
  })

  it('joins it to follow it, and goes on after our restart', async () => {
    const [host, peer] = [await open(), await openGo()]
    const { database } = await newNotes(host, [{ _id: '1' }])
    const { service } = (await database.info()).key
    const thread = await peer.join(await addressOf(database), { service })
    await peer.pullAll(host.net.hostId, database.id)
    expect(thread.applied).toHaveLength(1)
    resources.splice(resources.indexOf(host), 1)
    const again = await host.restart()
    resources.push(again)
    // Nobody is told of it: no log names the follower.
    const notes = (await again.databases.get(database.id)).collection('Note')
    await notes.create([bytesOf({ _id: '2' })])
    await peer.exchange(again.net.hostId)
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(2)
  })

  it('makes us keep it in the same way', async () => {
    const [host, peer, reader] = [await open(), await openGo(), await openGo()]
    const { thread, key } = peer.createThread()
    peer.addOwnLog(thread.id)
    for (let count = 0; count < 5; count++) peer.write(thread.id, [create(`${count}`)])
    await peer.addReplicator(thread.id, hostAddress(host))
    await expect.poll(() => countersAt(host, thread), PATIENCE).toEqual([5, 0])
    await peer.writeAndPush(thread.id, [create('pushed')])
    await expect.poll(() => countersAt(host, thread), PATIENCE).toEqual([6, 0])
    expect((await host.net.getThread(thread.id)).key.read).toBeUndefined()
    await peer.stop()
    const [transport] = host.net.hostAddresses()
    if (transport === undefined) throw new Error('the host has no address')
    const copy = await reader.join(threadAddress(transport, host.net.hostId, thread.id), key)
    await reader.pullAll(host.net.hostId, thread.id)
    expect(copy.applied.map(({ cid }) => cid.toString())).toEqual(thread.applied.map(({ cid }) => cid.toString()))
    expect([...peer.panics, ...reader.panics]).toEqual([])
  })
})

describe('a go-threads host that pulls', () => {
  it('gets all of 10,000 records, oldest first and without gaps', async () => {
    const [host, peer] = [await open(), await openGo()]
    const info = await host.net.createThread(newThreadId('raw', randomBytes))
    await Promise.all(Array.from({ length: 10_000 }, (_, n) => host.net.createRecord(info.id, encode({ n }))))
    const [address] = info.addresses
    if (address === undefined) throw new Error('the host has no address')
    const thread = await peer.join(address, info.key)
    const pages = await peer.pullAll(host.net.hostId, info.id)
    // It takes only what follows its head.
    expect(thread.applied).toHaveLength(10_000)
    expect(Math.max(...pages.map(({ bytes }) => bytes))).toBeLessThan(4 * MIB)
    expect(peer.panics).toEqual([])
  })

  it('gets large records in replies that it can take', async () => {
    const [host, peer] = [await open(), await openGo()]
    const info = await host.net.createThread(newThreadId('raw', randomBytes))
    for (const size of [3.4, 1.1, 1.1, 1.1, 1.1, 0.01, 3.4, 2]) {
      await host.net.createRecord(info.id, encode(new Uint8Array(size * MIB)))
    }
    const [address] = info.addresses
    if (address === undefined) throw new Error('the host has no address')
    const thread = await peer.join(address, info.key)
    const pages = await peer.pullAll(host.net.hostId, info.id)
    expect(thread.applied).toHaveLength(8)
    expect(Math.max(...pages.map(({ bytes }) => bytes))).toBeLessThan(4 * MIB)
  })

  it('gets smaller replies when the large ones come too late', async () => {
    const [host, peer] = [await open(), await openGo({ bytesInTime: 0.3 * MIB })]
    const info = await host.net.createThread(newThreadId('raw', randomBytes))
    for (let count = 0; count < 30; count++) await host.net.createRecord(info.id, encode(new Uint8Array(0.1 * MIB)))
    const [address] = info.addresses
    if (address === undefined) throw new Error('the host has no address')
    const thread = await peer.join(address, info.key)
    await peer.pullAll(host.net.hostId, info.id)
    expect(thread.applied).toHaveLength(30)
  })

  it('gets as many records of a log as it asks for, those directly after its own', async () => {
    const shared = await share({ pullLimit: 7 }, { ids: [] })
    const { host, peer, database, notes, thread } = shared
    // Not pushed: it is not known yet where the log of the other is.
    for (let count = 0; count < 20; count++) await notes.create([bytesOf({ _id: `${count}` })])
    const pages = await peer.pullAll(host.net.hostId, database.id)
    expect(countersOf(thread, pages, otherLogIn(thread))).toEqual([range(1, 7), range(8, 14), range(15, 20)])
    await expectInStep(shared)
  })

  it('and does not count records gets those after the one it names', async () => {
    const shared = await share({}, { ids: [] })
    const { host, peer, database, notes, thread } = shared
    for (let count = 0; count < 5; count++) await notes.create([bytesOf({ _id: `${count}` })])
    await peer.pullAll(host.net.hostId, database.id)
    const log = otherLogIn(thread)
    const request = { threadId: thread.id, serviceKey: thread.service }
    const offset = log.records[1]?.cid
    const logs = [{ logId: log.id, offset, counter: 0, limit: 10_000 }]
    const reply = await peer.call(host.net.hostId, 'getRecords', { ...request, logs })
    expect(countersOf(thread, [{ bytes: 0, reply }], log)).toEqual([[3, 4, 5]])
  })
})
