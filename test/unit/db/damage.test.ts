/** What databases do when something stored is not what was written. */
import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { equalBytes } from '../../../src/core/bytes.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { decodeLogRow, encodeLogRow, logRowKey, recordRowKey } from '../../../src/net/rows.ts'
import type { Database } from '../../../src/db/index.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { freePorts } from '../../support/daemon.ts'
import { startHost, type TestHost, type TestHostOptions } from '../../support/host.ts'
import { bytesOf, found, idsOf, joinNotes, newNotes } from '../../support/notes.ts'

/** Longer than a peer waits before it tries again. */
const WAIT = { timeout: 15_000 }

interface Damaged {
  readonly backend: FaultyStore
  readonly options: TestHostOptions
  readonly host: TestHost
}

async function newHost(): Promise<Damaged> {
  const backend = new FaultyStore(await openMemoryStore())
  const [port = 0] = await freePorts(1)
  const options = { backend, port, privateKey: generateKey(randomBytes), net: { pull: false } }
  return { backend, options, host: await startHost(options) }
}

/** Changes a byte of a record of the host's own log in thread 1. */
async function spoil({ backend }: Damaged, counter: number): Promise<void> {
  const key = recordRowKey(1, 1, counter)
  const row = (await backend.get(key))?.slice()
  if (row === undefined) throw new Error('there is such a record')
  row[row.length - 5] = (row[row.length - 5] ?? 0) ^ 1
  await backend.batch([{ type: 'put', key, value: row }], { sync: true })
}

/** The place among the batches of the one with a record of the host's own log in thread 1. */
function batchOf({ backend }: Damaged, counter: number): number {
  const wanted = recordRowKey(1, 1, counter)
  return backend.batches.findIndex(({ operations }) => operations.some(({ key }) => equalBytes(key, wanted)))
}

async function codeOf(call: () => Promise<unknown>): Promise<unknown> {
  return call().then(
    () => 'answered',
    (error: { code: unknown }) => error.code,
  )
}

const REFUSAL = { code: 'STORE_CORRUPT', hint: expect.stringMatching(/threadsd verify -repo \S+ -repair/) }

describe('a record that is not what was stored', () => {
  it('is not folded again: its database refuses and says what helps, others go on', async () => {
    const made = await newHost()
    onTestFinished(() => made.host[Symbol.asyncDispose]())
    const { database, notes } = await newNotes(made.host)
    const other = await newNotes(made.host, [{ _id: 'other' }])
    for (let i = 0; i < 5; i++) await notes.save([bytesOf({ _id: 'n', at: i })])
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(made.host, database)
    await spoil(made, 3)
    // Late: what came after is folded again.
    const late = log.record([{ type: 'save', id: 'n', patch: '{"_id": "n"}', atMs: Date.now() - 60_000 }])
    await made.host.net.addRecord(database.id, log.id, late)
    await expect.poll(() => codeOf(() => database.refusals())).toBe('STORE_CORRUPT')
    expect(() => database.collection('Note')).toThrow(expect.objectContaining(REFUSAL))
    await expect(notes.create([bytesOf({})])).rejects.toMatchObject(REFUSAL)
    await other.notes.create([bytesOf({ _id: 'more' })])
    expect(await idsOf(other.notes)).toEqual(['more', 'other'])
  })

  it('that waited to be folded keeps its database from answering, not from being there', async () => {
    const made = await newHost()
    const { database, notes } = await newNotes(made.host)
    for (let i = 0; i < 5; i++) await notes.create([bytesOf({ _id: `n${i}` })])
    await made.host[Symbol.asyncDispose]()
    await made.backend.open()
    await spoil(made, 3)
    const row = await made.backend.get(logRowKey(1, 1))
    if (row === undefined) throw new Error('there is a log')
    const log = decodeLogRow(1, row)
    const value = encodeLogRow({ ...log, cursor: { ...log.cursor, counter: 1 } })
    await made.backend.batch([{ type: 'put', key: logRowKey(1, 1), value }], { sync: true })
    await made.backend.close()
    const host = await startHost(made.options)
    onTestFinished(() => host[Symbol.asyncDispose]())
    const again = await host.databases.get(database.id)
    await expect(again.refusals()).rejects.toMatchObject(REFUSAL)
  })

  it('is not served to peers, nor what comes after it; what is before it is', async () => {
    const made = await newHost()
    onTestFinished(() => made.host[Symbol.asyncDispose]())
    const { database, notes } = await newNotes(made.host)
    for (let i = 0; i < 5; i++) await notes.create([bytesOf({ _id: `n${i}` })])
    await spoil(made, 3)
    await using peer = await startHost({ net: { pull: false } })
    const joined = await joinNotes(peer, database)
    expect(await idsOf(joined.notes)).toEqual(['n0', 'n1'])
    await expect(database.refusals()).rejects.toMatchObject(REFUSAL)
  })
})

