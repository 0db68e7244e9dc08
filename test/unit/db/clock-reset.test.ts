import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import { decode } from '../../../src/core/cbor.ts'
import { encodeEvents } from '../../../src/core/events.ts'
import { generateKey } from '../../../src/core/keys.ts'
import type { Collection, Database, Update } from '../../../src/db/index.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { type ForeignEvent, ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { LogMaker } from '../../support/log-maker.ts'
import { bytesOf, found, idsOf, joinNotes, newNotes, NOTE } from '../../support/notes.ts'

const START_MS = Date.UTC(2026, 5, 1)
const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS
const AHEAD_MS = 3 * DAY_MS

let clock: FakeClock
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  clock = new FakeClock(START_MS)
  const backend = await openMemoryStore()
  host = await startHost({ clock, backend, privateKey: generateKey(randomBytes), net: { pull: false } })
  const documents = [
    { _id: 'kept', name: 'first' },
    { _id: 'gone', name: 'first' },
  ]
  ;({ database, notes } = await newNotes(host, documents, { indexes: [{ path: 'name' }] }))
})
afterEach(() => host[Symbol.asyncDispose]())

async function restart(): Promise<void> {
  host = await host.restart()
  database = await host.databases.get(database.id)
  notes = database.collection('Note')
}

/** Writes while the clock is ahead, and sets it back. */
async function writeAhead(count = 1): Promise<void> {
  clock.set(START_MS + AHEAD_MS)
  await Promise.all(Array.from({ length: count }, (_, i) => notes.create([bytesOf({ _id: `ahead${i}` })])))
  await notes.save([bytesOf({ _id: 'kept', name: 'ahead' })])
  await notes.delete(['gone'])
  clock.set(START_MS + HOUR_MS)
}

async function add(event: ForeignEvent): Promise<void> {
  const log = new ForeignLog((await database.info()).key)
  await log.introduce(host, database)
  await host.net.addRecord(database.id, log.id, log.record([event]))
}

const byName = (value: string) => ({ ands: [{ path: 'name', operation: 'eq', value }], index: 'name' }) as const

const BEFORE = [
  { _id: 'gone', name: 'first' },
  { _id: 'kept', name: 'first' },
]

describe('a clock that was days ahead and was set back', () => {
  it('is reset: what was written ahead is held, and writing goes on', async () => {
    await writeAhead()
    await expect(notes.create([bytesOf({})])).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    const logs = await ownLogs()
    await database.resetClock()
    expect(await found(notes)).toEqual(BEFORE)
    expect(await idsOf(notes, byName('first'))).toEqual(['gone', 'kept'])
    expect(await idsOf(notes, byName('ahead'))).toEqual([])
    expect(await database.waiting()).toMatchObject([
      {
        logId: logs[0],
        counter: 2,
        records: 3,
        reason: { kind: 'clock', untilMs: START_MS + AHEAD_MS - 600_000 },
      },
    ])
    await notes.create([bytesOf({ _id: 'new' })])
    expect(await ownLogs()).toHaveLength(2)
    expect(await idsOf(notes)).toEqual(['gone', 'kept', 'new'])
  })

  it('stays reset over a restart, and what is held follows when its time comes', async () => {
    await writeAhead()
    await database.resetClock()
    await restart()
    expect(await found(notes)).toEqual(BEFORE)
    await notes.save([bytesOf({ _id: 'kept', name: 'now' })])
    await notes.create([bytesOf({ _id: 'new' })])
    expect(await idsOf(notes)).toEqual(['gone', 'kept', 'new'])
    clock.advance(AHEAD_MS)
    await expect.poll(() => idsOf(notes)).toEqual(['ahead0', 'kept', 'new'])
    expect(await found(notes)).toContainEqual({ _id: 'kept', name: 'ahead' })
    expect(await database.waiting()).toEqual([])
  })

  it('tells listeners what is taken back', async () => {
    await writeAhead()
    const updates: Update[] = []
    const listening = (async () => {
      for await (const update of database.listen()) if (updates.push(update) === 3) return
    })()
    await database.resetClock()
    await listening
    expect(updates.map(({ kind, id }) => `${kind} ${id}`).toSorted()).toEqual([
      'created gone',
      'deleted ahead0',
      'saved kept',
    ])
  })

  it('is reset in several steps when much was written', async () => {
    await writeAhead(600)
    await database.resetClock()
    expect(await found(notes)).toEqual(BEFORE)
    expect(await database.waiting()).toMatchObject([{ counter: 2, records: 602 }])
  })

  it('keeps the documents of this host those of others', async () => {
    await writeAhead()
    await add({ type: 'save', id: 'kept', patch: '{"_id":"kept","name":"other"}', atMs: START_MS + 5 })
    await database.resetClock()
    await notes.create([bytesOf({ _id: 'new' })])
    const other = await startHost({ clock, net: { pull: false } })
    try {
      const joined = await joinNotes(other, database)
      await expect.poll(() => found(joined.notes)).toEqual(await found(notes))
      expect(await found(notes)).toContainEqual({ _id: 'kept', name: 'other' })
      clock.advance(AHEAD_MS)
      await expect.poll(() => idsOf(notes)).toEqual(['ahead0', 'kept', 'new'])
      await expect.poll(() => found(joined.notes)).toEqual(await found(notes))
    } finally {
      await other[Symbol.asyncDispose]()
    }
  })

  it('is reset by hours too, and what was admitted of the log is held again', async () => {
    await writeAhead()
    await database.resetClock()
    const [held] = await database.waiting()
    clock.set(START_MS + AHEAD_MS - 2 * HOUR_MS)
    if (held === undefined) throw new Error('nothing is held')
    await database.admit(held.logId)
    expect(await idsOf(notes)).toEqual(['ahead0', 'kept'])
    clock.set(START_MS + AHEAD_MS - 12 * HOUR_MS)
    await database.resetClock()
    expect(await found(notes)).toEqual(BEFORE)
    expect(await database.waiting()).toMatchObject([{ records: 3, reason: { kind: 'clock' } }])
  })

  it('judges again what depended on records that are held', async () => {
    const writeValidator = "return event.patch.type === 'create' || Boolean(instance && instance._id) || 'no such note'"
    await database.updateCollection({ ...NOTE, writeValidator })
    await writeAhead()
    const patch = '{"name":"late"}'
    clock.set(START_MS + AHEAD_MS)
    await add({ type: 'save', id: 'ahead0', patch, atMs: START_MS + AHEAD_MS + 60_000 })
    expect(await found(notes)).toContainEqual({ _id: 'ahead0', name: 'late' })
    clock.set(START_MS + AHEAD_MS - 23 * HOUR_MS)
    await database.resetClock()
    expect(await found(notes)).toEqual(BEFORE)
    expect(await database.refusals()).toMatchObject([{ reason: expect.stringContaining('no such note') }])
  })
})

