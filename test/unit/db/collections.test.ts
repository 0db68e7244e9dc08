import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Collection, CollectionConfig, Database, Query, Update } from '../../../src/db/index.ts'
import { rowRange } from '../../../src/store/key-codec.ts'
import { bytesOf, found, idsOf, newNotes, NOTE, type Note } from '../../support/notes.ts'
import { crashEverywhere } from '../../support/crash.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const SCHEMA = JSON.stringify({
  properties: { _id: { type: 'string' }, name: { type: 'string' }, age: { type: 'number' } },
})
const CONFIG: CollectionConfig = { name: 'Note', schema: SCHEMA }
const refusing = (name: string): string => `return (event.patch.json_patch || {}).name !== '${name}' || 'no ${name}'`

let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  host = await startHost()
  ;({ database, notes } = await newNotes(host, [], CONFIG))
})
afterEach(() => host[Symbol.asyncDispose]())

const create = (...documents: Note[]): Promise<string[]> => notes.create(documents.map(bytesOf))
const byName = (value: string): Query => ({ ands: [{ path: 'name', operation: 'eq', value }], index: 'name' })

async function indexEntries({ store }: TestHost): Promise<number> {
  let count = 0
  for await (const _ of store.reads.entries(rowRange('x'))) count++
  return count
}

describe('updating a collection', () => {
  it('keeps documents that do not fit the new schema, and holds new ones against it', async () => {
    await create({ _id: 'old', name: 'a' })
    const schema = JSON.stringify({ properties: { _id: { type: 'string' } }, required: ['age'] })
    await database.updateCollection({ name: 'Note', schema })
    expect(await found(notes)).toEqual([{ _id: 'old', name: 'a' }])
    await expect(create({ name: 'b' })).rejects.toMatchObject({ code: 'INVALID_INSTANCE' })
    await create({ _id: 'new', age: 1 })
  })

  it('replaces functions and indexes as a whole', async () => {
    await create({ _id: 'n', name: 'a', age: 1 })
    const indexes = [{ path: 'name' }, { path: 'age', unique: true }]
    const readFilter = "instance.name = 'seen'; return instance"
    await database.updateCollection({ ...CONFIG, indexes, readFilter, writeValidator: refusing('x') })
    expect(await found(notes)).toMatchObject([{ name: 'seen' }])
    await expect(create({ name: 'x' })).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    await expect(create({ age: 1 })).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
    await database.updateCollection(CONFIG)
    expect(await database.collectionInfo('Note')).toMatchObject({ indexes: [], writeValidator: '', readFilter: '' })
    await create({ _id: 'o', name: 'x', age: 1 })
    expect(await found(notes)).toMatchObject([{ name: 'a' }, { name: 'x' }])
    expect(await indexEntries(host)).toBe(0)
  })

  it('leaves everything as it was if a part of it is refused', async () => {
    await create({ _id: 'a', name: 'same' }, { _id: 'b', name: 'same' })
    const before = await database.collectionInfo('Note')
    for (const change of [
      { schema: '{"properties":{}}' },
      { writeValidator: '}' },
      { readFilter: '}' },
      { indexes: [{ path: 'age' }, { path: 'nowhere' }] },
      { indexes: [{ path: 'age' }, { path: 'name', unique: true }], writeValidator: refusing('same') },
    ]) {
      await expect(database.updateCollection({ ...CONFIG, ...change })).rejects.toThrow()
    }
    expect(await database.collectionInfo('Note')).toEqual(before)
    expect(await idsOf(notes)).toEqual(['a', 'b'])
    expect(await indexEntries(host)).toBe(0)
  })

  it('needs a collection of that name', async () => {
    await expect(database.updateCollection({ ...CONFIG, name: 'Other' })).rejects.toMatchObject({
      code: 'COLLECTION_NOT_FOUND',
    })
  })

  it('stops waiting for the lock when its caller goes', async () => {
    const open = await database.writeTransaction('Note')
    const caller = new AbortController()
    const { signal } = caller
    const calls = [
      database.updateCollection({ ...CONFIG, readFilter: 'return' }, { signal }),
      database.createCollection({ ...CONFIG, name: 'Other' }, { signal }),
      database.deleteCollection('Note', { signal }),
    ]
    const reason = new Error('the caller is gone')
    caller.abort(reason)
    const refused = { status: 'rejected', reason }
    expect(await Promise.allSettled(calls)).toEqual([refused, refused, refused])
    await open.close()
    expect((await database.listCollections()).map(({ name }) => name)).toEqual(['Note'])
  })
})

