import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import { type Identity, identityOf } from '../../../src/core/identity.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import { newThreadKey } from '../../../src/core/thread-key.ts'
import type { CollectionConfig, Update } from '../../../src/db/index.ts'
import { rowRange } from '../../../src/store/key-codec.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { OrderedStore } from '../../../src/store/ordered-store.ts'
import { bytesOf, found, newNotes, NOTE } from '../../support/notes.ts'
import { crashEverywhere } from '../../support/crash.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const VALIDATOR = "return event.patch.json_patch.name !== 'bad'"
const COLLECTIONS: CollectionConfig[] = [
  { ...NOTE, indexes: [{ path: 'name', unique: true }], writeValidator: VALIDATOR },
  { ...NOTE, name: 'Other', readFilter: 'return instance' },
]

let backend: OrderedStore
let host: TestHost

beforeEach(async () => {
  backend = await openMemoryStore()
  host = await startHost({ backend })
})
afterEach(() => host[Symbol.asyncDispose]())

const newId = (): ThreadId => newThreadId('raw', randomBytes)
const somebody = (): Identity => identityOf(generateKey(randomBytes).publicKey)

async function rows(store: OrderedStore): Promise<number> {
  let count = 0
  for (const letter of ['t', 'l', 'r', 'c', 'd', 'e', 'x', 'v'] as const) {
    for await (const _ of store.entries(rowRange(letter))) count++
  }
  return count
}

describe('creating a database', () => {
  const withoutId = { ...NOTE, schema: '{"properties":{}}' }
  it.each([
    ['a name with spaces', { name: 'two words' }, 'INVALID_NAME'],
    ['a name of 257 characters', { name: 'n'.repeat(257) }, 'INVALID_NAME'],
    ['a key without its read part', { key: { service: randomBytes(32) } }, 'READ_KEY_REQUIRED'],
    ['a collection without _id', { collections: [NOTE, { ...withoutId, name: 'Other' }] }, 'INVALID_SCHEMA'],
    ['a collection with a bad name', { collections: [{ ...NOTE, name: 'a--b' }] }, 'INVALID_NAME'],
    ['a collection with a name too long', { collections: [{ ...NOTE, name: 'n'.repeat(257) }] }, 'INVALID_NAME'],
    ['two collections of one name', { collections: [NOTE, NOTE] }, 'COLLECTION_EXISTS'],
    ['a validator that is no function', { collections: [{ ...NOTE, writeValidator: '}' }] }, 'INVALID_FUNCTION'],
    ['an index outside the schema', { collections: [{ ...NOTE, indexes: [{ path: 'x' }] }] }, 'INVALID_INDEX'],
  ])('with %s leaves nothing behind', async (_title, options, code) => {
    const id = newId()
    await expect(host.databases.create(id, options)).rejects.toMatchObject({ code })
    expect(host.net.listThreads()).toEqual([])
    expect(await rows(backend)).toBe(0)
    await host.databases.create(id)
  })

  it('stores it as a whole: a crash leaves all of it or nothing', async () => {
    const writes = await crashEverywhere({
      prepare: async () => newId(),
      act: ({ databases }, id) => databases.create(id, { name: 'zoo', collections: COLLECTIONS }),
      async check({ databases }, id, done) {
        expect(await databases.list()).toHaveLength(done ? 1 : 0)
        if (!done) await databases.create(id, { name: 'zoo', collections: COLLECTIONS })
        const database = await databases.get(id)
        expect((await database.info()).name).toBe('zoo')
        expect((await database.listCollections()).map(({ name }) => name)).toEqual(['Note', 'Other'])
        await database.collection('Note').create([bytesOf({ name: 'a' })])
      },
    })
    expect(writes).toBe(1)
  })

  it('takes one of two that come at once, whoever they are of', async () => {
    const id = newId()
    const key = newThreadKey(randomBytes)
    const attempts = ['first', 'second', 'third'].map((name) =>
      host.databases.create(id, { name, key, caller: { identity: somebody() }, collections: COLLECTIONS }),
    )
    const outcomes = await Promise.allSettled(attempts)
    const refusals = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason] : []))
    expect(refusals).toMatchObject([{ code: 'DB_EXISTS' }, { code: 'DB_EXISTS' }])
    const [database] = await host.databases.list()
    expect((await database?.info())?.key).toEqual(key)
  })

  it('makes a database of a thread that is here, with its records', async () => {
    const { database, notes } = await newNotes(host, [{ _id: 'n', name: 'a' }])
    const { key } = await database.info()
    const [log] = (await host.net.getThread(database.id)).logs
    if (log?.head.cid === undefined) throw new Error('the log is empty')
    const { blocks } = await host.net.getRecord(database.id, log.head.cid)
    expect(await found(notes)).toHaveLength(1)

    await using other = await startHost()
    const { publicKey, id: logId } = log
    await other.net.createThread(database.id, { key, logKey: publicKey, caller: { identity: somebody() } })
    await other.net.addRecord(database.id, logId, blocks)
    await expect(other.databases.get(database.id)).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    const made = await other.databases.create(database.id, { key, collections: COLLECTIONS })
    const query = { ands: [{ path: 'name', operation: 'eq', value: 'a' }], index: 'name' } as const
    expect(await found(made.collection('Note'), query)).toEqual([{ _id: 'n', name: 'a' }])
    await expect(made.collection('Note').create([bytesOf({ name: 'a' })])).rejects.toMatchObject({
      code: 'UNIQUE_VIOLATION',
    })
  })

  it('that was stored by a write that failed serves once the store is open again', async () => {
    const clock = new FakeClock()
    const faulty = new FaultyStore(await openMemoryStore())
    await using failing = await startHost({ backend: faulty, clock })
    const id = newId()
    faulty.failBatch(1, { stored: true })
    await expect(failing.databases.create(id, { collections: COLLECTIONS })).rejects.toMatchObject({
      code: 'STORE_FAILED',
    })
    await reopened(failing, clock)
    await expect.poll(() => failing.databases.list()).toHaveLength(1)
    const database = await failing.databases.get(id)
    await database.collection('Note').create([bytesOf({ name: 'a' })])
    await expect(failing.databases.create(id)).rejects.toMatchObject({ code: 'DB_EXISTS' })
  })

  it('that was not stored works when it is tried again', async () => {
    const faulty = new FaultyStore(await openMemoryStore())
    await using failing = await startHost({ backend: faulty })
    const id = newId()
    faulty.failBatch(1, { stored: false })
    await expect(failing.databases.create(id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect.poll(() => failing.store.committer.state).toBe('open')
    await failing.databases.create(id, { collections: COLLECTIONS })
    expect(await failing.databases.list()).toHaveLength(1)
  })
})

