/** Everything the original JavaScript client offers, against a real daemon: the unmodified npm package, over websockets. */
import { Client, type QueryJSON, Where } from '@textile/threads-client'
import { Context } from '@textile/context'
import { PrivateKey } from '@textile/crypto'
import { ThreadID } from '@textile/threads-id'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'

interface Person {
  _id: string
  name: string
  age: number
  tags?: string[]
}

const schema = {
  type: 'object',
  properties: {
    _id: { type: 'string' },
    name: { type: 'string' },
    age: { type: 'number', minimum: 1 },
    tags: { type: 'array', items: { type: 'string' } },
  },
  required: ['_id', 'name'],
}

const people = (count: number): Person[] =>
  Array.from({ length: count }, (_, index) => ({
    _id: `p${String(index).padStart(4, '0')}`,
    name: `Person ${index}`,
    age: 20 + (index % 60),
  }))

let daemon: TestDaemon
let other: TestDaemon
let client: Client

async function clientOf(of: TestDaemon, identity = PrivateKey.fromRandom()): Promise<Client> {
  const made = new Client(new Context(of.webAddress))
  await made.getToken(identity)
  return made
}

async function newPeople(documents: Person[] = [], config: object = {}): Promise<ThreadID> {
  const id = await client.newDB(ThreadID.fromRandom())
  await client.newCollection(id, { name: 'Person', schema, ...config })
  if (documents.length > 0) await client.create(id, 'Person', documents)
  return id
}

beforeAll(async () => {
  ;[daemon, other] = await Promise.all([startDaemon(), startDaemon()])
  client = await clientOf(daemon)
})

afterAll(async () => {
  await daemon[Symbol.asyncDispose]()
  await other[Symbol.asyncDispose]()
})

describe('databases', () => {
  it('are created with a name, listed, described and deleted', async () => {
    const id = await client.newDB(ThreadID.fromRandom(), 'my-db')
    const listed = await client.listDBs()
    expect(listed.find((each) => each.id === id.toString())?.name).toBe('my-db')
    const info = await client.getDBInfo(id)
    expect(info.addrs[0]).toContain(`/thread/${id.toString()}`)
    await client.deleteDB(id)
    await expect(client.getDBInfo(id)).rejects.toThrow('thread not found')
    expect((await client.listDBs()).some((each) => each.id === id.toString())).toBe(false)
  })

  it('answer "already exists" when they are opened or created twice', async () => {
    const id = await client.newDB()
    await expect(client.newDB(id)).rejects.toThrow('db already exists')
    await expect(client.open(id)).rejects.toThrow('db already exists')
  })
})

describe('collections', () => {
  it('are made from a schema, listed, updated and deleted', async () => {
    const id = await newPeople([], { indexes: [{ path: 'name', unique: true }] })
    const info = await client.getCollectionInfo(id, 'Person')
    expect(info.schema).toMatchObject({ properties: { _id: { type: 'string' } } })
    expect(await client.getCollectionIndexes(id, 'Person')).toEqual([{ path: 'name', unique: true }])
    await client.updateCollection(id, { name: 'Person', schema })
    expect(await client.getCollectionIndexes(id, 'Person')).toEqual([])
    expect((await client.listCollections(id)).map((each) => each.name)).toEqual(['Person'])
    await client.deleteCollection(id, 'Person')
    await expect(client.create(id, 'Person', people(1))).rejects.toThrow('collection not found')
  })

  it('are made from an example document', async () => {
    const id = await client.newDB()
    await client.newCollectionFromObject(id, { _id: '', name: 'Ann', age: 3, tags: ['a'] }, { name: 'FromObject' })
    const [created] = await client.create(id, 'FromObject', [{ _id: '', name: 'Bob', age: 4, tags: [] }])
    expect(created).toMatch(/^[0-9a-hjkmnp-tv-z]{26}$/)
  })
})

