import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Collection, Database } from '../../../src/db/index.ts'
import { bytesOf, newNotes, NOTE, noteOf } from '../../support/notes.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

const MIB = 1024 * 1024

let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  host = await startHost({ net: { pull: false } })
  ;({ database, notes } = await newNotes(host))
})
afterEach(() => host[Symbol.asyncDispose]())

describe('a document', () => {
  it('larger than a record is refused', async () => {
    await expect(notes.create([bytesOf({ text: 'x'.repeat(4 * MIB) })])).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(/^the record has \d+ bytes, at most 3670016 are allowed$/),
      hint: 'Split the transaction into smaller ones.',
    })
    expect(await notes.find({})).toEqual([])
  })

  it('grows to 4 MiB in several saves, and no further', async () => {
    const grown = { _id: 'n', a: 'x'.repeat(2 * MIB), b: 'x'.repeat(1.5 * MIB) }
    await notes.create([bytesOf({ _id: 'n', a: grown.a })])
    await notes.save([bytesOf(grown)])
    await expect(notes.save([bytesOf({ ...grown, c: 'x'.repeat(MIB) })])).rejects.toMatchObject({
      code: 'TOO_LARGE',
      message: expect.stringMatching(/^the document has \d+ bytes then, at most 4194304 are allowed$/),
    })
    await notes.save([bytesOf({ ...grown, b: 'x'.repeat(1.9 * MIB) })])
    const { a, b, c } = noteOf(await notes.findById('n'))
    expect([a === grown.a, JSON.stringify(b).length - 2, c]).toEqual([true, Math.floor(1.9 * MIB), undefined])
  })

  it('grows to 4 MiB in several saves of one transaction, and no further', async () => {
    await notes.create([bytesOf({ _id: 'n', hidden: 'x'.repeat(2.9 * MIB) })])
    // Who does not see a member does not remove it, nor count it.
    await database.updateCollection({ ...NOTE, readFilter: 'delete instance.hidden; return instance' })
    const b = bytesOf({ _id: 'n', b: 'x'.repeat(0.7 * MIB) })
    const c = bytesOf({ _id: 'n', c: 'x'.repeat(0.7 * MIB) })
    const refusal = {
      code: 'TOO_LARGE',
      message: expect.stringMatching(/^the document has \d+ bytes then, at most 4194304 are allowed$/),
    }
    await expect(notes.save([b, c])).rejects.toMatchObject(refusal)
    const transaction = await database.writeTransaction('Note')
    await transaction.save([b])
    await expect(transaction.save([c])).rejects.toMatchObject(refusal)
    await expect(transaction.verify([c])).rejects.toMatchObject(refusal)
    await transaction.delete(['n'])
    await transaction.save([c])
    await transaction.commit()
    expect(Object.keys(noteOf(await notes.findById('n')))).toEqual(['_id', 'c', '_mod'])
  })

  it('that somebody else lets grow further stays as it was', async () => {
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(host, database)
    await notes.create([bytesOf({ _id: 'n', a: 'x'.repeat(3 * MIB) })])
    const atMs = Date.now() + 1_000
    const save = (id: string, member: string, text: string) =>
      ({ type: 'save', id, patch: JSON.stringify({ _id: id, [member]: text }), atMs }) as const
    await host.net.addRecord(database.id, log.id, log.record([save('n', 'b', 'x'.repeat(MIB)), save('m', 'b', '1')]))
    expect(noteOf(await notes.findById('n'))['b']).toBeUndefined()
    expect(noteOf(await notes.findById('m'))['b']).toBe('1')
    expect(await database.refusals()).toEqual([])
  })

  it.each([
    ['an id of 513 bytes', { _id: 'n'.repeat(513) }],
    ['an id that is a number', { _id: 7 }],
    ['a name that is a number', { name: 7 }],
  ])('with %s is refused', async (_title, document) => {
    await expect(notes.create([bytesOf(document)])).rejects.toMatchObject({ code: 'INVALID_INSTANCE' })
    await expect(notes.save([bytesOf(document)])).rejects.toMatchObject({ code: 'INVALID_INSTANCE' })
  })

  it('may have an id of 512 bytes', async () => {
    const _id = 'ü'.repeat(256)
    expect(await notes.create([bytesOf({ _id })])).toEqual([_id])
    expect(await notes.has([_id])).toBe(true)
  })

  it('nested more than 64 levels deep is refused', async () => {
    const nested = (levels: number): unknown => (levels === 0 ? 1 : { a: nested(levels - 1) })
    await expect(notes.create([bytesOf(nested(65))])).rejects.toMatchObject({ code: 'INVALID_INSTANCE' })
    await notes.create([bytesOf(nested(64))])
  })
})