/** Waits until the store is open again, and lets the databases look what is there. */
async function reopened({ store }: TestHost, clock: FakeClock): Promise<void> {
  await expect.poll(() => store.committer.state).toBe('open')
  clock.advance(1_000)
}

describe('joining a database', () => {
  it('that fails leaves nothing behind', async () => {
    const { database } = await newNotes(host)
    const { addresses, key } = await database.info()
    const [address] = addresses
    if (address === undefined) throw new Error('the host has no address')
    await using other = await startHost()
    const wrong = newThreadKey(randomBytes)
    await expect(other.databases.join(address, { key: wrong })).rejects.toMatchObject({ code: 'PEER_REFUSED' })
    const aborted = AbortSignal.abort(new Error('no more'))
    await expect(other.databases.join(address, { key, signal: aborted })).rejects.toThrow('no more')
    expect(other.net.listThreads()).toEqual([])
    const joined = await other.databases.join(address, { key, collections: [NOTE], block: true })
    expect((await joined.listCollections()).map(({ name }) => name)).toEqual(['Note'])
  })

  it.each([
    ['leaves nothing behind', false],
    ['leaves the thread that was here before, as a database', true],
  ])('whose caller goes while his log is pulled %s', async (_title, wasHere) => {
    const { database, notes } = await newNotes(host)
    await Promise.all(Array.from({ length: 500 }, () => notes.create([bytesOf({ name: 'n'.repeat(1_000) })])))
    const { addresses, key } = await database.info()
    const [address] = addresses
    if (address === undefined) throw new Error('the host has no address')
    await using other = await startHost({ net: { pull: false } })
    if (wasHere) await other.net.createThread(database.id, { key, caller: { identity: somebody() } })
    const caller = new AbortController()
    const logKey = generateKey(randomBytes)
    const joining = other.databases.join(address, { key, logKey, signal: caller.signal, collections: [NOTE] })
    const refused = expect(joining).rejects.toThrow('gone')
    while (!other.net.ownedThreads().some(({ id }) => id === database.id)) {
      await new Promise((resolve) => setImmediate(resolve))
    }
    caller.abort(new Error('gone'))
    await refused
    expect(await other.databases.list()).toEqual([])
    expect(other.net.listThreads()).toHaveLength(wasHere ? 1 : 0)
    if (wasHere) await expect.poll(() => other.databases.list(), { timeout: 5_000 }).toHaveLength(1)
    else await other.databases.join(address, { key, logKey, collections: [NOTE], block: true })
    const joined = (await other.databases.get(database.id)).collection('Note')
    await expect.poll(async () => (await joined.find({})).length, { timeout: 10_000 }).toBe(500)
  })

  it('is refused before anything is dialled if the database is here', async () => {
    const { database } = await newNotes(host)
    const { addresses, key } = await database.info()
    const [address] = addresses
    if (address === undefined) throw new Error('the host has no address')
    await expect(host.databases.join(address, { key })).rejects.toMatchObject({ code: 'DB_EXISTS' })
  })
})