describe('documents', () => {
  it('are created, found, saved and deleted', async () => {
    const id = await newPeople(people(3))
    expect(await client.has(id, 'Person', ['p0000', 'p0002'])).toBe(true)
    const found = await client.findByID<Person>(id, 'Person', 'p0001')
    expect(found).toMatchObject({ name: 'Person 1', age: 21 })
    await client.save(id, 'Person', [{ ...found, age: 22 }])
    expect((await client.findByID<Person>(id, 'Person', 'p0001')).age).toBe(22)
    await client.delete(id, 'Person', ['p0000', 'unknown', 'p0001'])
    expect((await client.find<Person>(id, 'Person', {})).map((each) => each._id)).toEqual(['p0002'])
    await expect(client.findByID(id, 'Person', 'p0000')).rejects.toThrow('instance not found')
  })

  it('are refused when they do not fit the schema or exist already', async () => {
    const id = await newPeople(people(1))
    await expect(client.create(id, 'Person', [{ _id: 'x', age: 3 }])).rejects.toThrow('name is required')
    await expect(client.create(id, 'Person', people(1))).rejects.toThrow('existing instance')
  })

  it('keep quotes, backslashes and line separators, also through a validator', async () => {
    const id = await newPeople([], {
      writeValidator: (_writer: string, event: { patch: { json_patch: Person } }) => {
        return event.patch.json_patch.name !== 'bad'
      },
    })
    await expect(client.create(id, 'Person', [{ _id: 'bad', name: 'bad', age: 1 }])).rejects.toThrow('app denied')
    const name = `it's "quoted" \\ and \u2028 odd '); throw 1; ('`
    await client.create(id, 'Person', [{ _id: 'odd', name, age: 1 }])
    expect((await client.findByID<Person>(id, 'Person', 'odd')).name).toBe(name)
  })

  it('come 500 of 1 KB in one call', async () => {
    const id = await newPeople()
    const large = people(500).map((person) => ({ ...person, tags: ['x'.repeat(1024)] }))
    expect(await client.create(id, 'Person', large)).toHaveLength(500)
    expect(await client.find(id, 'Person', {})).toHaveLength(500)
  })
})

describe('queries', () => {
  it('combine conditions, sort, skip and limit, with and without an index', async () => {
    for (const indexes of [[], [{ path: 'age', unique: false }]]) {
      const id = await newPeople(people(100), { indexes })
      const query = new Where('age')
        .ge(60)
        .and('age')
        .lt(66)
        .or(new Where('age').eq(67))
        .skipNum(1)
        .limitTo(5)
        .orderByID()
      const ids = (await client.find<Person>(id, 'Person', query as QueryJSON)).map((each) => each._id)
      expect(ids).toEqual(['p0041', 'p0042', 'p0043', 'p0044', 'p0045'])
      const oldest = await client.find<Person>(id, 'Person', { sort: { fieldPath: 'age', desc: true }, limit: 2 })
      expect(oldest.map((each) => each.age)).toEqual([79, 78])
    }
  })
})

describe('transactions', () => {
  it('are written as a whole when they end', async () => {
    const id = await newPeople(people(1))
    const transaction = client.writeTransaction(id, 'Person')
    await transaction.start()
    await transaction.create([{ _id: 'new', name: 'New', age: 5 }])
    expect(await transaction.has(['new'])).toBe(false)
    await transaction.save([{ _id: 'p0000', name: 'Changed', age: 5 }])
    await transaction.end()
    expect((await client.find<Person>(id, 'Person', {})).map((each) => each.name)).toEqual(['New', 'Changed'])
  })

  it('leave nothing when they are discarded', async () => {
    const id = await newPeople(people(1))
    const transaction = client.writeTransaction(id, 'Person')
    await transaction.start()
    await transaction.create([{ _id: 'new', name: 'New', age: 5 }])
    await transaction.discard()
    await expect(transaction.end()).rejects.toThrow('discarded/committed txn')
    expect(await client.has(id, 'Person', ['new'])).toBe(false)
  })

  it('read one state', async () => {
    const id = await newPeople(people(2))
    const transaction = client.readTransaction(id, 'Person')
    await transaction.start()
    expect(await transaction.find({})).toHaveLength(2)
    await client.delete(id, 'Person', ['p0000'])
    expect(await transaction.has(['p0000'])).toBe(true)
    await transaction.end()
  })
})