describe('the first validator of a collection', () => {
  it('judges what is there, tells listeners, and lists what it refuses', async () => {
    await create({ _id: 'good', name: 'a' })
    await create({ _id: 'bad', name: 'x' })
    await create({ _id: 'with-bad', name: 'a' }, { _id: 'also-bad', name: 'x' })
    const updates: Update[] = []
    const stop = new AbortController()
    const listening = (async () => {
      for await (const update of database.listen([], { signal: stop.signal })) updates.push(update)
    })()
    await database.updateCollection({ ...CONFIG, indexes: [{ path: 'name' }], writeValidator: refusing('x') })
    expect(await idsOf(notes)).toEqual(['good'])
    expect(await idsOf(notes, byName('x'))).toEqual([])
    expect(await indexEntries(host)).toBe(1)
    const refusals = await database.refusals()
    expect(refusals.map(({ counter, reason }) => ({ counter, reason }))).toEqual([
      { counter: 3, reason: 'app denied net record body: no x' },
      { counter: 2, reason: 'app denied net record body: no x' },
    ])
    await expect.poll(() => updates.length).toBe(3)
    expect(updates.map(({ kind, id }) => `${kind} ${id}`).toSorted()).toEqual([
      'deleted also-bad',
      'deleted bad',
      'deleted with-bad',
    ])
    stop.abort()
    await listening
  })

  it('holds over a restart', async () => {
    await create({ _id: 'bad', name: 'x' })
    await database.updateCollection({ ...CONFIG, writeValidator: refusing('x') })
    host = await host.restart()
    database = await host.databases.get(database.id)
    expect(await found(database.collection('Note'))).toEqual([])
    expect(await database.refusals()).toHaveLength(1)
  })
})

describe('a later validator', () => {
  it('holds from now on', async () => {
    await database.updateCollection({ ...CONFIG, writeValidator: refusing('x') })
    await create({ _id: 'early', name: 'y' })
    await database.updateCollection({ ...CONFIG, writeValidator: refusing('y') })
    await expect(create({ name: 'y' })).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    await create({ _id: 'late', name: 'x' })
    await database.updateCollection(CONFIG)
    await create({ _id: 'free', name: 'y' })
    expect(await idsOf(notes)).toEqual(['early', 'free', 'late'])
    expect(await database.refusals()).toEqual([])
  })

  it('leaves records that arrive late to the one of their time', async () => {
    const { key } = await database.info()
    const log = new ForeignLog(key)
    await log.introduce(host, database)
    await database.updateCollection({ ...CONFIG, writeValidator: refusing('x') })
    const early = Date.now() - 60_000
    await database.updateCollection({ ...CONFIG, writeValidator: refusing('y') })
    const patch = (name: string): string => JSON.stringify({ _id: name, name })
    for (const [name, atMs] of [
      ['x', early],
      ['y', early + 1],
      ['x', Date.now() + 1_000],
      ['y', Date.now() + 2_000],
    ] as const) {
      const id = name
      await host.net.addRecord(database.id, log.id, log.record([{ type: 'save', id, patch: patch(name), atMs }]))
    }
    expect(await idsOf(notes)).toEqual(['x', 'y'])
    expect((await database.refusals()).map(({ counter }) => counter)).toEqual([4, 1])
  })
})

describe('deleting a collection', () => {
  it('hides its documents until it is created again', async () => {
    await database.updateCollection({ ...CONFIG, indexes: [{ path: 'name' }] })
    await create({ _id: 'n', name: 'a' })
    await database.deleteCollection('Note')
    await expect(notes.find({})).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' })
    await expect(create({ name: 'b' })).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' })
    expect(() => database.collection('Note')).toThrow('collection not found')
    await expect(database.deleteCollection('Note')).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' })
    expect(await indexEntries(host)).toBe(0)
    await database.createCollection({ ...CONFIG, indexes: [{ path: 'name', unique: true }] })
    expect(await found(notes, byName('a'))).toEqual([{ _id: 'n', name: 'a' }])
    await expect(create({ name: 'a' })).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
  })

  it('waits for transactions, and fails writes that come after it', async () => {
    const transaction = await database.writeTransaction('Note')
    const deletion = database.deleteCollection('Note')
    const write = create({ _id: 'late' })
    await transaction.create([bytesOf({ _id: 'early' })])
    await transaction.commit()
    await deletion
    await expect(write).rejects.toMatchObject({ code: 'COLLECTION_NOT_FOUND' })
    await database.createCollection(CONFIG)
    expect(await idsOf(notes)).toEqual(['early'])
  })
})

