/**
 * What every form of the client does: embedded, in Node and in browsers. Each case answers a value that can be sent from
 * a page, and is compared with the expected one outside of it.
 */
import type { Client, Collection, Database, Stored, Update } from '../../src/documents/index.ts'

export interface Start {
  readonly client: Client
  /** Whose client it is. */
  readonly identity: string
}

export interface Case {
  readonly title: string
  run(start: Start): Promise<unknown>
  readonly expected: unknown
}

interface Person {
  _id: string
  name: string
  age?: number
  open?: boolean
  address?: { city: string; street?: { name: string } }
  owner?: string
}

const schema = {
  properties: {
    _id: { type: 'string' },
    name: { type: 'string' },
    age: { type: 'number' },
    open: { type: 'boolean' },
    address: { type: 'object', properties: { city: { type: 'string' } } },
    owner: { type: 'string' },
  },
  required: ['_id', 'name'],
} as const
const PERSON = { name: 'Person', schema } as const

const CITIES = ['Graz', 'Linz', 'Wien']
/** p00 to p11, whose ages go up to 5 twice. */
const CROWD: readonly Person[] = Array.from({ length: 12 }, (_, at) => ({
  _id: `p${String(at).padStart(2, '0')}`,
  name: `Person ${at}`,
  age: at % 6,
  open: at % 2 === 0,
  address: { city: CITIES[at % 3] ?? '', street: { name: `Street ${at % 4}` } },
}))

/** A collection in a database of its own. */
async function people({ client }: Start, documents: readonly Person[] = []): Promise<Collection<Person>> {
  const db = await client.create({ collections: [PERSON] })
  const collection = db.collection<Person>('Person')
  if (documents.length > 0) await collection.create(documents)
  return collection
}

/** The code of what is thrown. */
async function codeOf(call: () => PromiseLike<unknown>): Promise<unknown> {
  try {
    await call()
    return 'nothing thrown'
  } catch (error) {
    return error instanceof Error && 'code' in error ? error.code : String(error)
  }
}

async function codesOf(calls: readonly (() => PromiseLike<unknown>)[]): Promise<unknown[]> {
  const codes: unknown[] = []
  for (const call of calls) codes.push(await codeOf(call))
  return codes
}

const idsOf = (documents: readonly Stored<Person>[]): string[] => documents.map(({ _id }) => _id)

function textOf(update: Update<{ name?: unknown }>): string {
  if (update.kind === 'resync') return 'resync'
  return `${update.kind} ${update.id}${update.kind === 'deleted' ? '' : ` ${String(update.document.name)}`}`
}

/** The next updates, as text. */
async function take(updates: AsyncIterator<Update<{ name?: unknown }>>, count: number): Promise<string[]> {
  const taken: string[] = []
  while (taken.length < count) {
    const next = await updates.next()
    if (next.done === true) return [...taken, 'end']
    taken.push(textOf(next.value))
  }
  return taken
}

/** Ids that a filter finds, and those for which a function holds: both must be the same. */
async function agree(
  collection: Collection<Person>,
  filter: Parameters<Collection<Person>['find']>[0],
  holds: (person: Person) => boolean,
): Promise<boolean> {
  const found = idsOf(await collection.find(filter))
  const wanted = CROWD.filter(holds).map(({ _id }) => _id)
  return wanted.length > 0 && wanted.length < CROWD.length && found.join() === wanted.join()
}

