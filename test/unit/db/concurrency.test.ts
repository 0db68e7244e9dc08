import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Identity, identityOf } from '../../../src/core/identity.ts'
import { generateKey } from '../../../src/core/keys.ts'
import type { Collection, CollectionConfig, Database } from '../../../src/db/index.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { bytesOf, found, idsOf, newNotes, noteOf } from '../../support/notes.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const CONFIG: Partial<CollectionConfig> = {
  schema: JSON.stringify({
    properties: { _id: { type: 'string' }, name: { type: 'string' }, count: { type: 'number' } },
  }),
  indexes: [{ path: 'name', unique: true }],
}
const WRITERS = Array.from({ length: 64 }, (_, i) => i)

let backend: FaultyStore
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  backend = new FaultyStore(await openMemoryStore())
  host = await startHost({ backend, net: { pull: false } })
  ;({ database, notes } = await newNotes(host, [], CONFIG))
})
afterEach(() => host[Symbol.asyncDispose]())

const somebody = (): Identity => identityOf(generateKey(randomBytes).publicKey)

/** Codes of the calls that failed. */
async function failures(calls: readonly Promise<unknown>[]): Promise<unknown[]> {
  const outcomes = await Promise.allSettled(calls)
  return outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []))
}

describe('64 writers at once', () => {
  it('of one id: one create wins', async () => {
    const attempts = WRITERS.map((i) => notes.create([bytesOf({ _id: 'n', count: i })]))
    expect(await failures(attempts)).toEqual(Array.from({ length: 63 }, () => 'INSTANCE_EXISTS'))
    expect(await found(notes)).toEqual([{ _id: 'n', count: 0 }])
  })

  it('of one id, each with a log of his own: one create wins', async () => {
    const attempts = WRITERS.map((i) =>
      database.collection('Note', { caller: { identity: somebody() } }).create([bytesOf({ _id: 'n', count: i })]),
    )
    expect(await failures(attempts)).toHaveLength(63)
    expect(await found(notes)).toHaveLength(1)
    expect(await database.refusals()).toEqual([])
  })

  it('that count in transactions lose nothing', async () => {
    await notes.create([bytesOf({ _id: 'n', count: 0 })])
    await Promise.all(
      WRITERS.map(async () => {
        const transaction = await database.writeTransaction('Note')
        const note = noteOf(await transaction.findById('n'))
        await transaction.save([bytesOf({ ...note, count: Number(note['count']) + 1 })])
        await transaction.commit()
      }),
    )
    expect(await found(notes)).toEqual([{ _id: 'n', count: 64 }])
  })

  it('see what those before them wrote, in the order of their calls', async () => {
    await notes.create([bytesOf({ _id: 'n', count: -1 })])
    await Promise.all(WRITERS.map((count) => notes.save([bytesOf({ _id: 'n', count })])))
    expect(await found(notes)).toEqual([{ _id: 'n', count: 63 }])
    const { logs } = await host.net.getThread(database.id)
    expect(logs.map(({ head }) => head.counter)).toEqual([65])
  })

  it('are stored before a transaction begins that comes after them', async () => {
    const stalled = backend.stallBatch(1)
    const write = notes.create([bytesOf({ _id: 'n' })])
    await stalled.reached
    const seen = database.writeTransaction('Note').then(async (transaction) => {
      const first = await transaction.has(['n'])
      await write
      const second = await transaction.has(['n'])
      await transaction.close()
      return [first, second]
    })
    for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve))
    stalled.release()
    expect(await seen).toEqual([true, true])
  })

  it('get ids and times of their own', async () => {
    const ids = (await Promise.all(WRITERS.map(() => notes.create([bytesOf({}), bytesOf({})])))).flat()
    expect(new Set(ids).size).toBe(128)
    expect(ids.every((id) => /^[0-9a-hjkmnp-tv-z]{26}$/.test(id))).toBe(true)
    const times = (await notes.find({})).map((bytes) => noteOf(bytes)['_mod'])
    expect(new Set(times).size).toBe(128)
  })
})

describe('a unique index', () => {
  it('lets one of 64 writers have a value', async () => {
    const attempts = WRITERS.map((i) => notes.create([bytesOf({ _id: `n${i}`, name: 'same' })]))
    expect(await failures(attempts)).toEqual(Array.from({ length: 63 }, () => 'UNIQUE_VIOLATION'))
    expect(await idsOf(notes)).toEqual(['n0'])
  })

  it('counts writes that wait for the disk', async () => {
    await notes.create([bytesOf({ _id: 'a', name: 'taken' })])
    const stalled = backend.stallBatch(1)
    const waiting = [
      notes.create([bytesOf({ _id: 'b', name: 'new' })]),
      notes.save([bytesOf({ _id: 'a', name: 'moved' })]),
    ]
    await stalled.reached
    await expect(notes.create([bytesOf({ name: 'new' })])).rejects.toMatchObject({
      code: 'UNIQUE_VIOLATION',
      message: 'error when indexing created data: unique constraint violation',
    })
    const freed = notes.create([bytesOf({ _id: 'c', name: 'taken' })])
    stalled.release()
    await Promise.all([...waiting, freed])
    expect(await found(notes)).toEqual([
      { _id: 'a', name: 'moved' },
      { _id: 'b', name: 'new' },
      { _id: 'c', name: 'taken' },
    ])
  })

  it('is held by a transaction as a whole', async () => {
    await notes.create([bytesOf({ _id: 'a', name: '1' }), bytesOf({ _id: 'b', name: '2' })])
    const swap = await database.writeTransaction('Note')
    await swap.save([bytesOf({ _id: 'a', name: '2' }), bytesOf({ _id: 'b', name: '1' })])
    await swap.commit()
    expect(await found(notes)).toEqual([
      { _id: 'a', name: '2' },
      { _id: 'b', name: '1' },
    ])
    const clash = await database.writeTransaction('Note')
    await clash.create([bytesOf({ _id: 'c', name: '3' })])
    await clash.save([bytesOf({ _id: 'd', name: '3' })])
    await expect(clash.commit()).rejects.toMatchObject({ code: 'UNIQUE_VIOLATION' })
    expect(await notes.has(['c'])).toBe(false)
  })

  it('serves look-ups while writers come and go', async () => {
    await Promise.all(WRITERS.map((i) => notes.create([bytesOf({ _id: `n${i}`, name: `name${i}` })])))
    await Promise.all(
      WRITERS.map((i) => (i % 2 === 0 ? notes.delete([`n${i}`]) : notes.save([bytesOf({ _id: `n${i}` })]))),
    )
    const byName = { ands: [{ path: 'name', operation: 'ge', value: '' }], index: 'name' } as const
    expect(await found(notes, byName)).toEqual([])
    expect(await idsOf(notes)).toHaveLength(32)
  })
})