describe('an index over documents that are there', () => {
  const DOCUMENTS = 1_100
  const named = Array.from({ length: DOCUMENTS }, (_, i) => ({ _id: `n${i}`, name: `name${i}` }))
  const indexed: CollectionConfig = { ...CONFIG, indexes: [{ path: 'name', unique: true }] }

  it('serves queries and refuses duplicates once it is built', async () => {
    await create(...named)
    await database.updateCollection(indexed)
    expect(await indexEntries(host)).toBe(DOCUMENTS)
    expect(await idsOf(notes, byName('name1099'))).toEqual(['n1099'])
    await expect(create({ name: 'name7' })).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
  })

  it('is refused over equal values, and made once they differ', async () => {
    await create({ _id: 'a', name: 'same' }, { _id: 'b', name: 'same' })
    await expect(database.updateCollection(indexed)).rejects.toMatchObject({
      code: 'INVALID_INDEX',
      message: "can't create unique index (duplicate instances exist)",
    })
    await notes.save([bytesOf({ _id: 'b', name: 'other' })])
    await database.updateCollection(indexed)
  })

  it('is complete after a crash at any point, or was never begun', async () => {
    const writes = await crashEverywhere({
      async prepare(crashing) {
        const there = await newNotes(crashing, named, CONFIG)
        return there.database.id
      },
      act: async ({ databases }, id) => (await databases.get(id)).updateCollection(indexed),
      async check(restarted, id) {
        const again = await restarted.databases.get(id)
        const begun = (await again.collectionInfo('Note')).indexes.length > 0
        expect(await indexEntries(restarted)).toBe(begun ? DOCUMENTS : 0)
        if (!begun) return
        expect(await idsOf(again.collection('Note'), byName('name1050'))).toEqual(['n1050'])
        await expect(again.collection('Note').create([bytesOf({ name: 'name5' })])).rejects.toMatchObject({
          code: 'UNIQUE_VIOLATION',
        })
      },
    })
    expect(writes).toBe(3)
  })

  it('leaves no entries when a crash interrupts its removal', async () => {
    await crashEverywhere({
      async prepare(crashing) {
        const there = await newNotes(crashing, named, { ...indexed, indexes: [{ path: 'name' }, { path: 'age' }] })
        return there.database.id
      },
      act: async ({ databases }, id) =>
        (await databases.get(id)).updateCollection({ ...CONFIG, indexes: [{ path: 'age' }] }),
      async check(restarted, id) {
        const again = await restarted.databases.get(id)
        const { indexes } = await again.collectionInfo('Note')
        expect(await indexEntries(restarted)).toBe(indexes.length * DOCUMENTS)
      },
    })
  })

  it('is made once for each path, the last wish counting', async () => {
    await database.updateCollection({ ...CONFIG, indexes: [{ path: 'name' }, { path: 'name', unique: true }] })
    expect((await database.collectionInfo('Note')).indexes).toEqual([{ path: 'name', unique: true }])
  })

  it('is one of at most 100', async () => {
    const properties = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`m${i}`, { type: 'number' }]))
    const schema = JSON.stringify({ properties: { ...properties, _id: { type: 'string' } } })
    const indexes = Object.keys(properties).map((path) => ({ path }))
    await expect(database.updateCollection({ name: 'Note', schema, indexes })).rejects.toMatchObject({
      code: 'INVALID_INDEX',
    })
    await database.updateCollection({ name: 'Note', schema, indexes: indexes.slice(1) })
  })
})

describe('a collection that is registered after its events arrived', () => {
  it('shows them, judged and indexed', async () => {
    const { key } = await database.info()
    const log = new ForeignLog(key)
    await log.introduce(host, database)
    for (const name of ['a', 'x', 'b']) {
      const patch = JSON.stringify({ _id: name, name })
      const events = [{ type: 'create', collection: 'Later', id: name, patch }] as const
      await host.net.addRecord(database.id, log.id, log.record(events))
    }
    const indexes = [{ path: 'name', unique: true }]
    await database.createCollection({ ...CONFIG, name: 'Later', indexes, writeValidator: refusing('x') })
    const later = database.collection('Later')
    expect(await idsOf(later)).toEqual(['a', 'b'])
    expect(await idsOf(later, byName('b'))).toEqual(['b'])
    await expect(later.create([bytesOf({ name: 'a' })])).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
    expect(await database.refusals()).toMatchObject([{ counter: 2 }])
  })

  it('is refused with a unique index over equal values', async () => {
    const { key } = await database.info()
    const log = new ForeignLog(key)
    await log.introduce(host, database)
    const events = ['a', 'b'].map(
      (id) => ({ type: 'create', collection: 'Later', id, patch: JSON.stringify({ _id: id, name: 'same' }) }) as const,
    )
    await host.net.addRecord(database.id, log.id, log.record(events))
    const config = { ...CONFIG, name: 'Later', indexes: [{ path: 'name', unique: true }] }
    await expect(database.createCollection(config)).rejects.toMatchObject({ code: 'INVALID_INDEX' })
    expect((await database.listCollections()).map(({ name }) => name)).toEqual([NOTE.name])
    await database.createCollection({ ...config, indexes: [] })
  })
})

describe('registering a collection', () => {
  it('twice is refused', async () => {
    await expect(database.createCollection(CONFIG)).rejects.toMatchObject({ code: 'COLLECTION_EXISTS' })
  })

  it('at once takes one of them', async () => {
    const attempts = [1, 2, 3].map(() => database.createCollection({ ...CONFIG, name: 'Other' }))
    const outcomes = await Promise.allSettled(attempts)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
  })
})