const documents: readonly Case[] = [
  {
    title: 'creates one and many documents, with new ids and given ones',
    async run(start) {
      const collection = await people(start)
      const one = await collection.create({ name: 'Ada' })
      const many = await collection.create([{ _id: 'bo', name: 'Bo' }, { _id: '', name: 'Cy' }, { name: 'Di' }])
      const names = await Promise.all([one, ...many].map(async (id) => (await collection.get(id))?.name))
      return [typeof one, many[0], new Set([one, ...many]).size, names]
    },
    expected: ['string', 'bo', 4, ['Ada', 'Bo', 'Cy', 'Di']],
  },
  {
    title: 'reads documents as they were written, with id and time',
    async run(start) {
      const text = 'ü \u0000 "\\" 😀 \u2028'
      const collection = await people(start, [{ _id: 'a', name: text, age: -0.1, address: { city: '' } }])
      const { _mod, ...rest } = (await collection.get('a')) ?? { _mod: undefined }
      return [typeof _mod, rest]
    },
    expected: ['number', { _id: 'a', name: 'ü \u0000 "\\" 😀 \u2028', age: -0.1, address: { city: '' } }],
  },
  {
    title: 'answers undefined for a document that is not there',
    run: async (start) => (await people(start)).get('nobody'),
    expected: undefined,
  },
  {
    title: 'knows which ids exist',
    async run(start) {
      const collection = await people(start, CROWD)
      return [await collection.has('p00'), await collection.has(['p00', 'p01']), await collection.has(['p00', 'x'])]
    },
    expected: [true, true, false],
  },
  {
    title: 'creates all or none',
    async run(start) {
      const collection = await people(start, [{ _id: 'a', name: 'A' }])
      const code = await codeOf(() =>
        collection.create([
          { _id: 'b', name: 'B' },
          { _id: 'a', name: 'A2' },
        ]),
      )
      return [code, await collection.has('b'), (await collection.get('a'))?.name]
    },
    expected: ['INSTANCE_EXISTS', false, 'A'],
  },
  {
    title: 'saves documents in place of others, and new ones',
    async run(start) {
      const collection = await people(start, [{ _id: 'a', name: 'A', age: 3 }])
      await collection.save({ _id: 'a', name: 'A2' })
      await collection.save([
        { _id: 'b', name: 'B' },
        { _id: 'c', name: 'C' },
      ])
      return (await collection.find()).map(({ _id, name, age }) => [_id, name, age])
    },
    expected: [
      ['a', 'A2', undefined],
      ['b', 'B', undefined],
      ['c', 'C', undefined],
    ],
  },
  {
    title: 'verifies without writing',
    async run(start) {
      const collection = await people(start)
      await collection.verify({ _id: 'a', name: 'A' })
      return [await collection.has('a'), await codeOf(() => collection.verify({ _id: 'a' } as Person))]
    },
    expected: [false, 'INVALID_INSTANCE'],
  },
  {
    title: 'deletes one, many and those that are not there',
    async run(start) {
      const collection = await people(start, CROWD.slice(0, 4))
      await collection.delete('p00')
      await collection.delete(['p01', 'p02', 'nobody'])
      return idsOf(await collection.find())
    },
    expected: ['p03'],
  },
]

