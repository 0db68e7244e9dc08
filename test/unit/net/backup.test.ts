/** Backups of whole hosts, and hosts made of them. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Database } from '../../../src/db/index.ts'
import type { BackupFrame, BackupOptions } from '../../../src/net/index.ts'
import { BackupCheck } from '../../../src/net/index.ts'
import { decodeLogRow, decodeThreadRow } from '../../../src/net/rows.ts'
import { toHex } from '../../../src/core/bytes.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { framesOf, openStory, recordsIn, restored } from '../../support/backups.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, joinNotes, newNotes } from '../../support/notes.ts'
import { Backups } from '../../../src/net/backup.ts'
import { openTestStore } from '../../support/host-store.ts'
import { openCore } from '../../support/net-core.ts'

const SOON = { timeout: 20_000 }

let host: TestHost
let peer: TestHost
let database: Database
let frames: BackupFrame[]

beforeAll(async () => {
  host = await startHost()
  peer = await startHost()
  database = (await openStory(host, peer)).database
  frames = await backup()
}, 60_000)

afterAll(async () => {
  await host[Symbol.asyncDispose]()
  await peer[Symbol.asyncDispose]()
})

function backup(options: BackupOptions = {}): Promise<BackupFrame[]> {
  return Array.fromAsync(host.net.backup(options))
}

describe('a backup', () => {
  it('holds no private key, and nobody as the writer of a log', () => {
    const logs = framesOf(frames, 'log').map(({ row }) => decodeLogRow(1, row))
    expect(logs.map(({ privateKey }) => privateKey)).toEqual(logs.map(() => undefined))
    const own = logs.filter(({ managed }) => managed)
    expect(own.length).toBeGreaterThan(0)
    expect(own.every(({ retired }) => retired)).toBe(true)
    const [thread] = framesOf(frames, 'thread').map(({ row }) => decodeThreadRow(1, row))
    expect(thread?.writers.size).toBe(0)
    expect(thread?.key.read).toBeInstanceOf(Uint8Array)
  })

  it('vouches for the heads of own logs, as nothing follows them', async () => {
    await using alone = await startHost({ net: { pull: false } })
    await newNotes(alone, [{ _id: 'only' }])
    const [log] = framesOf(await Array.fromAsync(alone.net.backup()), 'log').map(({ row }) => decodeLogRow(1, row))
    expect(log).toMatchObject({ head: { counter: 1 }, attestation: expect.any(Uint8Array) })
  })

  it('says at its end what it holds', () => {
    const [end] = framesOf(frames, 'end')
    const records = framesOf(frames, 'records').flatMap((each) => each.records)
    expect(end).toMatchObject({
      threads: 1n,
      records: BigInt(records.length),
      logs: BigInt(framesOf(frames, 'log').length),
    })
  })

  it('of one thread has no other', async () => {
    const other = await newNotes(host, [{ _id: 'other' }])
    const all = await backup()
    expect(framesOf(all, 'thread')).toHaveLength(2)
    const one = await backup({ thread: other.database.id })
    expect(framesOf(one, 'thread')).toHaveLength(1)
    expect(framesOf(one, 'records').flatMap(({ records }) => records)).toHaveLength(1)
    expect(framesOf(one, 'peer')).toEqual([])
    await host.databases.delete(other.database.id)
    await expect(backup({ thread: newThreadId('raw', randomBytes) })).rejects.toMatchObject({
      code: 'THREAD_NOT_FOUND',
    })
  })

  it('has what was acknowledged before it began, and nothing after', async () => {
    const notes = database.collection('Note')
    await notes.create([bytesOf({ _id: 'before' })])
    const taking = host.net.backup()[Symbol.asyncIterator]()
    const first = await taking.next()
    await notes.create([bytesOf({ _id: 'after' })])
    const all: BackupFrame[] = first.done === true ? [] : [first.value]
    for (let next = await taking.next(); next.done !== true; next = await taking.next()) all.push(next.value)
    await using copy = await startHost({ backend: await restored(all), net: { pull: false } })
    const copied = await served(copy)
    expect(await copied.collection('Note').has(['before'])).toBe(true)
    expect(await copied.collection('Note').has(['after'])).toBe(false)
    await notes.delete(['before', 'after'])
  })

  it('leaves out what the caller has', async () => {
    const known = framesOf(await backup(), 'log').flatMap(({ chain }) => chain ?? [])
    const notes = database.collection('Note')
    for (let i = 0; i < 3; i++) await notes.save([bytesOf({ _id: 'n5', name: `step${i}` })])
    const next = await backup({ known })
    expect(framesOf(next, 'records').flatMap(({ records }) => records)).toHaveLength(3)
    const check = new BackupCheck(known)
    for (const frame of next) check.take(frame)
    expect(check.ended).toBe(true)
  })

  it('sends a chain whole whose head is another one now', async () => {
    const known = framesOf(frames, 'log').flatMap(({ chain }) => chain ?? [])
    const whole = known.map((chain) => ({ ...chain, head: chain.head.toReversed() }))
    const counts = framesOf(await backup({ known: whole }), 'log').map(({ after, chain }) => after === chain?.base)
    expect(counts.every(Boolean)).toBe(true)
    const longer = known.map((chain) => ({ ...chain, counter: chain.counter + 1_000n }))
    for (const { after, chain } of framesOf(await backup({ known: longer }), 'log')) expect(after).toBe(chain?.base)
  })

  it('in several parts is refused without the earlier ones', async () => {
    const known = framesOf(frames, 'log').flatMap(({ chain }) => chain ?? [])
    await expect(restored(await backup({ known }))).rejects.toMatchObject({
      code: 'INVALID_BACKUP',
      message: expect.stringContaining('are missing'),
    })
  })
})

/** The database of a host once its documents are made. */
async function served(copy: TestHost, id: Database['id'] = database.id): Promise<Database> {
  return vi.waitFor(async () => {
    const copied = await copy.databases.get(id)
    await copied.collection('Note').find({})
    return copied
  }, SOON)
}

