import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { utf8 } from '../../../src/core/bytes.ts'
import { encode } from '../../../src/core/cbor.ts'
import { decodeEvents, type EventData, encodeEvents } from '../../../src/core/events.ts'
import { identityOf } from '../../../src/core/identity.ts'
import type { Collection, Database, Update } from '../../../src/db/index.ts'
import { bytesOf, idsOf, newNotes, NOTE } from '../../support/notes.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultySandbox } from '../../support/faulty-sandbox.ts'
import { type ForeignEvent, ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

let clock: FakeClock
let sandbox: FaultySandbox
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  clock = new FakeClock(Date.UTC(2026, 5, 1))
  sandbox = new FaultySandbox()
  host = await startHost({ clock, sandbox, net: { pull: false } })
  ;({ database, notes } = await newNotes(host))
})
afterEach(() => host[Symbol.asyncDispose]())

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

/** Time of the newest event of a log, in ns. */
async function lastStamp(): Promise<bigint> {
  const { logs } = await host.net.getThread(database.id)
  const own = logs.find((log) => log.privateKey !== undefined)
  if (own?.head.cid === undefined) throw new Error('nothing was written here')
  const { body } = await host.net.getRecord(database.id, own.head.cid)
  return decodeEvents(body ?? new Uint8Array()).at(-1)?.timestamp ?? 0n
}

describe('a record ahead of the clock', () => {
  it('is held with what follows it in its log, and taken when the clock gets there', async () => {
    const [ahead, other] = [await newLog(), await newLog()]
    await add(ahead, creation('before'))
    await add(ahead, creation('early', clock.nowMs() + 11 * MINUTE_MS))
    await add(ahead, creation('after', clock.nowMs()))
    await add(other, creation('other'))
    await notes.create([bytesOf({ _id: 'own' })])
    expect(await idsOf(notes)).toEqual(['before', 'other', 'own'])
    clock.advance(MINUTE_MS - 1)
    await notes.create([bytesOf({ _id: 'own2' })])
    expect(await notes.has(['early'])).toBe(false)
    clock.advance(1)
    await expect.poll(() => notes.has(['early', 'after'])).toBe(true)
    expect(await database.refusals()).toEqual([])
  })

  it('is looked at again within a minute when the clock is set forward', async () => {
    const log = await newLog()
    await add(log, creation('early', clock.nowMs() + 5 * DAY_MS))
    clock.set(clock.nowMs() + 5 * DAY_MS)
    clock.advance(1)
    await expect.poll(() => notes.has(['early'])).toBe(true)
  })

  it('by less than 10 minutes is taken at once, and own records follow it', async () => {
    const log = await newLog()
    const atMs = clock.nowMs() + 9 * MINUTE_MS
    await add(log, creation('early', atMs))
    expect(await notes.has(['early'])).toBe(true)
    await notes.delete(['early'])
    expect(await lastStamp()).toBe(BigInt(atMs) * 1_000_000n + 1n)
    expect(await notes.has(['early'])).toBe(false)
  })

  it('is held over a restart', async () => {
    const log = await newLog()
    await add(log, creation('early', clock.nowMs() + 11 * MINUTE_MS))
    host = await host.restart()
    const again = (await host.databases.get(database.id)).collection('Note')
    expect(await again.has(['early'])).toBe(false)
    clock.advance(MINUTE_MS)
    await expect.poll(() => again.has(['early'])).toBe(true)
  })
})