const queries: readonly Case[] = [
  {
    title: 'finds by every comparison',
    async run(start) {
      const crowd = await people(start, CROWD)
      return Promise.all([
        agree(crowd, { age: 3 }, ({ age }) => age === 3),
        agree(crowd, { name: { $eq: 'Person 7' } }, ({ name }) => name === 'Person 7'),
        agree(crowd, { age: { $ne: 3 } }, ({ age }) => age !== 3),
        agree(crowd, { age: { $lt: 2 } }, ({ age = 0 }) => age < 2),
        agree(crowd, { age: { $lte: 2 } }, ({ age = 0 }) => age <= 2),
        agree(crowd, { age: { $gt: 4 } }, ({ age = 0 }) => age > 4),
        agree(crowd, { age: { $gte: 4 } }, ({ age = 0 }) => age >= 4),
        agree(crowd, { age: { $gt: 1, $lt: 4 } }, ({ age = 0 }) => age > 1 && age < 4),
        agree(crowd, { open: true }, ({ open }) => open === true),
        agree(crowd, { open: { $ne: true } }, ({ open }) => open !== true),
        agree(crowd, { _id: { $gte: 'p10' } }, ({ _id }) => _id >= 'p10'),
      ])
    },
    expected: Array.from({ length: 11 }, () => true),
  },
  {
    title: 'finds by paths and combinations, nested in each other',
    async run(start) {
      const crowd = await people(start, CROWD)
      const city = (person: Person) => person.address?.city
      const street = (person: Person) => person.address?.street?.name
      return Promise.all([
        agree(crowd, { 'address.city': 'Graz', age: 0 }, (p) => city(p) === 'Graz' && p.age === 0),
        agree(crowd, { 'address.street.name': { $gt: 'Street 2' } }, (p) => (street(p) ?? '') > 'Street 2'),
        agree(crowd, { $or: [{ age: 1 }, { age: 2, open: true }] }, (p) => p.age === 1 || (p.age === 2 && !!p.open)),
        agree(crowd, { open: true, $or: [{ age: 0 }, { age: 1 }] }, (p) => !!p.open && [0, 1].includes(p.age ?? 9)),
        agree(
          crowd,
          { $and: [{ $or: [{ age: 0 }, { age: 3 }] }, { $or: [{ 'address.city': 'Graz' }, { _id: 'p09' }] }] },
          (p) => [0, 3].includes(p.age ?? 9) && (city(p) === 'Graz' || p._id === 'p09'),
        ),
        agree(
          crowd,
          { $or: [{ $and: [{ open: true }, { age: { $gt: 2 } }] }, { $or: [{ _id: 'p01' }] }] },
          (p) => (!!p.open && (p.age ?? 0) > 2) || p._id === 'p01',
        ),
      ])
    },
    expected: Array.from({ length: 6 }, () => true),
  },
  {
    title: 'finds all by an empty filter, or an alternative without conditions',
    async run(start) {
      const crowd = await people(start, CROWD)
      const counts = [await crowd.find(), await crowd.find({}), await crowd.find({ $or: [{ age: 1 }, {}] })]
      return counts.map(({ length }) => length)
    },
    expected: [12, 12, 12],
  },
  {
    title: 'sorts before it skips and limits',
    async run(start) {
      const crowd = await people(start, CROWD)
      return [
        idsOf(await crowd.find({}, { sort: { age: -1 }, limit: 3 })),
        idsOf(await crowd.find({}, { sort: { age: 1 }, skip: 1, limit: 2 })),
        idsOf(await crowd.find({}, { sort: { 'address.city': -1 }, limit: 1 })),
        idsOf(await crowd.find({}, { sort: { _id: -1 }, skip: 10 })),
        idsOf(await crowd.find({ age: 5 }, { limit: 0 })),
      ]
    },
    expected: [['p05', 'p11', 'p04'], ['p06', 'p01'], ['p02'], ['p01', 'p00'], ['p05', 'p11']],
  },
  {
    title: 'refuses filters that cannot be answered',
    async run(start) {
      const crowd = await people(start)
      const twice = { $or: [{ a: 1 }, { b: 1 }] }
      const many = { $and: Array.from({ length: 10 }, () => twice) }
      const filters = [
        { name: null },
        { name: undefined },
        { name: {} },
        { name: { $regex: 'x' } },
        { address: { city: 'Graz' } },
        { age: { $gt: Number.NaN } },
        { age: [1] },
        { $nor: [] },
        { $or: [] },
        { $and: {} },
        { $or: [3] },
        many,
      ]
      const options = [{ skip: -1 }, { limit: 1.5 }, { sort: {} }, { sort: { a: 1, b: 1 } }, { sort: { a: 0 } }]
      return codesOf([
        ...filters.map((filter) => () => crowd.find(filter as object)),
        ...options.map((each) => () => crowd.find({}, each as object)),
      ])
    },
    expected: Array.from({ length: 17 }, () => 'INVALID_QUERY'),
  },
  {
    title: 'asks when the result is wanted: awaited once, in every loop anew',
    async run(start) {
      const collection = await people(start)
      const result = collection.find()
      await collection.create({ name: 'A' })
      const first = (await result).length
      await collection.create({ name: 'B' })
      let looped = 0
      for await (const _ of result) looped++
      return [first, (await result).length, looped]
    },
    expected: [1, 1, 2],
  },
  {
    title: 'iterates large results, and ends when the loop is left',
    async run(start) {
      const collection = await people(start)
      const name = 'x'.repeat(2_000)
      for (let batch = 0; batch < 3; batch++) {
        await collection.create(Array.from({ length: 500 }, (_, at) => ({ _id: `${batch}-${at}`, name })))
      }
      let count = 0
      let bytes = 0
      for await (const document of collection.find()) {
        count++
        bytes += document.name.length
      }
      for await (const _ of collection.find()) break
      return [count, bytes, (await collection.find({}, { limit: 700 })).length]
    },
    expected: [1_500, 3_000_000, 700],
  },
]

