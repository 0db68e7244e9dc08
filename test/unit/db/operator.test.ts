import { randomBytes } from 'node:crypto'
import type { CID } from 'multiformats/cid'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { peerIdOf } from '../../../src/core/peer-id.ts'
import type { Collection, Database, Refusal, WaitingRecord } from '../../../src/db/index.ts'
import { decodeThreadRow, encodeThreadRow, threadRowKey } from '../../../src/net/rows.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { OrderedStore } from '../../../src/store/ordered-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultySandbox } from '../../support/faulty-sandbox.ts'
import { type ForeignEvent, ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, idsOf, joinNotes, newNotes, noteOf, NOTE } from '../../support/notes.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

let clock: FakeClock
let sandbox: FaultySandbox
let backend: OrderedStore
const privateKey = generateKey(randomBytes)
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2026, 5, 1))
  backend = await openMemoryStore()
  await start()
  ;({ database, notes } = await newNotes(host))
})
afterEach(() => host[Symbol.asyncDispose]())

async function start(...unjudged: string[]): Promise<void> {
  sandbox = new FaultySandbox()
  neverJudge(...unjudged)
  host = await startHost({ clock, sandbox, privateKey, backend, net: { pull: false } })
}

async function restart(): Promise<void> {
  await host[Symbol.asyncDispose]()
  await start()
  database = await host.databases.get(database.id)
  notes = database.collection('Note')
}

/** The documents are made anew. */
async function restartStale(...unjudged: string[]): Promise<void> {
  await host[Symbol.asyncDispose]()
  const row = await backend.get(threadRowKey(1))
  if (row === undefined) throw new Error('there is a thread')
  const stale = encodeThreadRow({ ...decodeThreadRow(1, row), stale: true })
  await backend.batch([{ type: 'put', key: threadRowKey(1), value: stale }], { sync: true })
  await start(...unjudged)
  database = await host.databases.get(database.id)
}

async function newLog(): Promise<ForeignLog> {
  const log = new ForeignLog((await database.info()).key)
  await log.introduce(host, database)
  return log
}

const creation = (id: string, atMs: number = clock.nowMs()): ForeignEvent => {
  return { type: 'create', id, patch: JSON.stringify({ _id: id }), atMs }
}

const add = (log: ForeignLog, ...events: ForeignEvent[]): Promise<void> =>
  host.net.addRecord(database.id, log.id, log.record(events))

/** Id of the record before which the only waiting log stands. */
async function waitingRecord(): Promise<CID> {
  const [first] = await database.waiting()
  if (first?.recordId === undefined) throw new Error('nothing waits')
  return first.recordId
}

/** What waits after one more try; nothing while the database is not served. */
function laterWaiting(): Promise<WaitingRecord[]> {
  clock.advance(5_000)
  return database.waiting().catch(() => [])
}

/** Lets the validator of Note judge no event of this instance. */
const neverJudge = (...ids: string[]): void => sandbox.failOn(({ event }) => ids.includes(event.id))

describe('logs that wait', () => {
  it('are listed with the record they stand before, why and since when', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    const [ahead, stuck, fine] = [await newLog(), await newLog(), await newLog()]
    const sinceMs = clock.nowMs()
    const untilMs = sinceMs + MINUTE_MS
    neverJudge('bad')
    await add(fine, creation('fine'))
    await add(ahead, creation('a'))
    for (const id of ['b', 'c']) await add(ahead, creation(id, untilMs + 10 * MINUTE_MS))
    await add(stuck, creation('bad'))
    clock.advance(1_000)
    const waiting = await database.waiting()
    expect(waiting.map(({ logId }) => logId)).toEqual([ahead.id, stuck.id].toSorted())
    expect(waiting.find(({ logId }) => logId === ahead.id)).toMatchObject({
      counter: 2,
      records: 2,
      reason: { kind: 'clock', untilMs },
      sinceMs,
    })
    const bad = waiting.find(({ logId }) => logId === stuck.id)
    expect(bad).toMatchObject({ counter: 1, records: 1, reason: { kind: 'sandbox', alone: true }, sinceMs })
    const { cid } = await host.net.getRecord(database.id, bad?.recordId as CID)
    expect(cid.equals(bad?.recordId)).toBe(true)
  })

  it('are listed page by page', async () => {
    const logs = [await newLog(), await newLog(), await newLog()]
    for (const log of logs) await add(log, creation('n', clock.nowMs() + DAY_MS))
    const ids = logs.map(({ id }) => id).toSorted()
    const [first] = await database.waiting({ limit: 1 })
    expect(first?.logId).toBe(ids[0])
    const rest = await database.waiting(first === undefined ? {} : { after: first.position })
    expect(rest.map(({ logId }) => logId)).toEqual(ids.slice(1))
    await expect(database.waiting({ limit: 1_001 })).rejects.toThrow(TypeError)
  })

  it('behind a transaction are listed until it ends', async () => {
    const log = await newLog()
    const transaction = await database.writeTransaction('Note')
    await add(log, creation('a'))
    expect(await database.waiting()).toMatchObject([{ logId: log.id, reason: { kind: 'transaction' } }])
    await transaction.close()
    await expect.poll(() => database.waiting()).toEqual([])
  })
})