describe('a host made of a backup', () => {
  it('shows the same documents, refusals and forks', async () => {
    await using copy = await startHost({ backend: await restored(await backup()), net: { pull: false } })
    const copied = await served(copy)
    const notes = database.collection('Note')
    expect(await found(copied.collection('Note'))).toEqual(await found(notes))
    expect(await copied.listCollections()).toEqual(await database.listCollections())
    const reasons = (await database.refusals()).map(({ code, reason }) => [code, reason])
    expect(reasons.length).toBeGreaterThan(0)
    expect((await copied.refusals()).map(({ code, reason }) => [code, reason])).toEqual(reasons)
    expect(copy.net.forkedLogs()).toEqual(host.net.forkedLogs())
  })

  it('writes a new log, and never the one of the host it comes from', async () => {
    const before = await backup()
    const own = framesOf(before, 'log')
      .map(({ row }) => decodeLogRow(1, row))
      .find(({ managed }) => managed)
    await using copy = await startHost({ backend: await restored(before), net: { pull: false } })
    const copied = await served(copy)
    await copied.collection('Note').create([bytesOf({ _id: 'of the copy' })])
    const { logs } = await copy.net.getThread(database.id)
    expect(logs.find(({ id }) => id === own?.id)?.head.counter).toBe(own?.head.counter)
    const written = logs.filter(({ privateKey }) => privateKey !== undefined)
    expect(written).toMatchObject([{ head: { counter: 1 } }])
    expect(written[0]?.id).not.toBe(own?.id)
  })

  it('gets from its peers what came later, and they get what it writes', async () => {
    const [a, b] = [await startHost(), await startHost()]
    const first = await newNotes(a, [{ _id: 'old' }])
    const second = await joinNotes(b, first.database)
    await second.notes.create([bytesOf({ _id: 'of the peer' })])
    await expect.poll(() => first.notes.has(['of the peer']), SOON).toBe(true)
    const taken = await Array.fromAsync(a.net.backup())
    await first.notes.create([bytesOf({ _id: 'after the backup' })])
    await expect.poll(() => second.notes.has(['after the backup']), SOON).toBe(true)
    await a[Symbol.asyncDispose]()
    const copy = await startHost({ backend: await restored(taken) })
    const copied = await served(copy, first.database.id)
    const notes = copied.collection('Note')
    await notes.create([bytesOf({ _id: 'of the copy' })])
    await expect.poll(() => notes.has(['after the backup']), SOON).toBe(true)
    await expect.poll(() => second.notes.has(['of the copy']), SOON).toBe(true)
    expect(await found(notes)).toEqual(await found(second.notes))
    for (const each of [copy, b]) expect(each.net.forkedLogs()).toEqual([])
    await copy[Symbol.asyncDispose]()
    await b[Symbol.asyncDispose]()
  })

  it('and the host it comes from, which goes on, write side by side', async () => {
    const [a, b] = [await startHost(), await startHost()]
    const first = await newNotes(a, [{ _id: 'old' }])
    const second = await joinNotes(b, first.database)
    await expect.poll(() => b.net.getThread(first.database.id), SOON).toMatchObject({ logs: [{}, {}] })
    const copy = await startHost({ backend: await restored(a.net.backup()) })
    const notes = (await served(copy, first.database.id)).collection('Note')
    for (let i = 0; i < 5; i++) {
      await first.notes.create([bytesOf({ _id: `of the old host ${i}` })])
      await notes.create([bytesOf({ _id: `of the copy ${i}` })])
    }
    for (const each of [first.notes, second.notes, notes]) {
      await expect.poll(async () => (await found(each)).length, SOON).toBe(11)
    }
    for (const each of [a, b, copy]) expect(each.net.forkedLogs()).toEqual([])
    for (const each of [a, b, copy]) await each[Symbol.asyncDispose]()
  })

  it('takes no log with a key that was used before, as the log may be longer elsewhere', async () => {
    await using alone = await startHost({ net: { pull: false } })
    const id = newThreadId('raw', randomBytes)
    const logKey = generateKey(randomBytes)
    await alone.net.createThread(id, { logKey })
    await alone.net.createRecord(id, new Uint8Array([0x60]))
    await using copy = await startHost({ backend: await restored(alone.net.backup()), net: { pull: false } })
    await expect(copy.net.createThread(id, { logKey })).rejects.toMatchObject({ code: 'LOG_EXISTS' })
    await copy.net.createRecord(id, new Uint8Array([0x60]))
    expect((await copy.net.getThread(id)).logs.map(({ head }) => head.counter)).toEqual([1, 1])
  })

  it('follows a thread of which it has the service key only', async () => {
    await using follower = await startHost()
    const [address] = (await database.info()).addresses
    if (address === undefined) throw new Error('the host has no address')
    const { service } = (await database.info()).key
    await follower.net.addThread(address, { key: { service } })
    const records = async (net: TestHost['net']) =>
      (await net.getThread(database.id)).logs.map(({ head }) => head.counter)
    await expect.poll(() => records(follower.net), SOON).toEqual(await records(host.net))
    const backend = await restored(follower.net.backup())
    await using copy = await startHost({ backend, net: { pull: false } })
    expect(await records(copy.net)).toEqual(await records(follower.net))
    const { key } = await copy.net.getThread(database.id)
    expect([toHex(key.service), key.read]).toEqual([toHex(service), undefined])
  })

  it('made of a copy is backed up as the first one was', async () => {
    const first = await restored(await backup())
    await using copy = await startHost({ backend: first, net: { pull: false } })
    const again = await restored(copy.net.backup())
    const rows = await recordsIn(again)
    for (const [key, value] of await recordsIn(first)) if (/^(72|63)/.test(key)) expect(rows.get(key)).toBe(value)
  })
})

