import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ThreadsError } from '../../../src/core/errors.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { generateKey } from '../../../src/core/keys.ts'
import { listen } from '../../../src/db/listen.ts'
import type { Change } from '../../../src/store/commit.ts'
import type { CallOptions, Collection, Database, ListenFilter, Update } from '../../../src/db/index.ts'
import { bytesOf, found, newNotes, NOTE, type Note, noteOf } from '../../support/notes.ts'
import { FaultySandbox } from '../../support/faulty-sandbox.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'

/** Of the journal: about 100 commits. */
const FEED_BYTES = 8 * 1024

let sandbox: FaultySandbox
let host: TestHost
let database: Database
let notes: Collection

beforeEach(async () => {
  sandbox = new FaultySandbox()
  host = await startHost({ sandbox, feedBytes: FEED_BYTES, net: { pull: false } })
  ;({ database, notes } = await newNotes(host))
})
afterEach(() => host[Symbol.asyncDispose]())

const create = (...documents: Note[]): Promise<string[]> => notes.create(documents.map(bytesOf))
const save = (...documents: Note[]): Promise<void> => notes.save(documents.map(bytesOf))
const textOf = ({ kind, id, document }: Update): string =>
  `${kind} ${id}${document === undefined ? '' : ` ${String(noteOf(document)['name'])}`}`

/** The next `count` updates of a listener that began to listen before, as text. */
async function take(updates: AsyncIterable<Update>, count: number): Promise<string[]> {
  const taken: string[] = []
  for await (const update of updates) {
    taken.push(textOf(update))
    if (taken.length === count) break
  }
  return taken
}

/** What comes of `act`. */
async function untilEnd(filters: readonly ListenFilter[], act: () => Promise<unknown>): Promise<string[]> {
  const updates = database.listen([...filters, { id: 'end' }])
  await act()
  await save({ _id: 'end' })
  const taken: string[] = []
  for await (const update of updates) {
    if (update.id === 'end') break
    taken.push(textOf(update))
  }
  return taken
}

describe('a listener', () => {
  it('hears of every change in order, with the document as it was then', async () => {
    await create({ _id: 'before' })
    const updates = database.listen()
    await create({ _id: 'a', name: '1' }, { _id: 'b', name: '1' })
    await save({ _id: 'a', name: '2' })
    await save({ _id: 'a', name: '3' })
    await notes.delete(['b', 'a'])
    await create({ _id: 'a', name: '4' })
    expect(await take(updates, 7)).toEqual([
      'created a 1',
      'created b 1',
      'saved a 2',
      'saved a 3',
      'deleted b',
      'deleted a',
      'created a 4',
    ])
  })

  it('hears of a transaction what it left, once for each document', async () => {
    const updates = database.listen()
    const transaction = await database.writeTransaction('Note')
    await transaction.create([bytesOf({ _id: 'a', name: '1' }), bytesOf({ _id: 'gone' })])
    await transaction.save([bytesOf({ _id: 'a', name: '2' })])
    await transaction.delete(['gone'])
    await transaction.commit()
    await create({ _id: 'b', name: '1' })
    expect(await take(updates, 2)).toEqual(['created a 2', 'created b 1'])
  })

  it('hears of changes from elsewhere, and of what they change of earlier ones', async () => {
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(host, database)
    const atMs = Date.now() - 60_000
    await create({ _id: 'n', name: 'here' })
    const updates = database.listen()
    const write = async (id: string, patch: object): Promise<void> => {
      const event = { type: 'save', id, patch: JSON.stringify({ _id: id, ...patch }), atMs } as const
      await host.net.addRecord(database.id, log.id, log.record([event]))
    }
    await write('m', { name: 'there' })
    await write('n', { name: 'earlier', age: 1 })
    await create({ _id: 'end', name: 'end' })
    expect(await take(updates, 3)).toEqual(['created m there', 'saved n here', 'created end end'])
    expect(await found(notes, { ands: [{ path: 'age', operation: 'eq', value: 1 }] })).toEqual([
      { _id: 'n', name: 'here', age: 1 },
    ])
  })

  it('hears nothing of other databases, nor of collections that are not registered', async () => {
    const other = await newNotes(host)
    await database.createCollection({ ...NOTE, name: 'Other' })
    const taken = await untilEnd([{}], async () => {
      await other.notes.create([bytesOf({ _id: 'elsewhere' })])
      await database.collection('Other').create([bytesOf({ _id: 'o', name: 'o' })])
      await database.deleteCollection('Other')
    })
    expect(taken).toEqual([])
    const next = await untilEnd([{}], async () => {
      await database.createCollection({ ...NOTE, name: 'Other' })
      await database.collection('Other').create([bytesOf({ _id: 'p', name: 'p' })])
    })
    expect(next).toEqual(['created p p'])
  })
})