describe('a log that its owner forked', () => {
  let log: ForeignLog

  /** Two records after the same one: the second comes from a peer, as no client may add it. */
  async function fork(one: ForeignEvent, other: ForeignEvent): Promise<void> {
    log = await newLog()
    await add(log, creation('root'))
    await using peer = await startHost({ net: { pull: false } })
    await joinNotes(peer, database)
    await peer.net.addRecord(database.id, log.id, log.fork([other]).blocks)
    await add(log, one)
    const branches = async (): Promise<number> => {
      await host.net.pullThread(database.id)
      return host.net.forkedLogs().length
    }
    await expect.poll(branches).toBe(1)
  }

  it('waits with each of its chains, and is admitted as a whole', async () => {
    await fork(creation('a', clock.nowMs() + 60 * MINUTE_MS), creation('b', clock.nowMs() + 90 * MINUTE_MS))
    const waiting = await database.waiting()
    expect(waiting).toMatchObject([
      { logId: log.id, counter: 2, records: 1 },
      { logId: log.id, counter: 2, records: 1 },
    ])
    expect(waiting[0]?.recordId?.equals(waiting[1]?.recordId)).toBe(false)
    const pages = [await database.waiting({ limit: 1 })]
    pages.push(await database.waiting({ after: pages[0]?.[0]?.position ?? '' }))
    expect(pages).toEqual([waiting.slice(0, 1), waiting.slice(1)])
    await database.admit(log.id)
    expect(await idsOf(notes)).toEqual(['a', 'b', 'root'])
  })

  it('goes on in the chain whose record is skipped', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    neverJudge('a', 'b')
    await fork(creation('a'), creation('b'))
    const waiting = await database.waiting()
    expect(waiting).toMatchObject([{ reason: { alone: true } }, { reason: { alone: true } }])
    for (const { recordId } of waiting.toReversed()) await database.skip(log.id, recordId as CID)
    expect(await database.waiting()).toEqual([])
    const refusals = await database.refusals()
    expect(refusals.map(({ code, documents }) => `${code} ${documents[0]?.id}`).toSorted()).toEqual([
      'skipped a',
      'skipped b',
    ])
    expect(await idsOf(notes)).toEqual(['root'])
  })

  it('is listed', async () => {
    await fork(creation('a'), creation('b'))
    const other = (await newNotes(host)).database
    const forks = [{ threadId: database.id, logId: log.id, branches: 1, own: false }]
    expect(host.net.forkedLogs()).toEqual(forks)
    expect(host.net.forkedLogs({ thread: database.id })).toEqual(forks)
    expect(host.net.forkedLogs({ thread: other.id })).toEqual([])
  })
})

