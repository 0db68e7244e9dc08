import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hasCode } from '../../../src/core/errors.ts'
import type { Collection, CollectionConfig, Database } from '../../../src/db/index.ts'
import { rowRange } from '../../../src/store/key-codec.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { bytesOf, found, idsOf, newNotes, NOTE } from '../../support/notes.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const INDEXED: CollectionConfig = { ...NOTE, indexes: [{ path: 'name', unique: true }] }
const byName = (value: string) => ({ ands: [{ path: 'name', operation: 'eq', value }], index: 'name' }) as const

let clock: FakeClock
let backend: FaultyStore
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  clock = new FakeClock()
  backend = new FaultyStore(await openMemoryStore())
  host = await startHost({ backend, clock, net: { pull: false } })
  ;({ database, notes } = await newNotes(host, [], INDEXED))
})
afterEach(() => host[Symbol.asyncDispose]())

/** Waits until the store is open again, and lets everything happen that waits for it. */
async function reopened(): Promise<void> {
  await expect.poll(() => host.store.committer.state).toBe('open')
  clock.advance(2_000)
}

async function rows(letter: 'r' | 'x' | 'e'): Promise<number> {
  let count = 0
  for await (const _ of host.store.reads.entries(rowRange(letter))) count++
  return count
}

/** Every record has its document, its history and its index entry, and the head says how many there are. */
async function expectWhole(): Promise<void> {
  const documents = (await notes.find({})).length
  const { logs } = await host.net.getThread(database.id)
  const heads = logs.reduce((sum, { head }) => sum + head.counter, 0)
  expect([await rows('r'), await rows('e'), await rows('x'), heads]).toEqual([
    documents,
    documents,
    documents,
    documents,
  ])
}

describe.each([
  ['was not written', false],
  ['was written all the same', true],
])('a write that fails but %s', (_title, stored) => {
  it.each([1, 2, 3])('as the %i. of many: callers are told, nothing is torn, writing goes on', async (nth) => {
    backend.failBatch(nth, { stored })
    const ids = Array.from({ length: 100 }, (_, i) => `n${i}`)
    const wave = async (part: readonly string[]): Promise<PromiseSettledResult<unknown>[]> =>
      Promise.allSettled(part.map((_id) => notes.create([bytesOf({ _id, name: _id })])))
    const outcomes = [
      ...(await wave(ids.slice(0, 40))),
      ...(await wave(ids.slice(40, 80))),
      ...(await wave(ids.slice(80))),
    ]
    const codes = outcomes.map((outcome) => (outcome.status === 'rejected' ? String(outcome.reason.code) : 'stored'))
    expect(codes).toContain('STORE_FAILED')
    expect([...new Set(codes)].every((code) => /^(stored|STORE_FAILED|STORE_READONLY)$/.test(code))).toBe(true)
    await reopened()
    const there = new Set(await idsOf(notes))
    for (const [i, code] of codes.entries()) {
      if (code === 'stored') expect(there).toContain(ids[i])
      if (code === 'STORE_READONLY') expect(there).not.toContain(ids[i])
    }
    await expectWhole()
    await notes.create([bytesOf({ _id: 'after', name: 'after' })])
    expect(await idsOf(notes, byName('after'))).toEqual(['after'])
    await expectWhole()
    host = await host.restart()
    database = await host.databases.get(database.id)
    notes = database.collection('Note')
    await expectWhole()
  })

  it('in a transaction frees the lock', async () => {
    const transaction = await database.writeTransaction('Note')
    await transaction.create([bytesOf({ _id: 'a', name: 'a' })])
    backend.failBatch(1, { stored })
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reopened()
    const next = await database.writeTransaction('Note')
    expect(await next.has(['a'])).toBe(stored)
    await next.create([bytesOf({ _id: 'b', name: 'b' })])
    await next.commit()
    expect(await idsOf(notes)).toEqual(stored ? ['a', 'b'] : ['b'])
    await expectWhole()
  })

  it('of a record from elsewhere loses nothing when it comes again', async () => {
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(host, database)
    const event = { type: 'create', id: 'n', patch: '{"_id":"n","name":"n"}', atMs: clock.nowMs() } as const
    const record = log.record([event])
    backend.failBatch(1, { stored })
    await expect(host.net.addRecord(database.id, log.id, record)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reopened()
    await host.net.addRecord(database.id, log.id, record)
    expect(await idsOf(notes)).toEqual(['n'])
    await expectWhole()
  })

  it('while an index is built is made good without a restart', async () => {
    await database.updateCollection(NOTE)
    await notes.create(Array.from({ length: 1_500 }, (_, i) => bytesOf({ _id: `n${i}`, name: `name${i}` })))
    backend.failBatch(2, { stored })
    await expect(database.updateCollection(INDEXED)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reopened()
    await expect.poll(() => rows('x')).toBe(1_500)
    expect(await idsOf(notes, byName('name1234'))).toEqual(['n1234'])
    await expect(notes.create([bytesOf({ name: 'name7' })])).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
  })

  it('of a definition leaves the old one or the new one', async () => {
    backend.failBatch(1, { stored })
    await expect(database.createCollection({ ...NOTE, name: 'Other' })).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reopened()
    const again = await database.createCollection({ ...NOTE, name: 'Other' }).catch((error: unknown) => error)
    expect(hasCode(again, 'COLLECTION_EXISTS')).toBe(stored)
    expect((await database.listCollections()).map(({ name }) => name)).toEqual(['Note', 'Other'])
  })
})

describe('while the store cannot be opened again', () => {
  it('reads and writes fail, and work once it is open', async () => {
    await notes.create([bytesOf({ _id: 'a', name: 'a' })])
    backend.failOpens(1)
    backend.failBatch(1, { stored: false })
    await expect(notes.create([bytesOf({ _id: 'b', name: 'b' })])).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect(notes.create([bytesOf({ _id: 'b' })])).rejects.toThrow()
    await expect.poll(() => clock.pendingTimers).toBeGreaterThan(0)
    for (let tries = 0; tries < 10 && host.store.committer.state !== 'open'; tries++) {
      clock.advance(1_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await reopened()
    expect(await found(notes)).toEqual([{ _id: 'a', name: 'a' }])
    await notes.create([bytesOf({ _id: 'b', name: 'b' })])
    await expectWhole()
  })
})

describe('a listener', () => {
  it('hears of what was stored by a write that failed, or is told that it may have missed it', async () => {
    for (const stored of [false, true]) {
      const updates = database.listen()
      backend.failBatch(1, { stored })
      await expect(notes.create([bytesOf({ _id: `lost${stored}`, name: `lost${stored}` })])).rejects.toThrow()
      await reopened()
      await notes.create([bytesOf({ _id: `next${stored}`, name: `next${stored}` })])
      const heard: string[] = []
      for await (const { id } of updates) {
        heard.push(id)
        if (id === `next${stored}`) break
      }
      expect(heard).toEqual(stored ? [`lost${stored}`, `next${stored}`] : [`next${stored}`])
    }
  })
})