describe('filters of a listener', () => {
  const story = async (): Promise<void> => {
    await create({ _id: 'a', name: '1' }, { _id: 'b', name: '1' })
    await save({ _id: 'a', name: '2' })
    await database.collection('Other').create([bytesOf({ _id: 'a', name: 'other' })])
    await notes.delete(['b'])
  }

  it.each<[string, ListenFilter[], string[]]>([
    ['an id', [{ id: 'b' }], ['created b 1', 'deleted b']],
    ['a kind', [{ kind: 'saved' }], ['saved a 2']],
    ['a collection', [{ collection: 'Other' }], ['created a other']],
    ['all of one filter', [{ collection: 'Note', id: 'a', kind: 'created' }], ['created a 1']],
    ['any of several', [{ kind: 'deleted' }, { collection: 'Other' }], ['created a other', 'deleted b']],
    ['what nobody writes', [{ collection: 'Nothing' }], []],
  ])('let through %s', async (_title, filters, expected) => {
    await database.createCollection({ ...NOTE, name: 'Other' })
    expect(await untilEnd(filters, story)).toEqual(expected)
  })
})

describe('a read filter', () => {
  const readFilter = "if (instance.name === 'secret') return null; instance.name += ` to ${reader}`; return instance"

  it('decides what a listener hears, by who he is', async () => {
    await database.updateCollection({ ...NOTE, readFilter })
    const identity = identityOf(generateKey(randomBytes).publicKey)
    const options: CallOptions = { caller: { identity } }
    const updates = database.listen([], options)
    await create({ _id: 'hidden', name: 'secret' })
    await create({ _id: 'a', name: 'shown' })
    await save({ _id: 'a', name: 'secret' })
    await notes.delete(['a'])
    expect(await take(updates, 2)).toEqual([`created a shown to ${identity}`, 'deleted a'])
  })

  it('that fails ends the listener with an error', async () => {
    await database.updateCollection({ ...NOTE, readFilter: 'throw new Error("no")' })
    const updates = database.listen()
    await create({ _id: 'a' })
    await expect(take(updates, 1)).rejects.toMatchObject({ code: 'READ_FILTER_FAILED' })
  })

  it('of a collection that is deleted while a document is read from the disk ends nothing', async () => {
    const change = (id: string): Change => ({ collection: 'Note', id, kind: 'created' })
    const commit = { seq: 1, thread: 1, heads: [], changes: [change('gone'), change('n')] }
    const updates = listen(
      {
        journal: { lastSeq: 0, subscribe: () => Readable.from([{ kind: 'commit', commit }]) },
        thread: 1,
        token: () => new Uint8Array(),
        isVisible: () => true,
        current: async ({ id }) => bytesOf({ name: id }),
        serve: async (_collection, document) => {
          if (noteOf(document)['name'] === 'n') return document
          throw new ThreadsError('COLLECTION_NOT_FOUND', 'collection not found')
        },
      },
      { filters: [], signal: new AbortController().signal, after: { seq: 0, changes: 0 } },
    )
    expect(await take(updates, 1)).toEqual(['created n n'])
  })

  it('of a collection that is deleted meanwhile ends nothing', async () => {
    await database.createCollection({ ...NOTE, name: 'Other', readFilter: 'return instance' })
    const updates = database.listen()
    const stalled = sandbox.stall()
    await database.collection('Other').create([bytesOf({ _id: 'o' }), bytesOf({ _id: 'p' })])
    const taken = take(updates, 2)
    await stalled.reached
    await database.deleteCollection('Other')
    await create({ _id: 'n', name: '1' })
    stalled.release()
    expect((await taken).at(-1)).toBe('created n 1')
  })
})