describe('a log that is ahead of the clock', () => {
  it('is admitted at once, and stays so over a restart with an earlier clock', async () => {
    const log = await newLog()
    for (const [index, id] of ['a', 'b'].entries()) await add(log, creation(id, clock.nowMs() + 60 * MINUTE_MS + index))
    await database.admit(log.id)
    expect(await idsOf(notes)).toEqual(['a', 'b'])
    expect(await database.waiting()).toEqual([])
    clock.set(clock.nowMs() - 60 * MINUTE_MS)
    await restart()
    expect(await idsOf(notes)).toEqual(['a', 'b'])
    await notes.delete(['a'])
    expect(await idsOf(notes)).toEqual(['b'])
  })

  it('waits again with what comes afterwards', async () => {
    const log = await newLog()
    await add(log, creation('a', clock.nowMs() + 60 * MINUTE_MS))
    await database.admit(log.id)
    await add(log, creation('b', clock.nowMs() + 61 * MINUTE_MS))
    expect(await idsOf(notes)).toEqual(['a'])
    expect(await database.waiting()).toMatchObject([{ counter: 2, reason: { kind: 'clock' } }])
  })

  it('is admitted though it cannot be judged now', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    const log = await newLog()
    await add(log, creation('a', clock.nowMs() + 60 * MINUTE_MS))
    neverJudge('a')
    await database.admit(log.id)
    expect(await database.waiting()).toMatchObject([{ reason: { kind: 'sandbox' } }])
    await restart()
    expect(await idsOf(notes)).toEqual(['a'])
  })

  it('by more than a day is not admitted: this host could write no more', async () => {
    const log = await newLog()
    await add(log, creation('a', clock.nowMs() + DAY_MS + 1))
    await expect(database.admit(log.id)).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    clock.advance(1)
    await database.admit(log.id)
    await notes.create([bytesOf({ _id: 'own' })])
    expect(await idsOf(notes)).toEqual(['a', 'own'])
  })

  it('is admitted up to the record that is more than a day ahead', async () => {
    const log = await newLog()
    await add(log, creation('a', clock.nowMs() + DAY_MS))
    await add(log, creation('b', clock.nowMs() + 2 * DAY_MS))
    await database.admit(log.id)
    expect(await idsOf(notes)).toEqual(['a'])
    await expect(database.admit(log.id)).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    clock.advance(DAY_MS)
    await expect.poll(() => idsOf(notes)).toEqual(['a', 'b'])
  })

  it('is the only one that can be admitted', async () => {
    const nobody = peerIdOf(generateKey(randomBytes).publicKey)
    await expect(database.admit(nobody)).rejects.toMatchObject({ code: 'NOT_WAITING' })
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    neverJudge('a')
    const stuck = await newLog()
    await add(stuck, creation('a'))
    await expect(database.admit(stuck.id)).rejects.toMatchObject({ code: 'NOT_WAITING' })
  })
})