describe('limits', () => {
  it('two backups go on at once, a third is refused', async () => {
    const running = [host.net.backup(), host.net.backup()].map((each) => each[Symbol.asyncIterator]())
    for (const each of running) await each.next()
    await expect(backup()).rejects.toMatchObject({ code: 'STORE_BUSY' })
    for (const each of running) await each.return?.()
    expect((await backup()).length).toBeGreaterThan(0)
  })

  it('a backup of which nothing is taken for five minutes is ended, and leaves its place to others', async () => {
    const { store, membership } = await openCore()
    await membership.create(newThreadId('raw', randomBytes), {})
    const clock = new FakeClock()
    const backups = new Backups({ store, clock })
    const taking = backups.take({})
    await taking.next()
    await backups.take({}).next()
    clock.advance(5 * 60_000)
    await vi.waitFor(async () => expect((await Array.fromAsync(backups.take({}))).at(-1)?.$case).toBe('end'))
    await expect(taking.next()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(clock.pendingTimers).toBe(0)
  })

  it('with relaxed durability it waits until all in it survives a power loss', async () => {
    const { host: store, clock } = await openTestStore({ durability: 'relaxed' })
    const put = { type: 'put', key: new Uint8Array([0x68, 1]), value: new Uint8Array(1) } as const
    await store.committer.submit({ thread: 0, heads: [], changes: [], operations: () => [put] })
    expect(store.journal.lastSeq).toBe(0)
    let begun = false
    const first = new Backups({ store, clock })
      .take({})
      .next()
      .then((next) => {
        begun = true
        return next
      })
    await new Promise((resolve) => setImmediate(resolve))
    expect(begun).toBe(false)
    clock.advance(1_000)
    expect((await first).value).toMatchObject({ $case: 'begin', value: { seq: 1n } })
  })
})