describe('the end of a listener', () => {
  it('comes with its signal', async () => {
    const stop = new AbortController()
    const updates = take(database.listen([], { signal: stop.signal }), 2)
    await create({ _id: 'n', name: '1' })
    stop.abort()
    expect((await updates).length).toBeLessThan(2)
  })

  it('comes with that of the database, in the middle of a transaction too', async () => {
    await database.updateCollection({ ...NOTE, readFilter: 'return instance' })
    const updates = database.listen()
    await create({ _id: 'a', name: '1' }, { _id: 'b', name: '2' })
    const heard: string[] = []
    for await (const update of updates) {
      heard.push(textOf(update))
      await host.databases.delete(database.id)
    }
    expect(heard).toEqual(['created a 1'])
  })
})

describe('a slow listener', () => {
  it('loses nothing, also of what is not in memory any more', async () => {
    const updates = database.listen()
    const large = 'x'.repeat(300_000)
    const ids = Array.from({ length: 40 }, (_, i) => `n${i}`)
    for (const _id of ids) await create({ _id, text: large, name: '1' })
    for (const _id of ids.slice(0, 3)) await save({ _id, text: large, name: '2' })
    const taken = await take(updates, 43)
    expect(taken.map((text) => text.split(' ')[1])).toEqual([...ids, 'n0', 'n1', 'n2'])
    expect(taken.slice(-3)).toEqual(['saved n0 2', 'saved n1 2', 'saved n2 2'])
  })

  it('is told when it has missed something', async () => {
    const updates = database.listen()
    for (let i = 0; i < 1_100; i++) await create({})
    await expect(take(updates, 1)).rejects.toMatchObject({ code: 'UPDATES_LOST' })
    const again = database.listen()
    await create({ _id: 'n', name: '1' })
    expect(await take(again, 1)).toEqual(['created n 1'])
  })
})

describe('a listener that comes back', () => {
  /** The updates from a token to the end, with their tokens. */
  async function resume(after: Uint8Array): Promise<Update[]> {
    const listening = new AbortController()
    const taken: Update[] = []
    for await (const update of database.listen([], { after, signal: listening.signal })) {
      if (update.id === 'end') break
      taken.push(update)
    }
    return taken
  }

  it('hears of what came after its token and of nothing else, wherever it left', async () => {
    const start = database.resumeToken()
    await create({ _id: 'a' }, { _id: 'b' }, { _id: 'c' })
    await save({ _id: 'a', name: '2' })
    await save({ _id: 'end' })
    const all = await resume(start)
    expect(all.map(textOf)).toEqual(['created a undefined', 'created b undefined', 'created c undefined', 'saved a 2'])
    for (const [at, { token }] of all.entries()) {
      expect((await resume(token)).map(textOf)).toEqual(all.slice(at + 1).map(textOf))
    }
  })

  it('hears of nothing that happened before its token', async () => {
    await create({ _id: 'before' })
    const start = database.resumeToken()
    await save({ _id: 'end' })
    expect(await resume(start)).toEqual([])
  })

  it('is told that updates are lost if they are not kept, or the token is of another state', async () => {
    const first = async (after: Uint8Array) => take(database.listen([], { after }), 1)
    const start = database.resumeToken()
    const { database: other } = await newNotes(host)
    await expect(first(other.resumeToken())).rejects.toMatchObject({ code: 'UPDATES_LOST' })
    for (let at = 0; at < 520; at++) await save({ _id: 'a', name: String(at) })
    await expect.poll(() => first(start).catch((error: unknown) => error)).toMatchObject({ code: 'UPDATES_LOST' })
  })

  it.each([[[]], [[1]], [[2, 0]], [[1, 0, 1, 1, 1, 1]], [[1, 0, 1, 1, 1, 1, 1, 1]], [[1, 0, 255]]])(
    'is refused with bytes that are no token: %j',
    async (bytes) => {
      const listening = async () => take(database.listen([], { after: Uint8Array.from(bytes) }), 1)
      await expect(listening()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
    },
  )
})