describe('listeners', () => {
  it('are told of creates, saves and deletes with the state after each', async () => {
    const id = await newPeople()
    const seen: [unknown, number | undefined][] = []
    let done: () => void
    const all = new Promise<void>((resolve) => {
      done = resolve
    })
    const close = client.listen<Person>(id, [{ collectionName: 'Person' }], (update, error) => {
      if (error) throw error
      if (update === undefined) return
      seen.push([update.action, update.instance?.age])
      if (seen.length === 4) done()
    })
    await client.has(id, 'Person', [])
    await client.create(id, 'Person', [{ _id: 'a', name: 'Ann', age: 30 }])
    await client.save(id, 'Person', [{ _id: 'a', name: 'Ann', age: 31 }])
    await client.save(id, 'Person', [{ _id: 'a', name: 'Ann', age: 32 }])
    await client.delete(id, 'Person', ['a'])
    await all
    close.close()
    expect(seen).toEqual([
      ['CREATE', 30],
      ['SAVE', 31],
      ['SAVE', 32],
      ['DELETE', undefined],
    ])
  })
})

describe('validators and filters', () => {
  it('refuse writes with the text of the validator', async () => {
    const id = await newPeople(people(1), {
      writeValidator: (writer: string, event: { patch: { type: string; json_patch: Person } }, instance: Person) => {
        if (event.patch.type === 'delete') return false
        if (instance !== undefined && event.patch.json_patch.name === 'Fido') return 'no dogs'
        return writer.length > 0
      },
    })
    await expect(client.delete(id, 'Person', ['p0000'])).rejects.toThrow('app denied net record body')
    const dog = [{ _id: 'p0000', name: 'Fido', age: 1 }]
    await expect(client.verify(id, 'Person', dog)).rejects.toThrow('no dogs')
    await expect(client.save(id, 'Person', dog)).rejects.toThrow('app denied net record body: no dogs')
    expect((await client.findByID<Person>(id, 'Person', 'p0000')).name).toBe('Person 0')
  })

  it('change and hide what a reader sees', async () => {
    const id = await newPeople(people(3), {
      readFilter: (_reader: string, instance: Person) => {
        if (instance.age === 21) return null
        instance.name = 'someone'
        return instance
      },
    })
    const seen = await client.find<Person>(id, 'Person', {})
    expect(seen.map(({ _id, name }) => [_id, name])).toEqual([
      ['p0000', 'someone'],
      ['p0002', 'someone'],
    ])
    expect(await client.has(id, 'Person', ['p0001'])).toBe(false)
  })
})

describe('joining', () => {
  it('brings what is there, and what both write afterwards', async () => {
    const id = await newPeople(people(10))
    const info = await client.getDBInfo(id)
    const joiner = await clientOf(other)
    await joiner.joinFromInfo(info, true, [{ name: 'Person', schema }])
    await expect(joiner.joinFromInfo(info, true)).rejects.toThrow('already exists')
    await expect.poll(() => joiner.find(id, 'Person', {}), { timeout: 20_000 }).toHaveLength(10)
    await joiner.create(id, 'Person', [{ _id: 'theirs', name: 'Theirs', age: 1 }])
    await client.create(id, 'Person', [{ _id: 'ours', name: 'Ours', age: 1 }])
    await expect.poll(() => client.has(id, 'Person', ['theirs']), { timeout: 20_000 }).toBe(true)
    await expect.poll(() => joiner.has(id, 'Person', ['ours']), { timeout: 20_000 }).toBe(true)
  })
})