describe('a clock', () => {
  it('that was not ahead is not reset', async () => {
    await expect(database.resetClock()).rejects.toMatchObject({ code: 'NOT_WAITING' })
    clock.set(START_MS - 60_000)
    await expect(database.resetClock()).rejects.toMatchObject({ code: 'NOT_WAITING' })
    await notes.create([bytesOf({ _id: 'n' })])
  })

  it('is not reset where a log of this host was continued elsewhere, ahead of the clock', async () => {
    const { key, logs } = await host.net.getThread(database.id)
    const [own] = logs
    if (own?.head.cid === undefined) throw new Error('this host has a log')
    // The other record comes from a peer, as no client may add it.
    await using peer = await startHost({ net: { pull: false } })
    await joinNotes(peer, database)
    const maker = new LogMaker(key, own.privateKey)
    const timestamp = BigInt(START_MS + 2 * HOUR_MS) * 1_000_000n
    const event = { id: 'copy', type: 'create' as const, patch: utf8('{"_id":"copy"}'), instanceId: 'copy' }
    const body = decode(encodeEvents([{ ...event, collection: 'Note', timestamp }]))
    await peer.net.addRecord(database.id, own.id, maker.make({ prev: own.head.cid, body }).blocks)
    await writeAhead()
    clock.set(START_MS + AHEAD_MS)
    const forks = async (): Promise<number> => {
      await host.net.pullThread(database.id)
      return host.net.forkedLogs().length
    }
    await expect.poll(forks).toBe(1)
    expect(await idsOf(notes)).toEqual(['ahead0', 'copy', 'kept'])
    clock.set(START_MS + HOUR_MS)
    await expect(database.resetClock()).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    clock.advance(HOUR_MS)
    await database.resetClock()
    expect(await idsOf(notes)).toEqual(['copy', 'gone', 'kept'])
  })

  it('is not reset where others wrote as far ahead', async () => {
    await writeAhead()
    clock.set(START_MS + AHEAD_MS)
    await add({ type: 'create', id: 'n', patch: '{"_id":"n"}', atMs: clock.nowMs() })
    clock.set(START_MS + HOUR_MS)
    await expect(database.resetClock()).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    expect(await idsOf(notes)).toEqual(['ahead0', 'kept', 'n'])
  })
})

/** Logs that this host writes or wrote. */
async function ownLogs(): Promise<string[]> {
  const { logs } = await host.net.getThread(database.id)
  return logs.filter(({ privateKey }) => privateKey !== undefined).map(({ id }) => id)
}
