/** What go-threads does wrongly with documents. Titles begin with the number of the fault in docs/compatibility.md. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/db/index.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, idsOf, newNotes, NOTE, noteOf } from '../../support/notes.ts'

const UNIQUE_NAME = { indexes: [{ path: 'name', unique: true }] }

let host: TestHost

beforeAll(async () => {
  host = await startHost()
})

afterAll(() => host[Symbol.asyncDispose]())

/** Records in all logs of a database. */
async function recordsOf(database: Database): Promise<number> {
  const { logs } = await host.net.getThread(database.id)
  return logs.reduce((sum, log) => sum + log.head.counter, 0)
}

describe('a unique index', () => {
  it('8.1-5: refuses a write before there is a record of it', async () => {
    const { database, notes } = await newNotes(host, [{ _id: 'a', name: 'x' }, { _id: 'b' }], UNIQUE_NAME)
    const records = await recordsOf(database)
    await expect(notes.create([bytesOf({ _id: 'c', name: 'x' })])).rejects.toThrow('unique constraint violation')
    await expect(notes.save([bytesOf({ _id: 'b', name: 'x' })])).rejects.toThrow('unique constraint violation')
    expect(await recordsOf(database)).toBe(records)
    expect(await found(notes)).toEqual([{ _id: 'a', name: 'x' }, { _id: 'b' }])
  })

  it('8.1-17: keeps its entries when a document without one is deleted', async () => {
    const documents = [{ _id: 'a', name: 'x' }, { _id: 'b' }, { _id: 'c', name: 'y' }, { _id: 'd' }]
    const { notes } = await newNotes(host, documents, UNIQUE_NAME)
    await notes.delete(['b', 'd'])
    for (const name of ['x', 'y']) {
      await expect(notes.create([bytesOf({ name })])).rejects.toThrow('unique constraint violation')
    }
  })

  it('binds to documents that were there before it', async () => {
    const { database, notes } = await newNotes(host, [{ _id: 'a', name: 'x' }])
    await database.updateCollection({ ...NOTE, ...UNIQUE_NAME })
    await expect(notes.create([bytesOf({ name: 'x' })])).rejects.toThrow('unique constraint violation')
  })
})

describe('a delete', () => {
  it('8.1-15: of a list passes over ids that do not exist', async () => {
    const { notes } = await newNotes(host, [{ _id: 'a' }, { _id: 'b' }, { _id: 'c' }])
    await notes.delete(['a', 'unknown', 'c', 'c'])
    expect(await idsOf(notes)).toEqual(['b'])
  })

  it('8.1-25: of a collection leaves no index entries; the documents stay those of the events', async () => {
    const { database } = await newNotes(host, [{ _id: 'a', name: 'x' }], UNIQUE_NAME)
    await database.deleteCollection('Note')
    await database.createCollection({ ...NOTE, ...UNIQUE_NAME })
    const notes = database.collection('Note')
    expect(await found(notes)).toEqual([{ _id: 'a', name: 'x' }])
    await notes.delete(['a'])
    await notes.create([bytesOf({ _id: 'b', name: 'x' })])
    const byName = { ands: [{ path: 'name', operation: 'eq', value: 'x' }], index: 'name' } as const
    expect(await idsOf(notes, byName)).toEqual(['b'])
  })
})

describe('a transaction', () => {
  it('8.1-23: keeps nothing of an operation that failed', async () => {
    const { database, notes } = await newNotes(host, [{ _id: 'taken' }])
    const transaction = await database.writeTransaction('Note')
    await expect(transaction.create([bytesOf({ _id: 'a' }), bytesOf({ _id: 'taken' })])).rejects.toThrow('existing')
    await transaction.create([bytesOf({ _id: 'b' })])
    await transaction.commit()
    expect(await idsOf(notes)).toEqual(['b', 'taken'])
  })

  it('8.1-8: that deletes a document and saves it ends with the whole document', async () => {
    const { database, notes } = await newNotes(host, [{ _id: 'a', name: 'x', n: 1 }])
    const transaction = await database.writeTransaction('Note')
    await transaction.delete(['a'])
    await transaction.save([bytesOf({ _id: 'a', name: 'x', n: 2 })])
    await transaction.commit()
    expect(await found(notes)).toEqual([{ _id: 'a', name: 'x', n: 2 }])
  })
})

