import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { encode } from 'cborg'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { systemClock } from '../../../src/core/clock.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { FOLD_VERSION } from '../../../src/store/format.ts'
import { type HostStore, type HostStoreOptions, openHostStore } from '../../../src/store/host-store.ts'
import { rowKey, rowRange } from '../../../src/store/key-codec.ts'
import { openLevelStore } from '../../../src/store/level-store.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { KeyRange, OrderedStore } from '../../../src/store/ordered-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { instanceKey, openTestStore, putBatch, takeCommits } from '../../support/host-store.ts'

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-host-'))
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

function openOn(options: Partial<HostStoreOptions>): Promise<HostStore> {
  return openHostStore({
    clock: systemClock,
    random: (length) => crypto.getRandomValues(new Uint8Array(length)),
    logger: silentLogger,
    ...options,
  })
}

async function rowsIn(store: Pick<OrderedStore, 'entries'>, range: KeyRange): Promise<number> {
  let rows = 0
  for await (const _ of store.entries(range)) rows++
  return rows
}

/** A store whose version row says what is given. */
async function storeWithStamp(row: unknown): Promise<FaultyStore> {
  const memory = await openMemoryStore()
  await memory.batch([{ type: 'put', key: rowKey('s'), value: encode(row) }], { sync: true })
  return new FaultyStore(memory)
}

describe('openHostStore', () => {
  it('keeps id and rows over a restart, and knows that it was closed', async () => {
    const location = join(root, 'restart')
    const first = await openOn({ location })
    expect(first.cleanlyClosed).toBe(true)
    expect(first.id.length).toBe(16)
    await first.committer.submit(putBatch(1, 'rex'))
    await first.close()
    const second = await openOn({ location })
    expect(second).toMatchObject({ cleanlyClosed: true, id: first.id })
    expect(await second.reads.get(instanceKey(1, 'rex'))).toBeDefined()
    expect(second.journal.lastSeq).toBe(1)
    await second.close()
  })

  it('gives every store an id of its own', async () => {
    const stores = await Promise.all([openOn({}), openOn({})])
    expect(stores[0]?.id).not.toEqual(stores[1]?.id)
    await Promise.all(stores.map((store) => store.close()))
  })

  it('lets go of the directory when it refuses it', async () => {
    const location = join(root, 'newer')
    const level = await openLevelStore({ location })
    const stamp = { format: 2, fold: 1, id: new Uint8Array(16), clean: true }
    await level.batch([{ type: 'put', key: rowKey('s'), value: encode(stamp) }], { sync: true })
    await level.close()
    const refusal = { code: 'STORE_VERSION', message: expect.stringContaining(`${location} was written by a newer`) }
    await expect(openOn({ location })).rejects.toMatchObject(refusal)
    await expect(openOn({ location })).rejects.toMatchObject({ code: 'STORE_VERSION' })
  })

  it.each([
    ['a newer format', { format: 2, fold: 1, id: new Uint8Array(16) }, 'STORE_VERSION'],
    ['a newer fold', { format: 1, fold: FOLD_VERSION + 1, id: new Uint8Array(16) }, 'STORE_VERSION'],
    ['no format', { fold: 1, id: new Uint8Array(16) }, 'STORE_CORRUPT'],
    ['a short id', { format: 1, fold: 1, id: new Uint8Array(3) }, 'STORE_CORRUPT'],
    ['no map', 7, 'STORE_CORRUPT'],
  ])('refuses a store with %s', async (_, stamp, code) => {
    const faulty = await storeWithStamp(stamp)
    await expect(openOn({ open: faulty.open })).rejects.toMatchObject({ code })
  })

  it('refuses rows that are not its own', async () => {
    const memory = await openMemoryStore()
    await memory.batch([{ type: 'put', key: rowKey('t', 1), value: new Uint8Array() }], { sync: true })
    const { open } = new FaultyStore(memory)
    await expect(openOn({ open })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('keeps every acknowledged write of a process that was killed', async () => {
    const location = join(root, 'killed')
    const writer = fork(join(import.meta.dirname, '../../support/write-until-killed.ts'), [location])
    let acknowledged = 0
    writer.on('message', (seq) => {
      acknowledged = Number(seq)
      if (acknowledged >= 500) writer.kill('SIGKILL')
    })
    await once(writer, 'exit')
    const host = await openOn({ location })
    onTestFinished(() => host.close())
    expect(acknowledged).toBeGreaterThanOrEqual(500)
    expect(host).toMatchObject({ cleanlyClosed: false, damage: undefined })
    expect(host.journal.lastSeq).toBeGreaterThanOrEqual(acknowledged)
    const commits = await takeCommits(host.journal.subscribe({ after: 0 }), host.journal.lastSeq)
    const ids = commits.flatMap(({ changes }) => changes.map(({ id }) => id))
    const values = await host.reads.getMany(ids.map((id) => instanceKey(1, id)))
    expect(values.length).toBe(host.journal.lastSeq)
    expect(values.every((value) => value !== undefined)).toBe(true)
  })
})

describe('deleteRange', () => {
  it('deletes the range and no neighbour, in chunks', async () => {
    const { host } = await openTestStore()
    onTestFinished(() => host.close())
    const dogs = Array.from({ length: 2500 }, (_, i) => host.committer.submit(putBatch(1, `dog${i}`)))
    await Promise.all([...dogs, host.committer.submit(putBatch(2, 'rex'))])
    const before = host.journal.lastSeq
    await host.deleteRange(rowRange('d', 1))
    expect(await rowsIn(host.reads, rowRange('d'))).toBe(1)
    expect(host.journal.lastSeq).toBe(before + 3)
  })

  it('stops between chunks when its signal aborts', async () => {
    const { host, faulty } = await openTestStore()
    onTestFinished(() => host.close())
    await Promise.all(Array.from({ length: 2500 }, (_, i) => host.committer.submit(putBatch(1, `dog${i}`))))
    const stall = faulty.stallBatch(1)
    const control = new AbortController()
    const deleted = host.deleteRange(rowRange('d', 1), control.signal)
    await stall.reached
    control.abort(new Error('enough'))
    stall.release()
    await expect(deleted).rejects.toThrow('enough')
    expect(await rowsIn(host.reads, rowRange('d'))).toBe(1500)
  })
})

describe('a nearly full disk', () => {
  it('refuses writes before they are queued, but not reads and deletions', async () => {
    const clock = new FakeClock()
    const location = join(root, 'full')
    const full = await openOn({ location, clock, minFreeBytes: Number.MAX_SAFE_INTEGER })
    onTestFinished(() => full.close())
    const refused = putBatch(1, 'rex')
    await expect(full.committer.submit(refused)).rejects.toMatchObject({ code: 'NO_SPACE' })
    expect(await full.committer.view(1).get(instanceKey(1, 'rex'))).toBeUndefined()
    await full.committer.submit(refused, { frees: true })
    expect(await full.reads.get(instanceKey(1, 'rex'))).toBeDefined()
    await full.deleteRange(rowRange('d', 1))
    expect(await full.reads.get(instanceKey(1, 'rex'))).toBeUndefined()
    expect(full.committer.state).toBe('open')
  })
})
