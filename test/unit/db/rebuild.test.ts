import { randomBytes } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { generateKey } from '../../../src/core/keys.ts'
import type { Collection, CollectionConfig, Database } from '../../../src/db/index.ts'
import { decodeThreadRow, encodeThreadRow, threadRowKey } from '../../../src/net/rows.ts'
import { KeyReader, rowKey, rowRange } from '../../../src/store/key-codec.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { FaultyStore, type Stall } from '../../support/faulty-store.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, joinNotes, newNotes, NOTE } from '../../support/notes.ts'

const INDEXED: CollectionConfig = { ...NOTE, indexes: [{ path: 'name' }] }

interface World {
  readonly backend: FaultyStore
  host: TestHost
  database: Database
  notes: Collection
}

/** A host with a database of these notes. */
async function newWorld(config: Partial<CollectionConfig> = INDEXED): Promise<World> {
  const backend = new FaultyStore(await openMemoryStore())
  const host = await startHost({ backend, privateKey: generateKey(randomBytes), net: { pull: false } })
  const made: World = { backend, host, ...(await newNotes(host, [], config)) }
  onTestFinished(() => made.host[Symbol.asyncDispose]())
  return made
}

/** Restarts the host, after the thread row was changed as if the fold were older, or the rows did not fit. */
async function restart(
  world: World,
  change: { stale?: boolean; foldVersion?: number } = {},
  whileDown = () => {},
): Promise<void> {
  world.host = await world.host.restart(async () => {
    const value = await world.backend.get(threadRowKey(1))
    if (value === undefined) throw new Error('there is a thread')
    const row = decodeThreadRow(1, value)
    const { stale = row.stale, foldVersion } = change
    const appData = foldVersion === undefined ? row.appData : { ...(row.appData as object), foldVersion }
    await world.backend.open()
    const changed = encodeThreadRow({ ...row, stale, appData })
    await world.backend.batch([{ type: 'put', key: threadRowKey(1), value: changed }], { sync: true })
    await world.backend.close()
    whileDown()
  })
  world.database = await world.host.databases.get(world.database.id)
}

/** Waits until the database answers. */
async function served(world: World): Promise<void> {
  await expect
    .poll(() =>
      world.database.refusals().then(
        () => 'served',
        (error) => error.code,
      ),
    )
    .toBe('served')
  world.notes = world.database.collection('Note')
}

/** How many rows of a letter there are in each generation. */
async function generations({ backend }: World, letter: 'd' | 'e' | 'x' | 'v'): Promise<Record<number, number>> {
  const counts: Record<number, number> = {}
  for await (const [key] of backend.entries(rowRange(letter))) {
    const parts = new KeyReader(key)
    parts.number()
    const generation = parts.number()
    counts[generation] = (counts[generation] ?? 0) + 1
  }
  return counts
}

async function write(notes: Collection, count: number): Promise<void> {
  const documents = Array.from({ length: count }, (_, i) => ({ _id: `n${i}`, name: `name${i % 7}` }))
  for (let at = 0; at < count; at += 10) await notes.create(documents.slice(at, at + 10).map(bytesOf))
  await notes.save([bytesOf({ _id: 'n1', name: 'again' })])
  await notes.delete(['n2'])
}

const byName = (value: string) => ({ ands: [{ path: 'name', operation: 'eq', value }], index: 'name' }) as const