const patches: readonly Case[] = [
  {
    title: 'patches a document at the host',
    async run(start) {
      const collection = await people(start, CROWD)
      await collection.patch('p00', [
        { op: 'test', path: '/age', value: 0 },
        { op: 'replace', path: '/age', value: 7 },
        { op: 'add', path: '/address/street', value: { name: 'New' } },
        { op: 'copy', from: '/name', path: '/owner' },
        { op: 'remove', path: '/open' },
      ])
      const { _mod, ...rest } = (await collection.get('p00')) ?? { _mod: 0 }
      return rest
    },
    expected: {
      _id: 'p00',
      name: 'Person 0',
      age: 7,
      address: { city: 'Graz', street: { name: 'New' } },
      owner: 'Person 0',
    },
  },
  {
    title: 'changes nothing by a patch that fails',
    async run(start) {
      const collection = await people(start, CROWD)
      const change = { op: 'replace', path: '/age', value: 9 } as const
      const codes = await codesOf([
        () => collection.patch('p00', [change, { op: 'test', path: '/name', value: 'Ada' }]),
        () => collection.patch('p00', [change, { op: 'remove', path: '/nothing' }]),
        () => collection.patch('p00', [change, { op: 'replace', path: '/name', value: 3 }]),
        () => collection.patch('nobody', [change]),
      ])
      return [...codes, (await collection.get('p00'))?.age]
    },
    expected: ['TEST_FAILED', 'INVALID_PATCH', 'INVALID_INSTANCE', 'INSTANCE_NOT_FOUND', 0],
  },
  {
    title: 'counts without losing a step, by patches that test',
    async run(start) {
      const collection = await people(start, [{ _id: 'counter', name: 'Counter', age: 0 }])
      const step = async (): Promise<void> => {
        for (;;) {
          const age = (await collection.get('counter'))?.age ?? 0
          const code = await codeOf(() =>
            collection.patch('counter', [
              { op: 'test', path: '/age', value: age },
              { op: 'replace', path: '/age', value: age + 1 },
            ]),
          )
          if (code !== 'TEST_FAILED') return
        }
      }
      await Promise.all(Array.from({ length: 8 }, step))
      return (await collection.get('counter'))?.age
    },
    expected: 8,
  },
]