describe('commits that are found missing after a failed write', () => {
  it('are mended before the database answers again, without a restart', async () => {
    const made = await newHost()
    onTestFinished(() => made.host[Symbol.asyncDispose]())
    const { database, notes } = await newNotes(made.host, [], { indexes: [{ path: 'name' }] })
    for (let i = 0; i < 6; i++) await notes.save([bytesOf({ _id: 'n', at: i })])
    const updates = database.listen()[Symbol.asyncIterator]()
    const ended = updates.next().then(
      () => 'told',
      (error: { code: unknown }) => error.code,
    )
    await made.backend.lose([batchOf(made, 3)])
    made.backend.failBatch(1, { stored: false })
    await expect(notes.create([bytesOf({})])).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect.poll(() => made.host.store.committer.state).toBe('open')
    await expect.poll(() => codeOf(() => database.refusals()), WAIT).toBe('answered')
    // What the lost record brought is gone, with all that came after it.
    expect(await found(notes)).toEqual([{ _id: 'n', at: 1 }])
    expect(await ended).toBe('UPDATES_LOST')
    await notes.save([bytesOf({ _id: 'n', at: 'again' })])
    expect(await found(notes)).toEqual([{ _id: 'n', at: 'again' }])
    expect(await logsWithRecords(database, made.host)).toBe(2)
  })
})

describe('commits that a crash lost', () => {
  it('take nothing with them that a peer has, and leave no document that its records do not make', async () => {
    const made = await newHost()
    const { database, notes } = await newNotes(made.host, [], { indexes: [{ path: 'name' }] })
    await using peer = await startHost({ net: { pullIntervalMs: 100 } })
    const theirs = await joinNotes(peer, database, { indexes: [{ path: 'name' }] })
    for (let i = 0; i < 8; i++) await notes.create([bytesOf({ _id: `n${i}`, name: 'first' })])
    for (let i = 0; i < 8; i++) await notes.save([bytesOf({ _id: `n${i}`, name: 'again' })])
    await expect.poll(async () => (await found(theirs.notes)).filter(({ name }) => name === 'again')).toHaveLength(8)
    const before = await found(theirs.notes)

    const lost = [3, 9].map((counter) => batchOf(made, counter))
    expect(new Set(lost).size).toBe(2)
    await made.backend.lose(lost)
    // A crash: the mark of a clean shutdown is not written.
    made.backend.failBatch(1, { stored: false })
    await made.host[Symbol.asyncDispose]().then(undefined, () => {})
    const host = await startHost(made.options)
    onTestFinished(() => host[Symbol.asyncDispose]())

    const again = await host.databases.get(database.id)
    await expect.poll(() => codeOf(() => again.refusals())).toBe('answered')
    // The log is cut: nothing of what came after is left, and what is new goes to another log.
    await again.collection('Note').create([bytesOf({ _id: 'new' })])
    const all = [...before, { _id: 'new' }].toSorted((a, b) => String(a._id).localeCompare(String(b._id)))
    await expect
      .poll(async () => {
        await host.net.pullThread(database.id)
        return found(again.collection('Note'))
      }, WAIT)
      .toEqual(all)
    await expect.poll(() => found(theirs.notes), WAIT).toEqual(all)
    expect(await logsWithRecords(again, host)).toBe(2)
  })
})

async function logsWithRecords({ id }: Database, { net }: TestHost): Promise<number> {
  return (await net.getThread(id)).logs.filter(({ head }) => head.counter > 0).length
}