describe('a database that must be made anew', () => {
  it.each([
    ['as its rows do not fit its records', { stale: true }],
    ['as they were made by an older fold', { foldVersion: 0 }],
  ])('%s: shows the same documents, indexes and histories, in the next generation', async (_title, change) => {
    const made = await newWorld()
    await write(made.notes, 50)
    const before = await found(made.notes)
    const rows = { d: await generations(made, 'd'), e: await generations(made, 'e'), x: await generations(made, 'x') }
    await restart(made, change)
    await served(made)
    expect(await found(made.notes)).toEqual(before)
    expect((await found(made.notes, byName('again'))).map(({ _id }) => _id)).toEqual(['n1'])
    await expect.poll(() => generations(made, 'd')).toEqual({ 2: rows.d[1] })
    await expect.poll(() => generations(made, 'e')).toEqual({ 2: rows.e[1] })
    await expect.poll(() => generations(made, 'x')).toEqual({ 2: rows.x[1] })
    // Once only.
    await restart(made)
    await served(made)
    expect(await generations(made, 'd')).toEqual({ 2: rows.d[1] })
  })

  it('shows what its records say where rows were lost or are wrong', async () => {
    const made = await newWorld()
    await write(made.notes, 30)
    const before = await found(made.notes)
    await made.backend.batch([{ type: 'del', key: rowKey('d', 1, 1, 'Note', 'n5') }], { sync: true })
    expect(await found(made.notes)).not.toEqual(before)
    await restart(made, { stale: true })
    await served(made)
    expect(await found(made.notes)).toEqual(before)
  })

  it('refuses calls until then, and says so in listings; others serve', async () => {
    const made = await newWorld()
    await write(made.notes, 20)
    const other = await newNotes(made.host, [{ _id: 'other' }])
    const stalls: Stall[] = []
    // The first write after the one that says the store is open.
    await restart(made, { stale: true }, () => stalls.push(made.backend.stallBatch(2)))
    onTestFinished(() => stalls[0]?.release())
    const rebuilding = { code: 'DB_REBUILDING', hint: expect.stringContaining('later') }
    expect(() => made.database.collection('Note')).toThrow(expect.objectContaining(rebuilding))
    await expect(made.database.refusals()).rejects.toMatchObject(rebuilding)
    await expect(made.database.createCollection({ ...NOTE, name: 'Other' })).rejects.toMatchObject(rebuilding)
    expect((await made.host.databases.list()).length).toBe(2)
    expect(await made.database.info()).toMatchObject({ id: made.database.id })
    expect(await found((await made.host.databases.get(other.database.id)).collection('Note'))).toEqual([
      { _id: 'other' },
    ])
    stalls[0]?.release()
    await served(made)
  })

  it('loses no record that comes meanwhile', async () => {
    const made = await newWorld()
    await write(made.notes, 20)
    await using peer = await startHost({ net: { pullIntervalMs: 100 } })
    const joined = await joinNotes(peer, made.database)
    const stalls: Stall[] = []
    await restart(made, { stale: true }, () => stalls.push(made.backend.stallBatch(2)))
    await stalls[0]?.reached
    await joined.notes.create([bytesOf({ _id: 'meanwhile' })])
    stalls[0]?.release()
    await served(made)
    await made.host.net.pullThread(made.database.id)
    await expect.poll(async () => (await found(made.notes)).map(({ _id }) => _id)).toContain('meanwhile')
  })

  it('judges all records again', async () => {
    const made = await newWorld({ writeValidator: "return event.patch.json_patch?.name !== 'bad' || 'no'" })
    await made.notes.create([bytesOf({ _id: 'good', name: 'good' })])
    await expect(made.notes.create([bytesOf({ _id: 'bad', name: 'bad' })])).rejects.toThrow()
    await restart(made, { stale: true })
    await served(made)
    expect((await found(made.notes)).map(({ _id }) => _id)).toEqual(['good'])
  })

  it('is the same whatever write a crash cuts it off at, and leaves nothing behind', async () => {
    const made = await newWorld()
    await write(made.notes, 20)
    const before = await found(made.notes)
    // A slice, the switch, and what is cleared: three letters.
    for (let nth = 1; nth <= 5; nth++) {
      let failing = 0
      await restart(made, { stale: true }, () => {
        failing = made.backend.batches.length + nth + 1
        made.backend.failBatch(nth + 1, { stored: nth % 2 === 0 })
      })
      await expect.poll(() => made.backend.batches.length).toBeGreaterThanOrEqual(failing)
      await expect.poll(() => made.host.store.committer.state).toBe('open')
      await restart(made)
      await served(made)
      expect(await found(made.notes), `write ${nth}`).toEqual(before)
      await expect.poll(async () => Object.keys(await generations(made, 'd')).length).toBe(1)
      await expect.poll(async () => Object.values(await generations(made, 'x'))).toEqual([19])
    }
  })
})