describe('a record that cannot be judged', () => {
  beforeEach(async () => {
    await database.updateCollection({ ...NOTE, writeValidator: "return event.patch.instance_id !== 'denied'" })
  })

  it('is skipped: it has no effect, is listed, and its log goes on', async () => {
    neverJudge('bad')
    const log = await newLog()
    for (const id of ['a', 'bad', 'c']) await add(log, creation(id))
    const recordId = await waitingRecord()
    await database.skip(log.id, recordId)
    expect(await idsOf(notes)).toEqual(['a', 'c'])
    expect(await database.waiting()).toEqual([])
    const expected = [
      {
        logId: log.id,
        counter: 2,
        code: 'skipped',
        reason: 'skipped by the operator of this host',
        time: BigInt(clock.nowMs()) * 1_000_000n,
        documents: [{ collection: 'Note', id: 'bad' }],
      },
    ]
    const refusals = await database.refusals()
    expect(refusals).toMatchObject(expected)
    expect(refusals[0]?.recordId.equals(recordId)).toBe(true)
    await restart()
    expect(await database.refusals()).toMatchObject(expected)
    expect(await idsOf(notes)).toEqual(['a', 'c'])
  })

  it('stays skipped when all documents are made anew', async () => {
    neverJudge('bad')
    const [log, ahead] = [await newLog(), await newLog()]
    for (const id of ['bad', 'a']) await add(log, creation(id))
    await database.skip(log.id, await waitingRecord())
    await add(ahead, creation('b', clock.nowMs() + 60 * MINUTE_MS))
    await database.admit(ahead.id)
    const before = [await database.refusals(), await found(notes)]
    await restartStale()
    await expect.poll(() => database.refusals().catch(() => undefined)).toEqual(before[0])
    expect(await found(database.collection('Note'))).toEqual(before[1])
    expect(await database.waiting()).toEqual([])
  })

  it('keeps only its log waiting when all documents are made anew, and can be skipped then', async () => {
    const [log, other] = [await newLog(), await newLog()]
    for (const id of ['a', 'bad', 'b']) await add(log, creation(id))
    for (const id of ['c', 'd']) await add(other, creation(id))
    const refused = (): Promise<unknown> =>
      database.refusals().then(
        () => undefined,
        (error: unknown) => error,
      )
    await restartStale('bad')
    await expect.poll(() => sandbox.failures).toBe(1)
    expect(await refused()).toMatchObject({ code: 'DB_REBUILDING' })
    clock.advance(5_000)
    await expect.poll(refused).toBeUndefined()
    const before = database.collection('Note')
    expect(await idsOf(before)).toEqual(['a', 'c', 'd'])
    await expect.poll(laterWaiting).toMatchObject([{ logId: log.id, counter: 2, records: 2, reason: { alone: true } }])
    await database.skip(log.id, await waitingRecord())
    expect(await idsOf(before)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('of a fork keeps what follows it waiting when all documents are made anew', async () => {
    const log = await newLog()
    for (const id of ['a', 'bad']) await add(log, creation(id))
    await using peer = await startHost({ net: { pull: false } })
    await joinNotes(peer, database)
    await peer.net.pullThread(database.id)
    await peer.net.addRecord(database.id, log.id, log.fork([creation('fork')]).blocks)
    await add(log, creation('main'))
    await expect
      .poll(async () => {
        await host.net.pullThread(database.id)
        return idsOf(notes)
      })
      .toEqual(['a', 'bad', 'fork', 'main'])
    await restartStale('bad')
    await expect.poll(() => sandbox.failures).toBe(1)
    clock.advance(5_000)
    await expect.poll(laterWaiting).toMatchObject([{ counter: 2, reason: { alone: true } }])
    expect(await idsOf(database.collection('Note'))).toEqual(['a'])
    await database.skip(log.id, await waitingRecord())
    expect(await idsOf(database.collection('Note'))).toEqual(['a', 'fork', 'main'])
  })

  it('stays skipped when others are judged anew or arrive late', async () => {
    neverJudge('bad')
    const [log, late] = [await newLog(), await newLog()]
    await add(log, creation('bad'))
    await database.skip(log.id, await waitingRecord())
    neverJudge()
    await add(late, creation('bad', clock.nowMs() - 1))
    await add(log, { type: 'save', id: 'bad', patch: '{"name":"later"}', atMs: clock.nowMs() })
    expect(await found(notes)).toEqual([{ _id: 'bad', name: 'later' }])
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    expect(await database.refusals()).toMatchObject([{ logId: log.id, counter: 1, code: 'skipped' }])
  })

  it('keeps its place, so that records behind it have theirs', async () => {
    neverJudge('bad')
    const [log, other] = [await newLog(), await newLog()]
    const nowMs = clock.nowMs()
    await add(log, creation('bad', nowMs + 100))
    await add(log, { type: 'save', id: 'n', patch: '{"_id":"n","name":"log"}', atMs: nowMs })
    await database.skip(log.id, await waitingRecord())
    await add(other, { type: 'save', id: 'n', patch: '{"_id":"n","name":"other"}', atMs: nowMs + 50 })
    expect(await found(notes)).toEqual([{ _id: 'n', name: 'log' }])
  })

  it('is skipped only once it is known to be the one', async () => {
    const log = await newLog()
    neverJudge('bad')
    const transaction = await database.writeTransaction('Note')
    for (const id of ['a', 'b', 'bad']) await add(log, creation(id))
    await transaction.close()
    await expect.poll(() => database.waiting()).toMatchObject([{ counter: 1, reason: { alone: false } }])
    const first = await waitingRecord()
    await expect(database.skip(log.id, first)).rejects.toMatchObject({ code: 'NOT_WAITING' })
    for (let tries = 0; tries < 3; tries++) {
      clock.advance(5_000)
      await expect.poll(() => idsOf(notes)).not.toEqual([])
    }
    await expect.poll(() => database.waiting()).toMatchObject([{ counter: 3, reason: { alone: true } }])
    await expect(database.skip(log.id, first)).rejects.toMatchObject({ code: 'NOT_WAITING' })
    await database.skip(log.id, await waitingRecord())
    expect(await idsOf(notes)).toEqual(['a', 'b'])
    expect(await database.refusals()).toMatchObject([{ counter: 3 }])
  })

  it('can also be one whose folding fails for another reason', async () => {
    const log = await newLog()
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    sandbox.failOn(({ event }) => {
      if (event.id === 'n') throw new Error('a fault of the program')
      return false
    })
    await add(log, creation('n'))
    await add(log, creation('a'))
    expect(await database.waiting()).toMatchObject([{ counter: 1, reason: { kind: 'retry', alone: true } }])
    await database.skip(log.id, await waitingRecord())
    expect(await notes.has(['a'])).toBe(true)
    expect(await database.refusals()).toMatchObject([{ counter: 1, code: 'skipped' }])
  })

  it('is the only one that can be skipped', async () => {
    const log = await newLog()
    await add(log, creation('a', clock.nowMs() + 60 * MINUTE_MS))
    await expect(database.skip(log.id, await waitingRecord())).rejects.toMatchObject({ code: 'NOT_WAITING' })
  })
})

describe('refusals', () => {
  let log: ForeignLog
  let all: Refusal[]

  beforeEach(async () => {
    await database.updateCollection({ ...NOTE, writeValidator: "return event.patch.type !== 'delete'" })
    log = await newLog()
    for (let i = 1; i <= 5; i++) await add(log, { type: 'delete', id: `${i}`, atMs: clock.nowMs() + i })
    all = await database.refusals()
  })

  it('are listed newest first, with what they are about', async () => {
    expect(all.map(({ counter }) => counter)).toEqual([5, 4, 3, 2, 1])
    expect(all[0]).toMatchObject({
      logId: log.id,
      time: BigInt(clock.nowMs() + 5) * 1_000_000n,
      code: 'denied',
      documents: [{ collection: 'Note', id: '5' }],
    })
    const { cid } = await host.net.getRecord(database.id, all[0]?.recordId as CID)
    expect(cid.equals(all[0]?.recordId)).toBe(true)
  })

  it('are listed page by page, to both sides', async () => {
    const at = (index: number): Uint8Array => all[index]?.position ?? new Uint8Array()
    const counters = async (options: Parameters<Database['refusals']>[0]): Promise<number[]> =>
      (await database.refusals(options)).map(({ counter }) => counter)
    expect(await counters({ limit: 2 })).toEqual([5, 4])
    expect(await counters({ limit: 2, before: at(1) })).toEqual([3, 2])
    expect(await counters({ limit: 2, before: at(3) })).toEqual([1])
    expect(await counters({ before: at(4) })).toEqual([])
    expect(await counters({ limit: 2, after: at(4) })).toEqual([3, 2])
    expect(await counters({ limit: 2, after: at(1) })).toEqual([5])
    expect(await counters({ after: at(0) })).toEqual([])
    await expect(counters({ before: at(0), after: at(1) })).rejects.toThrow(TypeError)
    await expect(counters({ limit: 0 })).rejects.toThrow(TypeError)
  })

  it('of records that hold no events name no documents', async () => {
    const other = await newLog()
    await host.net.addRecord(database.id, other.id, other.recordOf(encode(7)))
    // Without an event a record has no time.
    expect((await database.refusals()).at(-1)).toMatchObject({
      logId: other.id,
      time: 0n,
      code: 'undecodable',
      documents: [],
    })
  })
})

describe('conflicts of a unique index', () => {
  const pairs = (groups: readonly { value: string; ids: readonly string[] }[]) =>
    groups.map(({ value, ids }) => [JSON.parse(value), ids])

  async function addNotes(...documents: readonly { _id: string; [member: string]: unknown }[]): Promise<void> {
    const log = await newLog()
    const events = documents.map((document): ForeignEvent => {
      return { type: 'create', id: document._id, patch: JSON.stringify(document), atMs: clock.nowMs() }
    })
    await add(log, ...events)
  }

  beforeEach(async () => {
    await database.updateCollection({ ...NOTE, indexes: [{ path: 'name', unique: true }] })
  })

  it('are the values that several documents have', async () => {
    await notes.create([bytesOf({ _id: 'a', name: 'x' }), bytesOf({ _id: 'b', name: 'y' }), bytesOf({ _id: 'c' })])
    await addNotes({ _id: 'd', name: 'x' }, { _id: 'e' }, { _id: 'f', name: 'z' }, { _id: 'g', name: null })
    await addNotes({ _id: 'h', name: null }, { _id: 'i', name: 'z' })
    const { conflicts, next } = await database.conflicts('Note', 'name')
    expect(pairs(conflicts)).toEqual([
      [null, ['g', 'h']],
      ['x', ['a', 'd']],
      ['z', ['f', 'i']],
    ])
    expect(next).toBeUndefined()
    await notes.delete(['a'])
    await notes.save([bytesOf({ ...noteOf(await notes.findById('i')), name: 'other' })])
    expect(pairs((await database.conflicts('Note', 'name')).conflicts)).toEqual([[null, ['g', 'h']]])
  })

  it('are listed page by page', async () => {
    for (let copy = 0; copy < 2; copy++) {
      await addNotes(...['x', 'y', 'z'].map((name) => ({ _id: `${name}${copy}`, name })), {
        _id: `only${copy}`,
        name: copy,
      })
    }
    const first = await database.conflicts('Note', 'name', { limit: 2 })
    expect(pairs(first.conflicts).map(([value]) => value)).toEqual(['x', 'y'])
    const { next } = first
    if (next === undefined) throw new Error('there is no second page')
    const second = await database.conflicts('Note', 'name', { limit: 2, after: next })
    expect(pairs(second.conflicts)).toEqual([['z', ['z0', 'z1']]])
    expect(second.next).toBeUndefined()
  })

  it('come on pages of bounded size, without values that are too long', async () => {
    const name = (n: number, length = 60_000): string => `${n}`.padEnd(length, '-')
    for (let n = 10; n < 50; n++) await addNotes(...['a', 'b'].map((id) => ({ _id: `${id}${n}`, name: name(n) })))
    await addNotes(...['a', 'b'].map((id) => ({ _id: id, name: name(9, 70_000) })))
    const first = await database.conflicts('Note', 'name')
    expect(first.conflicts).toHaveLength(18)
    const all = [...first.conflicts]
    for (let { next } = first; next !== undefined; ) {
      const page = await database.conflicts('Note', 'name', { after: next })
      all.push(...page.conflicts)
      next = page.next
    }
    expect(all).toHaveLength(41)
    expect(all.at(-1)).toEqual({ value: '', ids: ['a', 'b'] })
  })

  it('tell apart long values that begin alike', async () => {
    const long = 'n'.repeat(600)
    await addNotes({ _id: 'a', name: `${long}1` }, { _id: 'b', name: `${long}2` }, { _id: 'c', name: `${long}1` })
    const { conflicts } = await database.conflicts('Note', 'name')
    expect(pairs(conflicts)).toEqual([[`${long}1`, ['a', 'c']]])
  })

  it('show the caller what he may see', async () => {
    await database.updateCollection({
      ...NOTE,
      indexes: [{ path: 'name', unique: true }],
      readFilter:
        "if (instance._id === 'b') return null; if (instance.name === 'y') instance.name = 'hidden'; return instance",
    })
    await addNotes({ _id: 'a', name: 'x' }, { _id: 'b', name: 'x' }, { _id: 'c', name: 'y' }, { _id: 'd', name: 'y' })
    expect(pairs((await database.conflicts('Note', 'name')).conflicts)).toEqual([['hidden', ['c', 'd']]])
  })

  it('are those of a collection and a unique index that are there', async () => {
    await expect(database.conflicts('None', 'name')).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' })
    await expect(database.conflicts('Note', '_id')).rejects.toMatchObject({ code: 'INVALID_INDEX' })
    await database.updateCollection({ ...NOTE, indexes: [{ path: 'name' }] })
    await expect(database.conflicts('Note', 'name')).rejects.toMatchObject({ code: 'INVALID_INDEX' })
  })
})

it('a log whose writer this host is goes on too', async () => {
  await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
  const log = await newLog()
  const writer = identityOf(log.key.publicKey)
  sandbox.failOn((request) => request.writer === writer)
  await add(log, creation('a'))
  await database.skip(log.id, await waitingRecord())
  await notes.create([bytesOf({ _id: 'own' })])
  expect(await idsOf(notes)).toEqual(['own'])
})
