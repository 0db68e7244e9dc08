/** What queries of go-threads answer wrongly. Titles begin with the number of the fault in docs/compatibility.md. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startHost, type TestHost } from '../../support/host.ts'
import { found, idsOf, newNotes, type Note } from '../../support/notes.ts'

const MIXED: readonly Note[] = [
  { _id: 'a', n: 1 },
  { _id: 'b' },
  { _id: 'c', n: 'text' },
  { _id: 'd', n: null },
  { _id: 'e', n: 5 },
]

let host: TestHost

beforeAll(async () => {
  host = await startHost()
})

afterAll(() => host[Symbol.asyncDispose]())

describe('a query', () => {
  it.each(['without', 'with'])(
    '8.1-12: passes over documents it cannot compare, and goes on (%s an index)',
    async (index) => {
      const { database, notes } = await newNotes(host, MIXED)
      if (index === 'with') {
        const schema = JSON.stringify({ properties: { _id: { type: 'string' }, n: { type: 'number' } } })
        await database.updateCollection({ name: 'Note', schema, indexes: [{ path: 'n' }] })
      }
      const atLeastOne = { path: 'n', operation: 'ge', value: 1 } as const
      expect(await idsOf(notes, { ands: [atLeastOne] })).toEqual(['a', 'e'])
      const isText = { path: 'n', operation: 'eq', value: 'text' } as const
      expect(await idsOf(notes, { ands: [atLeastOne], ors: [{ ands: [isText] }] })).toEqual(['a', 'c', 'e'])
    },
  )

  it('8.1-13: skips without a limit, and when the first document is hidden', async () => {
    const { notes } = await newNotes(host, MIXED)
    expect(await idsOf(notes, { skip: 2 })).toEqual(['c', 'd', 'e'])
    const hidesFirst = await newNotes(host, MIXED, { readFilter: "return instance._id === 'a' ? null : instance" })
    expect(await idsOf(hidesFirst.notes)).toEqual(['b', 'c', 'd', 'e'])
    expect(await idsOf(hidesFirst.notes, { skip: 1 })).toEqual(['c', 'd', 'e'])
  })

  it('8.1-14: sorts before it skips and limits', async () => {
    const { notes } = await newNotes(host, [
      { _id: 'a', n: 3 },
      { _id: 'b', n: 1 },
      { _id: 'c', n: 4 },
      { _id: 'd', n: 2 },
    ])
    expect(await idsOf(notes, { sort: { path: 'n' }, limit: 2 })).toEqual(['b', 'd'])
    expect(await idsOf(notes, { sort: { path: 'n' }, skip: 1, limit: 2 })).toEqual(['d', 'a'])
  })

  it('8.2-17: does not see what the read filter hides', async () => {
    const documents = [
      { _id: 'a', name: 'public', secret: 2 },
      { _id: 'b', name: 'public', secret: 1 },
    ]
    const { notes } = await newNotes(host, documents, { readFilter: 'delete instance.secret; return instance' })
    expect(await idsOf(notes, { ands: [{ path: 'secret', operation: 'gt', value: 1 }] })).toEqual([])
    await expect(notes.find({ sort: { path: 'secret' } })).rejects.toThrow('sorting field')
  })
})

describe('an index', () => {
  it.each(['title', 'fido', '2020-01-01', '-1', '"quoted"', '{brace', '[bracket', 'a/b', 'c:d', ''])(
    '8.3-9: holds the text %j as it is',
    async (name) => {
      const documents = [{ _id: 'a', name }, { _id: 'b', name: `${name}x` }, { _id: 'c' }]
      const { notes } = await newNotes(host, documents, { indexes: [{ path: 'name' }] })
      const query = { ands: [{ path: 'name', operation: 'eq', value: name }], index: 'name' } as const
      expect(await found(notes, query)).toEqual([{ _id: 'a', name }])
    },
  )

  it('8.3-9: is not needed for ids in descending order', async () => {
    const { notes } = await newNotes(host, MIXED)
    expect(await idsOf(notes, { sort: { path: '_id', desc: true } })).toEqual(['e', 'd', 'c', 'b', 'a'])
    expect(await idsOf(notes, { sort: { path: '_id', desc: true }, seek: 'c' })).toEqual(['c', 'b', 'a'])
  })

  it('8.3-13: is listed where it was given, the one of ids never', async () => {
    const indexes = [
      { path: 'name', unique: true },
      { path: 'age', unique: false },
      { path: 'city', unique: false },
    ]
    const schema = JSON.stringify({
      properties: Object.fromEntries(['_id', 'name', 'age', 'city'].map((name) => [name, { type: 'string' }])),
    })
    const { database } = await newNotes(host, [], { schema, indexes })
    expect((await database.collectionInfo('Note')).indexes).toEqual(indexes)
  })
})