const transactions: readonly Case[] = [
  {
    title: 'commits the writes of a transaction together; reads in it see the state before',
    async run(start) {
      const collection = await people(start, CROWD.slice(0, 2))
      await using transaction = await collection.writeTransaction()
      const id = await transaction.create({ name: 'New' })
      await transaction.save({ _id: 'p00', name: 'Changed' })
      await transaction.delete('p01')
      const inside = [
        await transaction.has(id),
        (await transaction.get('p00'))?.name,
        (await transaction.find()).length,
      ]
      const before = await collection.has(id)
      await transaction.commit()
      return [
        inside,
        before,
        await collection.has(id),
        (await collection.get('p00'))?.name,
        await collection.has('p01'),
      ]
    },
    expected: [[false, 'Person 0', 2], false, true, 'Changed', false],
  },
  {
    title: 'drops the writes of a transaction that is not committed',
    async run(start) {
      const collection = await people(start)
      {
        await using transaction = await collection.writeTransaction()
        await transaction.create({ _id: 'a', name: 'A' })
      }
      const discarded = await collection.writeTransaction()
      await discarded.create({ _id: 'b', name: 'B' })
      await discarded.discard()
      await discarded.discard()
      const codes = await codesOf([() => discarded.commit(), () => discarded.get('b'), () => discarded.find()])
      // The next writer is not held up.
      await collection.create({ _id: 'c', name: 'C' })
      return [codes, idsOf(await collection.find())]
    },
    expected: [['TRANSACTION_CLOSED', 'TRANSACTION_CLOSED', 'TRANSACTION_CLOSED'], ['c']],
  },
  {
    title: 'goes on in a transaction after an operation that failed',
    async run(start) {
      const collection = await people(start, CROWD.slice(0, 1))
      await using transaction = await collection.writeTransaction()
      const codes = await codesOf([
        () => transaction.create({ _id: 'p00', name: 'Again' }),
        () => transaction.save({ _id: 'x' } as Person),
        () => transaction.verify({ _id: 'x' } as Person),
        () => transaction.find({ age: {} }),
      ])
      const nobody = await transaction.get('nobody')
      await transaction.create({ _id: 'a', name: 'A' })
      await transaction.commit()
      return [codes, nobody, idsOf(await collection.find()), await codeOf(() => transaction.create({ name: 'Late' }))]
    },
    expected: [
      ['INSTANCE_EXISTS', 'INVALID_INSTANCE', 'INVALID_INSTANCE', 'INVALID_QUERY'],
      undefined,
      ['a', 'p00'],
      'TRANSACTION_CLOSED',
    ],
  },
  {
    title: 'refuses at the commit what only the commit can see',
    async run({ client }) {
      const config = { ...PERSON, writeValidator: 'return instance === null || "no changes"' }
      const db = await client.create({ collections: [{ ...config, indexes: [{ path: 'name', unique: true }] }] })
      const collection = db.collection<Person>('Person')
      await using transaction = await collection.writeTransaction()
      await transaction.create([
        { _id: 'a', name: 'Same' },
        { _id: 'b', name: 'Same' },
      ])
      return [await codeOf(() => transaction.commit()), (await collection.find()).length]
    },
    expected: ['UNIQUE_VIOLATION', 0],
  },
  {
    title: 'reads one state in a read transaction',
    async run(start) {
      const collection = await people(start, CROWD.slice(0, 2))
      await using transaction = await collection.readTransaction()
      await collection.delete('p00')
      const before = (await transaction.find()).length
      const after = [
        await transaction.has('p00'),
        (await transaction.find()).length,
        (await transaction.get('p00'))?.name,
      ]
      await transaction.close()
      return [before, after, await codeOf(() => transaction.has('p00')), await collection.has('p00')]
    },
    expected: [2, [true, 2, 'Person 0'], 'TRANSACTION_CLOSED', false],
  },
  {
    title: 'begins a write transaction when nobody else writes',
    async run(start) {
      const collection = await people(start, CROWD.slice(0, 1))
      const order: string[] = []
      const first = await collection.writeTransaction()
      const second = (async () => {
        await using transaction = await collection.writeTransaction()
        order.push(`second sees ${(await transaction.get('p00'))?.name}`)
      })()
      await first.save({ _id: 'p00', name: 'Changed' })
      order.push('first commits')
      await first.commit()
      await second
      return order
    },
    expected: ['first commits', 'second sees Changed'],
  },
  {
    title: 'ends a transaction whose signal aborts, and lets others write',
    async run(start) {
      const collection = await people(start)
      const giving = new AbortController()
      const transaction = await collection.writeTransaction({ signal: giving.signal })
      await transaction.create({ _id: 'a', name: 'A' })
      const waiting = new AbortController()
      const second = codeOf(() => collection.writeTransaction({ signal: waiting.signal }))
      waiting.abort('no longer')
      giving.abort('given up')
      const codes = await codesOf([() => transaction.commit(), () => second])
      await collection.create({ _id: 'b', name: 'B' })
      return [codes, await second, idsOf(await collection.find())]
    },
    expected: [['given up', 'nothing thrown'], 'no longer', ['b']],
  },
]