describe('the clock of this host', () => {
  it('may go back: stamps keep growing, also those of one transaction', async () => {
    await notes.create([bytesOf({ _id: 'a' })])
    const first = await lastStamp()
    clock.set(clock.nowMs() - 60 * MINUTE_MS)
    await notes.create([bytesOf({ _id: 'b' }), bytesOf({ _id: 'c' })])
    expect(await lastStamp()).toBe(first + 2n)
    await notes.save([bytesOf({ _id: 'a', name: 'later' })])
    expect(await lastStamp()).toBe(first + 3n)
  })

  it('a day behind the records stops writes until it is set, not reads', async () => {
    clock.set(clock.nowMs() + 2 * DAY_MS)
    await notes.create([bytesOf({ _id: 'a' })])
    clock.set(clock.nowMs() - DAY_MS - 1)
    await expect(notes.create([bytesOf({ _id: 'b' })])).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    const transaction = await database.writeTransaction('Note')
    await transaction.create([bytesOf({ _id: 'b' })])
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    expect(await idsOf(notes)).toEqual(['a'])
    clock.advance(2)
    await notes.create([bytesOf({ _id: 'b' })])
  })

  it('that was never set stops writes', async () => {
    clock.set(0)
    await expect(notes.create([bytesOf({})])).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
  })
})

describe('while the sandbox is down', () => {
  beforeEach(async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
  })

  it('a log waits with its records, the others go on', async () => {
    const [stuck, healthy] = [await newLog(), await newLog()]
    const writer = identityOf(stuck.key.publicKey)
    sandbox.failOn((request) => request.writer === writer)
    await add(stuck, creation('a'))
    await add(stuck, creation('b'))
    await add(healthy, creation('c'))
    await notes.create([bytesOf({ _id: 'own' })])
    expect(await idsOf(notes)).toEqual(['c', 'own'])
    sandbox.failOn(() => false)
    clock.advance(5_000)
    await expect.poll(() => idsOf(notes)).toEqual(['a', 'b', 'c', 'own'])
    expect(await database.refusals()).toEqual([])
  })

  it('a log does not keep those waiting that wait with it', async () => {
    const [stuck, healthy] = [await newLog(), await newLog()]
    const writer = identityOf(stuck.key.publicKey)
    sandbox.failOn((request) => request.writer === writer)
    const transaction = await database.writeTransaction('Note')
    for (const id of ['a', 'b']) {
      await add(stuck, creation(`stuck-${id}`))
      await add(healthy, creation(id))
    }
    await transaction.close()
    await expect.poll(() => idsOf(notes)).toEqual(['a', 'b'])
  })

  it('a log is tried again every 5 s, and not in between', async () => {
    const log = await newLog()
    const writer = identityOf(log.key.publicKey)
    sandbox.failOn((request) => request.writer === writer)
    for (const id of ['a', 'b', 'c']) await add(log, creation(id))
    expect(sandbox.failures).toBe(1)
    // The end of a transaction takes up all logs that wait.
    const other = await newLog()
    const transaction = await database.writeTransaction('Note')
    await add(other, creation('d'))
    await transaction.close()
    await expect.poll(() => notes.has(['d'])).toBe(true)
    clock.advance(4_999)
    expect(sandbox.failures).toBe(1)
    clock.advance(1)
    await expect.poll(() => sandbox.failures).toBe(2)
  })

  it('writes of this host fail, and leave nothing', async () => {
    sandbox.failOn(() => true)
    await expect(notes.create([bytesOf({ _id: 'n' })])).rejects.toMatchObject({ code: 'SANDBOX_DOWN' })
    await expect(notes.verify([bytesOf({ _id: 'n' })])).rejects.toMatchObject({ code: 'SANDBOX_DOWN' })
    const config = { ...NOTE, name: 'Other' }
    await database.createCollection(config)
    await database.collection('Other').create([bytesOf({ _id: 'o' })])
    const judged = { ...config, writeValidator: 'return true' }
    await expect(database.updateCollection(judged)).rejects.toMatchObject({ code: 'SANDBOX_DOWN' })
    expect((await database.collectionInfo('Other')).writeValidator).toBe('')
    sandbox.failOn(() => false)
    expect(await idsOf(notes)).toEqual([])
    await notes.create([bytesOf({ _id: 'n' })])
  })
})

