/** What go-threads does wrongly with databases. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { EMPTY_BYTES } from '../../../src/core/bytes.ts'
import { decode, encode } from '../../../src/core/cbor.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { rowKey } from '../../../src/store/key-codec.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import type { OrderedStore } from '../../../src/store/ordered-store.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost, type TestHostOptions } from '../../support/host.ts'
import { bytesOf, found, idsOf, newNotes, NOTE } from '../../support/notes.ts'

const TIMEOUT = { timeout: 15_000 }
const hosts: TestHost[] = []

async function open(options: TestHostOptions = {}): Promise<TestHost> {
  const host = await startHost(options)
  hosts.push(host)
  return host
}

/** The same host after a restart. */
async function restarted(host: TestHost, whileDown?: () => Promise<void>): Promise<TestHost> {
  hosts.splice(hosts.indexOf(host), 1)
  const again = await host.restart(whileDown)
  hosts.push(again)
  return again
}

afterEach(async () => {
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]()
})

describe('a database', () => {
  it('8.1-22: takes transactions of any size that a record may have, and holds them after a restart', async () => {
    const host = await open()
    const { database, notes } = await newNotes(host)
    const documents = Array.from({ length: 3_000 }, (_, n) => bytesOf({ _id: `n${n}`, text: 'x'.repeat(1_000) }))
    await notes.create(documents)
    const again = await restarted(host)
    expect(await idsOf((await again.databases.get(database.id)).collection('Note'))).toHaveLength(3_000)
  })

  it('8.2-23: gets through schema changes, writes and its deletion at the same time', async () => {
    const host = await open()
    const { database, notes } = await newNotes(host)
    const indexes = [{ path: 'name', unique: true }]
    const work: Promise<unknown>[] = []
    for (let n = 0; n < 30; n++) {
      work.push(notes.create([bytesOf({ _id: `n${n}`, name: `n${n}` })]))
      work.push(database.updateCollection(n % 2 === 0 ? { ...NOTE, indexes } : NOTE))
      work.push(database.createCollection({ ...NOTE, name: `Other${n}` }))
    }
    await Promise.all(work)
    expect(await idsOf(notes)).toHaveLength(30)
    const late = [notes.create([bytesOf({})]), database.updateCollection(NOTE), host.databases.delete(database.id)]
    await Promise.allSettled(late)
    await expect(host.databases.get(database.id)).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
  })

  it('8.2-24: is not held up for long by a transaction left open; records from elsewhere follow it', async () => {
    const host = await open({ db: { transactionIdleMs: 200 } })
    const { database, notes } = await newNotes(host, [{ _id: 'a' }])
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(host, database)
    const transaction = await database.writeTransaction('Note')
    await transaction.create([bytesOf({ _id: 'never' })])
    const waiting = notes.create([bytesOf({ _id: 'b' })])
    await host.net.addRecord(database.id, log.id, log.record([{ type: 'create', id: 'c', patch: '{"_id":"c"}' }]))
    expect(await idsOf(notes)).toEqual(['a'])
    await waiting
    await expect.poll(() => idsOf(notes), TIMEOUT).toEqual(['a', 'b', 'c'])
    await expect(transaction.commit()).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  })

  it('8.3-2: that could not be made leaves nothing, also over a restart', async () => {
    const host = await open()
    const id = newThreadId('raw', randomBytes)
    const collections = [NOTE, { name: 'Bad', schema: '{}' }]
    await expect(host.databases.create(id, { collections })).rejects.toMatchObject({ code: 'INVALID_SCHEMA' })
    expect(host.net.listThreads()).toEqual([])
    const again = await restarted(host)
    expect(await again.databases.list()).toEqual([])
    await again.databases.create(id, { collections: [NOTE] })
  })

  it.each([true, false])(
    '8.3-2: whose making met a failing disk has all its collections or is not there (stored: %s)',
    async (stored) => {
      const backend = new FaultyStore(await openMemoryStore())
      const host = await open({ backend })
      const collections = [NOTE, { ...NOTE, name: 'Other' }]
      backend.failBatch(1, { stored })
      const creation = host.databases.create(newThreadId('raw', randomBytes), { collections })
      await expect(creation).rejects.toMatchObject({ code: 'STORE_FAILED' })
      const again = await restarted(host)
      const databases = await again.databases.list()
      expect(databases).toHaveLength(stored ? 1 : 0)
      for (const database of databases) expect(await database.listCollections()).toHaveLength(2)
    },
  )

  it('8.3-3: whose deletion failed is served again, and can be deleted again', async () => {
    const backend = new FaultyStore(await openMemoryStore())
    const host = await open({ backend })
    const { database } = await newNotes(host, [{ _id: 'a' }])
    backend.failBatch(1, { stored: false })
    await expect(host.databases.delete(database.id)).rejects.toMatchObject({ code: 'STORE_FAILED' })
    const documents = async () => found((await host.databases.get(database.id)).collection('Note'))
    await expect.poll(() => documents().catch(() => []), TIMEOUT).toEqual([{ _id: 'a' }])
    await host.databases.delete(database.id)
    expect(await host.databases.list()).toEqual([])
  })

  it('8.3-3: that cannot be opened keeps no other from being served', async () => {
    const backend = await openMemoryStore()
    const host = await open({ backend })
    const first = await newNotes(host)
    const second = await newNotes(host, [{ _id: 'a' }])
    const again = await restarted(host, () => damageDefinition(backend, 1))
    expect((await again.databases.list()).map(({ id }) => id)).toEqual([second.database.id])
    await expect(again.databases.get(first.database.id)).rejects.toMatchObject({ code: 'DB_NOT_FOUND' })
  })
})

/** Makes what a thread keeps of its database unreadable. */
async function damageDefinition(backend: OrderedStore, thread: number): Promise<void> {
  const key = rowKey('t', thread)
  const row = decode((await backend.get(key)) ?? EMPTY_BYTES) as { app: object }
  const value = encode({ ...row, app: { ...row.app, validators: 'damaged' } })
  await backend.batch([{ type: 'put', key, value }], { sync: false })
}