const listening: readonly Case[] = [
  {
    title: 'tells changes from the moment on at which it listens, in order',
    async run(start) {
      const collection = await people(start, [{ _id: 'before', name: 'Before' }])
      const updates = await collection.listen()
      await collection.create([
        { _id: 'a', name: 'A' },
        { _id: 'b', name: 'B' },
      ])
      await collection.save({ _id: 'a', name: 'A2' })
      await collection.patch('b', [{ op: 'replace', path: '/name', value: 'B2' }])
      await collection.delete('a')
      const taken = await take(updates, 5)
      await updates.return?.()
      return [taken, (await updates.next()).done]
    },
    expected: [['created a A', 'created b B', 'saved a A2', 'saved b B2', 'deleted a'], true],
  },
  {
    title: 'tells what a filter passes, of a collection or of all',
    async run({ client }) {
      const db = await client.create({ collections: [PERSON, { ...PERSON, name: 'Other' }] })
      const [persons, others] = [db.collection<Person>('Person'), db.collection<Person>('Other')]
      const deleted = await persons.listen([{ kind: 'deleted' }, { id: 'b' }])
      const own = await persons.listen()
      const all = await db.listen()
      const some = await db.listen([{ collection: 'Other' }])
      await persons.create([
        { _id: 'a', name: 'A' },
        { _id: 'b', name: 'B' },
      ])
      await others.create({ _id: 'a', name: 'Else' })
      await persons.delete('a')
      const taken = [await take(deleted, 2), await take(own, 3), await take(all, 4), await take(some, 1)]
      for (const updates of [deleted, own, all, some]) await updates[Symbol.asyncDispose]()
      return taken
    },
    expected: [
      ['created b B', 'deleted a'],
      ['created a A', 'created b B', 'deleted a'],
      ['created a A', 'created b B', 'created a Else', 'deleted a'],
      ['created a Else'],
    ],
  },
  {
    title: 'ends to listen when its signal aborts, when the loop is left and when the database is deleted',
    async run(start) {
      const db = await start.client.create({ collections: [PERSON] })
      const collection = db.collection<Person>('Person')
      const stopping = new AbortController()
      const stopped = take(await collection.listen([], { signal: stopping.signal }), 1)
      const left: string[] = []
      const another = await collection.listen()
      const leaving = (async () => {
        for await (const update of another) {
          left.push(textOf(update))
          break
        }
      })()
      const gone = take(await collection.listen([{ kind: 'deleted' }]), 1)
      stopping.abort()
      const first = await stopped
      await collection.create({ _id: 'a', name: 'A' })
      await leaving
      await start.client.delete(db.id)
      return [first, left, (await another.next()).done, await gone]
    },
    expected: [['end'], ['created a A'], true, ['end']],
  },
]

const rules: readonly Case[] = [
  {
    title: 'shows validators and read filters who calls',
    async run({ client, identity }) {
      const writeValidator = 'return event.patch.json_patch.owner === writer || "not yours"'
      const readFilter = 'return instance.owner === reader ? { ...instance, name: "seen" } : null'
      const db = await client.create({ collections: [{ ...PERSON, writeValidator, readFilter }] })
      const collection = db.collection<Person>('Person')
      await collection.create({ _id: 'mine', name: 'Mine', owner: identity })
      const code = await codeOf(() => collection.create({ name: 'Other', owner: 'other' }))
      return [code, (await collection.get('mine'))?.name]
    },
    expected: ['WRITE_DENIED', 'seen'],
  },
  {
    title: 'keeps to schemas and unique indexes',
    async run({ client }) {
      const db = await client.create()
      const collection = await db.createCollection({ ...PERSON, indexes: [{ path: 'name', unique: true }] })
      await collection.create({ name: 'Ada' })
      return codesOf([
        () => collection.create({ name: 'Ada' }),
        () => collection.create({ name: 3 } as unknown as { name: string }),
        () => db.createCollection(PERSON),
        () => db.createCollection({ name: 'Bad', schema: { type: 'string' } }),
        () => db.createCollection({ ...PERSON, name: 'no spaces' }),
        () => db.createCollection({ ...PERSON, name: 'Other', indexes: [{ path: 'nothing' }] }),
        () => db.createCollection({ ...PERSON, name: 'Other', writeValidator: '(' }),
        () => collection.create({ name: 'x'.repeat(5 * 1024 * 1024) }),
      ])
    },
    expected: [
      'UNIQUE_VIOLATION',
      'INVALID_INSTANCE',
      'COLLECTION_EXISTS',
      'INVALID_SCHEMA',
      'INVALID_NAME',
      'INVALID_INDEX',
      'INVALID_FUNCTION',
      'TOO_LARGE',
    ],
  },
  {
    title: 'creates, lists, changes and deletes collections',
    async run({ client }) {
      const db = await client.create()
      await db.createCollection({ ...PERSON, indexes: [{ path: 'age' }], readFilter: 'return instance' })
      await db.collection<Person>('Person').create({ _id: 'a', name: 'A' })
      const [info] = await db.listCollections()
      await db.updateCollection({ ...PERSON, indexes: [{ path: 'name', unique: true }] })
      const [changed] = await db.listCollections()
      await db.deleteCollection('Person')
      const gone = await codesOf([
        () => db.collection('Person').get('a'),
        () => db.collection('Person').create({}),
        () => db.collection('Person').find(),
        () => db.collection('Person').patch('a', []),
        () => db.collection('Person').readTransaction(),
        () => db.collection('Person').writeTransaction(),
        () => db.updateCollection(PERSON),
        () => db.deleteCollection('Person'),
      ])
      return [
        [info?.name, info?.indexes, info?.readFilter, info?.writeValidator, Object.keys(info?.schema ?? {}).toSorted()],
        [changed?.indexes, changed?.readFilter],
        gone,
        await db.listCollections(),
      ]
    },
    expected: [
      ['Person', [{ path: 'age', unique: false }], 'return instance', '', ['properties', 'required']],
      [[{ path: 'name', unique: true }], ''],
      Array.from({ length: 8 }, () => 'COLLECTION_NOT_FOUND'),
      [],
    ],
  },
]