describe('a refusal', () => {
  it('is gone when an earlier record that arrives late turns the verdict', async () => {
    await database.updateCollection({
      ...NOTE,
      writeValidator: "return event.patch.type === 'create' || Boolean(instance && instance._id) || 'no such note'",
    })
    const [early, late] = [await newLog(), await newLog()]
    const atMs = clock.nowMs()
    const patch = JSON.stringify({ _id: 'n', name: 'saved' })
    await add(late, { type: 'save', id: 'n', patch, atMs })
    expect(await notes.has(['n'])).toBe(false)
    expect(await database.refusals()).toMatchObject([
      {
        logId: late.id,
        counter: 1,
        reason: 'app denied net record body: no such note',
        documents: [{ collection: 'Note', id: 'n' }],
      },
    ])
    const updates: Update[] = []
    const listening = database.listen()[Symbol.asyncIterator]()
    await add(early, creation('n', atMs - 1))
    const { value } = await listening.next()
    updates.push(value)
    expect(updates).toMatchObject([{ kind: 'created', id: 'n' }])
    expect(await idsOf(notes, { ands: [{ path: 'name', operation: 'eq', value: 'saved' }] })).toEqual(['n'])
    expect(await database.refusals()).toEqual([])
  })
})

describe('a record that cannot be taken', () => {
  const event = (changes: Partial<EventData>): EventData => {
    const timestamp = BigInt(clock.nowMs()) * 1_000_000n
    const plain = { id: 'n', type: 'create' as const, patch: utf8('{}'), collection: 'Note', instanceId: 'n' }
    return { ...plain, timestamp, ...changes }
  }
  const body = (changes: Partial<EventData>): Uint8Array => encodeEvents([event({ id: 'good' }), event(changes)])

  it.each<[string, () => Uint8Array, string]>([
    ['holds no events', () => encode({ hello: 'world' }), 'the record does not hold events'],
    ['is no map', () => encode(7), 'the record does not hold events'],
    ['has a text that is no JSON', () => body({ patch: utf8('{') }), 'invalid document or patch'],
    ['has a list for a document', () => body({ patch: utf8('[]') }), 'invalid document or patch'],
    ['has a document of another id', () => body({ patch: utf8('{"_id":"m"}') }), 'invalid document or patch'],
    ['has a number out of range', () => body({ patch: utf8('{"a":1e400}') }), 'invalid document or patch'],
    ['is nested too deep', () => body({ patch: utf8('{"a":'.repeat(65) + '1' + '}'.repeat(65)) }), 'invalid document'],
    ['has an empty id', () => body({ id: '' }), 'instance id'],
    ['has an id of 513 bytes', () => body({ id: 'n'.repeat(513) }), 'instance id'],
    ['has a bad collection name', () => body({ collection: 'two words' }), 'collection name'],
    ['has a time out of range', () => body({ timestamp: 2n ** 63n }), 'timestamp out of range'],
    [
      'has 10,001 events',
      () => encodeEvents(Array.from({ length: 10_001 }, (_, i) => event({ id: `${i}`, patch: utf8('{}') }))),
      'too many events',
    ],
  ])('because it %s has no effect and stops nothing', async (_title, make, reason) => {
    const log = await newLog()
    await add(log, creation('before'))
    await host.net.addRecord(database.id, log.id, log.recordOf(make()))
    await add(log, creation('after'))
    expect(await idsOf(notes)).toEqual(['after', 'before'])
    expect(await database.refusals()).toMatchObject([
      { logId: log.id, counter: 2, reason: expect.stringContaining(reason), documents: [] },
    ])
    await notes.create([bytesOf({ _id: 'own' })])
  })

  it('because the read key does not open it has no effect and stops nothing', async () => {
    const log = await newLog()
    await host.net.addRecord(database.id, log.id, log.recordOf(body({}), randomBytes(32)))
    await add(log, creation('after'))
    expect(await idsOf(notes)).toEqual(['after'])
    expect(await database.refusals()).toMatchObject([
      { counter: 1, reason: "the thread's read key does not open the record" },
    ])
    host = await host.restart()
    expect(await (await host.databases.get(database.id)).refusals()).toHaveLength(1)
  })
})