describe('the databases of a host', () => {
  it('are listed in the order of creation, also after a restart', async () => {
    const ids = Array.from({ length: 12 }, newId)
    await Promise.all(ids.map((id) => host.databases.create(id)))
    const listed = async (): Promise<ThreadId[]> => (await host.databases.list()).map(({ id }) => id)
    expect(await listed()).toEqual(ids)
    host = await host.restart()
    expect(await listed()).toEqual(ids)
  })

  it('keep names, collections and validators over a restart', async () => {
    const id = newId()
    const before = await host.databases.create(id, { name: 'zoo', collections: COLLECTIONS })
    await before.collection('Note').create([bytesOf({ _id: 'n', name: 'a' })])
    const collections = await before.listCollections()
    host = await host.restart()
    const database = await host.databases.get(id)
    expect((await database.info()).name).toBe('zoo')
    expect(await database.listCollections()).toEqual(collections)
    const notes = database.collection('Note')
    expect(await found(notes)).toEqual([{ _id: 'n', name: 'a' }])
    await expect(notes.create([bytesOf({ name: 'bad' })])).rejects.toMatchObject({ code: 'WRITE_DENIED' })
    await expect(notes.create([bytesOf({ name: 'a' })])).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
  })

  it('are named unnamed by default', async () => {
    expect((await (await host.databases.create(newId())).info()).name).toBe('unnamed')
    expect((await (await host.databases.create(newId(), { name: '' })).info()).name).toBe('unnamed')
  })

  it('open when one of them cannot be opened', async () => {
    const [broken, healthy] = [newId(), newId()]
    await host.databases.create(broken)
    await host.databases.create(healthy, { collections: COLLECTIONS })
    host = await host.restart(async () => {
      for await (const [key, value] of backend.entries({ ...rowRange('t'), limit: 1 })) {
        await backend.batch([{ type: 'put', key, value: damaged(value) }], { sync: true })
      }
    })
    await (await host.databases.get(healthy)).collection('Note').create([bytesOf({ name: 'a' })])
    await expect(host.databases.get(broken)).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    await expect(host.databases.create(broken)).rejects.toMatchObject({ code: 'DB_EXISTS' })
    await host.net.deleteThread(broken)
    await host.databases.create(broken)
  })

  it('are not those of threads without a database', async () => {
    const id = newId()
    await host.net.createThread(id)
    expect(await host.databases.list()).toEqual([])
    await expect(host.databases.get(id)).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    await expect(host.databases.get(newId())).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
  })
})

/** The row of a thread whose database lacks its members. */
function damaged(row: Uint8Array): Uint8Array {
  return encode({ ...(decode(row) as object), app: { kind: 'db' } })
}