const databases: readonly Case[] = [
  {
    title: 'creates, finds, lists and deletes databases',
    async run({ client }) {
      const db = await client.create({ name: 'zoo' })
      const { id, name, key, addresses } = await db.info()
      const listed = (await client.list()).find((each) => each.id === id)
      const same = await client.get(id)
      const again = await codesOf([() => client.create({ id }), () => client.create({ name: 'no spaces' })])
      await client.delete(id)
      const gone = await codesOf([() => client.get(id), () => db.info(), () => client.delete(id)])
      return [
        [
          id === db.id,
          same.id === id,
          name,
          /^b[a-z2-7]{103}$/.test(key),
          addresses.every((text) => text.endsWith(id)),
        ],
        JSON.stringify(listed) === JSON.stringify({ id, name, key, addresses }),
        again,
        gone,
        (await client.list()).some((each) => each.id === id),
      ]
    },
    expected: [
      [true, true, 'zoo', true, true],
      true,
      ['DB_EXISTS', 'INVALID_NAME'],
      ['THREAD_NOT_FOUND', 'THREAD_NOT_FOUND', 'THREAD_NOT_FOUND'],
      false,
    ],
  },
  {
    title: 'takes a key and an id, and refuses what is none',
    async run({ client }) {
      const first = await client.create()
      const { key, id } = await first.info()
      await client.delete(id)
      const second = await client.create({ id, key })
      const info = await second.info()
      const codes = await codesOf([
        () => client.create({ id: 'x' }),
        () => client.create({ key: 'x' }),
        () => client.create({ key: 'bafk32' }),
        () => client.get('bafk'),
        () => client.join('/ip4/127.0.0.1/tcp/1', { key }),
        () => client.join('no address', { key }),
      ])
      return [info.key === key, info.id === id, codes]
    },
    expected: [
      true,
      true,
      ['INVALID_ID', 'INVALID_KEY', 'INVALID_KEY', 'INVALID_ID', 'INVALID_ADDRESS', 'INVALID_ADDRESS'],
    ],
  },
  {
    title: 'gives up every call whose signal is aborted, with its reason',
    async run({ client }) {
      const db: Database = await client.create({ collections: [PERSON] })
      const collection = db.collection<Person>('Person')
      const options = { signal: AbortSignal.abort('not now') }
      const person = { _id: 'a', name: 'A' }
      const codes = await codesOf([
        () => client.create(options),
        () => client.get(db.id, options),
        () => client.list(options),
        () => client.delete(db.id, options),
        () => db.info(options),
        () => db.createCollection({ ...PERSON, name: 'New' }, options),
        () => db.updateCollection(PERSON, options),
        () => db.deleteCollection('Person', options),
        () => db.listCollections(options),
        () => collection.create(person, options),
        () => collection.save(person, options),
        () => collection.verify(person, options),
        () => collection.delete('a', options),
        () => collection.get('a', options),
        () => collection.has('a', options),
        () => collection.find({}, options),
        () => collection.patch('a', [], options),
        () => collection.listen([], options),
        () => collection.readTransaction(options),
        () => collection.writeTransaction(options),
      ])
      return [new Set(codes).size === 1 ? codes[0] : codes, (await collection.find()).length]
    },
    expected: ['not now', 0],
  },
]

export const CASES: readonly Case[] = [
  ...documents,
  ...queries,
  ...patches,
  ...transactions,
  ...listening,
  ...rules,
  ...databases,
]