describe('a save', () => {
  it('8.1-24: keeps nulls in arrays', async () => {
    const { notes } = await newNotes(host, [{ _id: 'a', list: [1], inner: { list: [1] } }])
    const note = { _id: 'a', list: [null, 1, { x: null }], inner: { list: [null] }, fresh: [null] }
    await notes.save([bytesOf(note)])
    expect(await found(notes)).toEqual([note])
  })

  it('8.1-24: changes no number that its patch does not name', async () => {
    const { notes } = await newNotes(host, [{ _id: 'a', big: Number.MAX_SAFE_INTEGER, name: 'x' }])
    await notes.save([bytesOf({ _id: 'a', big: Number.MAX_SAFE_INTEGER, name: 'y' })])
    expect(await found(notes)).toEqual([{ _id: 'a', big: Number.MAX_SAFE_INTEGER, name: 'y' }])
  })

  it('8.3-10: with an empty id is refused', async () => {
    const { notes } = await newNotes(host)
    const text = 'invalid instance: missing _id attribute'
    await expect(notes.save([bytesOf({ _id: '', name: 'x' })])).rejects.toThrow(text)
    await expect(notes.verify([bytesOf({ _id: '', name: 'x' })])).rejects.toThrow(text)
  })

  it('8.3-11: takes back what was found, where the schema forbids more members', async () => {
    const schema = JSON.stringify({ properties: { _id: { type: 'string' } }, additionalProperties: false })
    const { notes } = await newNotes(host, [{ _id: 'a' }], { schema })
    const [document] = await notes.find({})
    if (document === undefined) throw new Error('the document is not there')
    await notes.verify([document])
    await notes.save([document])
    await expect(notes.save([bytesOf({ ...noteOf(document), more: 1 })])).rejects.toThrow(
      'property more is not allowed',
    )
    await notes.create([bytesOf({ ...noteOf(document), _id: 'b' })])
  })
})

describe('a verify', () => {
  it('8.3-12: asks the validator what the write would ask it', async () => {
    const writeValidator = `
      const { type } = event.patch
      return event._id === 'there' && type === 'create' || [writer, type, typeof instance].join(' ')`
    const { notes } = await newNotes(host, [{ _id: 'there' }], { writeValidator })
    const denied = (rest: string) => `app denied net record body: ${host.net.identity} ${rest}`
    const added = [bytesOf({ _id: 'new' })]
    await expect(notes.verify(added)).rejects.toThrow(denied('create undefined'))
    await expect(notes.create(added)).rejects.toThrow(denied('create undefined'))
    const changed = [bytesOf({ _id: 'there', n: 1 })]
    await expect(notes.verify(changed)).rejects.toThrow(denied('save object'))
    await expect(notes.save(changed)).rejects.toThrow(denied('save object'))
  })
})

describe('an id', () => {
  it.each(['../../schema/Note', 'a/b', '.', '..', '/', '%2e%2e', 'a:b', '\u0000', '__proto__'])(
    '8.2-16: is a text and no path: %j',
    async (id) => {
      const { database, notes } = await newNotes(host, [{ _id: id, name: 'odd' }, { _id: 'plain' }])
      await notes.save([bytesOf({ _id: id, name: 'saved' })])
      expect(noteOf(await notes.findById(id))).toMatchObject({ _id: id, name: 'saved' })
      expect(await database.collectionInfo('Note')).toMatchObject({ name: 'Note', schema: NOTE.schema })
      await notes.delete([id])
      expect(await idsOf(notes)).toEqual(['plain'])
    },
  )
})