describe('deleting a database', () => {
  it('ends its listeners, without an error', async () => {
    const { database, notes } = await newNotes(host)
    const updates: Update[] = []
    const listening = (async () => {
      for await (const update of database.listen()) updates.push(update)
    })()
    await notes.create([bytesOf({ _id: 'n' })])
    await expect.poll(() => updates.length).toBe(1)
    await host.databases.delete(database.id)
    await listening
    expect(updates).toMatchObject([{ id: 'n', kind: 'created' }])
  })

  it('ends transactions that are open, and those that wait for the lock', async () => {
    const { database } = await newNotes(host)
    const open = await database.writeTransaction('Note')
    const reading = await database.readTransaction('Note')
    const waiting = database.writeTransaction('Note')
    const write = database.collection('Note').create([bytesOf({ _id: 'n' })])
    const outcomes = Promise.allSettled([waiting, write])
    await open.create([bytesOf({ _id: 'm' })])
    await host.databases.delete(database.id)
    expect(open.expired.reason).toMatchObject({ code: 'DB_NOT_FOUND' })
    await expect(open.commit()).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    await expect(reading.find({})).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    const refusal = { status: 'rejected', reason: { code: 'THREAD_NOT_FOUND' } }
    expect(await outcomes).toMatchObject([refusal, refusal])
    await open.close()
    await reading.close()
  })

  it('leaves no rows, and its id free', async () => {
    const before = await rows(backend)
    const { database, notes } = await newNotes(host, [], COLLECTIONS[0])
    await notes.create(Array.from({ length: 50 }, (_, i) => bytesOf({ name: `n${i}` })))
    const writes = Promise.allSettled(Array.from({ length: 20 }, () => notes.create([bytesOf({})])))
    await host.databases.delete(database.id)
    await writes
    expect(await rows(backend)).toBe(before)
    await expect(host.databases.get(database.id)).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
    await expect(notes.find({})).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
    expect(await host.databases.list()).toEqual([])
    const again = await host.databases.create(database.id, { collections: [NOTE] })
    expect(await found(again.collection('Note'))).toEqual([])
  })

  it('at once answers one of the callers', async () => {
    const { database } = await newNotes(host)
    const outcomes = await Promise.allSettled([host.databases.delete(database.id), host.databases.delete(database.id)])
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    expect(outcomes[1]).toMatchObject({ reason: { code: 'DB_NOT_FOUND' } })
  })

  it('that a crash interrupts is finished by the next start, or did not take place', async () => {
    const writes = await crashEverywhere({
      prepare: async (crashing) => (await newNotes(crashing, [{ _id: 'n' }])).database.id,
      act: ({ databases }, id) => databases.delete(id),
      async check({ databases }, id) {
        const [database] = await databases.list()
        if (database !== undefined) {
          expect(await found(database.collection('Note'))).toEqual([{ _id: 'n' }])
          await databases.delete(id)
        }
        const again = await databases.create(id, { collections: [NOTE] })
        expect(await found(again.collection('Note'))).toEqual([])
      },
    })
    expect(writes).toBeGreaterThan(3)
  })

  it('that was not stored leaves a database that serves', async () => {
    const clock = new FakeClock()
    const faulty = new FaultyStore(await openMemoryStore())
    await using failing = await startHost({ backend: faulty, clock })
    const { database } = await newNotes(failing, [{ _id: 'n' }])
    faulty.failBatch(1, { stored: false })
    await expect(failing.databases.delete(database.id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await reopened(failing, clock)
    await expect.poll(() => failing.databases.list()).toHaveLength(1)
    const again = (await failing.databases.get(database.id)).collection('Note')
    await again.create([bytesOf({ _id: 'm' })])
    expect(await found(again)).toEqual([{ _id: 'm' }, { _id: 'n' }])
  })
})

describe('closing', () => {
  it('ends what is open and refuses what comes after', async () => {
    const { database, notes } = await newNotes(host)
    const transaction = await database.writeTransaction('Note')
    await host.databases.close()
    expect(transaction.expired.reason).toMatchObject({ code: 'CLOSED' })
    await expect(notes.create([bytesOf({})])).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(host.databases.create(newId())).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
