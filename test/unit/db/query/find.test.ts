import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { textOfUtf8, utf8 } from '../../../../src/core/bytes.ts'
import { hasCode } from '../../../../src/core/errors.ts'
import type { IndexDefinition } from '../../../../src/db/indexes/definition.ts'
import type { Document, JsonValue } from '../../../../src/db/json.ts'
import { find, type FindSource } from '../../../../src/db/query/find.ts'
import { matcherOf } from '../../../../src/db/query/match.ts'
import { compareStrings, compareValues, kindOf } from '../../../../src/db/query/order.ts'
import { valueAt } from '../../../../src/db/query/path.ts'
import type { Criterion, Query } from '../../../../src/db/query/query.ts'
import { openMemoryStore } from '../../../../src/store/memory-store.ts'
import type { Entry, KeyRange, ReadView } from '../../../../src/store/ordered-store.ts'
import { buildIndex, instanceRow, PLACE } from '../../../support/instance-rows.ts'
import { hardTexts, memberValues } from '../../../support/json-values.ts'

const PATHS = ['a', 'b', 'o.x']

function indexOn(path: string, number: number): IndexDefinition {
  return { number, fields: [{ path, desc: false }], unique: false, encoding: 1, ready: false }
}

/** A collection in a store of its own, with an index for each path. Texts that are absent are deleted instances. */
async function collectionOf(texts: ReadonlyMap<string, string | undefined>, paths = PATHS): Promise<FindSource> {
  const store = await openMemoryStore()
  await store.batch(
    [...texts].map(([id, text]) => instanceRow(id, text)),
    { sync: false },
  )
  const indexes: IndexDefinition[] = []
  for (const [i, path] of paths.entries()) indexes.push(await buildIndex(store, indexOn(path, i + 1)))
  return { ...PLACE, view: store, indexes }
}

function withoutIndexes(source: FindSource): FindSource {
  return { ...source, indexes: source.indexes.map((index) => ({ ...index, ready: false })) }
}

async function textsFound(query: Query, source: FindSource): Promise<readonly string[]> {
  return (await find(query, source)).map(textOfUtf8)
}

/** What a query must answer, in plain lines; an error as its message. */
function expected(query: Query, texts: ReadonlyMap<string, string | undefined>): readonly string[] | string {
  const { seek = '', sort, skip = 0, limit = 0 } = query
  const byId = sort?.path === '_id'
  const sign = sort?.desc === true ? -1 : 1
  const found = [...texts].flatMap(([id, text]) => (text === undefined ? [] : [{ id, text, value: parse(text) }]))
  const results = found
    .filter(({ value }) => matcherOf(query)(value))
    .filter(({ id }) => seek === '' || (byId ? sign : 1) * compareStrings(id, seek) >= 0)
    .toSorted((a, b) => compareStrings(a.id, b.id))
    .toSorted((a, b) => {
      return sort === undefined ? 0 : sign * compareValues(valueAt(a.value, sort.path), valueAt(b.value, sort.path))
    })
    .slice(skip, limit > 0 ? skip + limit : undefined)
  const kinds = new Set(results.map(({ value }) => sortKind(sort && valueAt(value, sort.path))))
  const sortable = kinds.size === 1 && !kinds.has('missing') && !kinds.has('null')
  if (sort !== undefined && results.length > 1 && !sortable) return "sorting field doesn't correspond to instance type"
  return results.map(({ text }) => text)
}

function parse(text: string): Document {
  return JSON.parse(text)
}

function sortKind(value: JsonValue | undefined): string {
  return typeof value === 'boolean' ? 'boolean' : kindOf(value)
}

const ODD_IDS = ['a', 'a\u0000', 'aa', 'é', '名', '😀', 'z']
const ids = fc.nat(60).map((number) => ODD_IDS[number] ?? `i${number}`)
/** Few values, so that many are equal; two differ only behind what an index entry holds. */
const CUT = 'a'.repeat(512)
const commonValues = fc.constantFrom<(string | number | boolean)[]>(
  0,
  1,
  2,
  'a',
  'b',
  `${CUT}1`,
  `${CUT}2`,
  true,
  false,
)
const values = fc.oneof({ weight: 4, arbitrary: commonValues }, { weight: 1, arbitrary: memberValues })
const instances = fc.record({
  id: ids,
  a: fc.oneof(
    values,
    commonValues.filter((value) => typeof value === 'number'),
  ),
  b: fc.oneof(
    values,
    commonValues.filter((value) => typeof value === 'string'),
  ),
  x: values,
  deleted: fc.nat(9).map((number) => number === 0),
})
const texts: fc.Arbitrary<ReadonlyMap<string, string | undefined>> = fc
  .oneof(fc.array(instances, { maxLength: 8 }), fc.array(instances, { minLength: 40, maxLength: 80 }))
  .map((all) => {
    return new Map(
      all.map(({ id, a, b, x, deleted }) => [id, deleted ? undefined : JSON.stringify({ _id: id, a, b, o: { x } })]),
    )
  })

const criteria: fc.Arbitrary<Criterion> = fc.oneof(
  fc.record({
    path: fc.constantFrom(...PATHS, 'nope'),
    operation: fc.constantFrom('eq', 'ne', 'gt', 'lt', 'ge', 'le'),
    value: fc.oneof(commonValues, fc.boolean(), fc.double({ noNaN: true }), hardTexts),
  }),
  fc.record({ path: fc.constant('_id'), operation: fc.constantFrom('eq', 'gt', 'lt', 'ge', 'le'), value: ids }),
)
const sorts = fc.record({ path: fc.constantFrom(...PATHS, '_id'), desc: fc.boolean() })
const anyQueries = fc.record(
  {
    ands: fc.array(criteria, { maxLength: 2 }),
    ors: fc.array(fc.record({ ands: fc.array(criteria, { maxLength: 2 }) }), { maxLength: 2 }),
    sort: sorts,
    seek: ids,
    limit: fc.nat(4),
    skip: fc.nat(3),
    index: fc.constantFrom(...PATHS, '_id'),
  },
  { requiredKeys: [] },
)
/** Those that indexes can serve. */
const plainQueries = fc.record(
  { ands: fc.array(criteria, { minLength: 1, maxLength: 2 }), sort: sorts, limit: fc.nat(4) },
  { requiredKeys: ['ands'] },
)
/** Those that an index can answer in its order, with a range or without, from either end. */
const sortedQueries = fc
  .record({
    path: fc.constantFrom(...PATHS),
    desc: fc.boolean(),
    bound: fc.option(fc.record({ operation: fc.constantFrom('eq', 'gt', 'lt', 'ge', 'le'), value: commonValues })),
    seek: fc.option(ids, { freq: 3 }),
    limit: fc.integer({ min: 1, max: 9 }),
    skip: fc.nat(3),
  })
  .map(({ path, desc, bound, seek, limit, skip }): Query => {
    const ands = bound === null ? [] : [{ path, ...bound }]
    return { ands, sort: { path, desc }, limit, skip, ...(seek === null ? {} : { seek }) }
  })
const queries: fc.Arbitrary<Query> = fc.oneof(anyQueries, plainQueries, sortedQueries)

async function outcome(query: Query, source: FindSource): Promise<readonly string[] | string> {
  try {
    return await textsFound(query, source)
  } catch (error) {
    if (hasCode(error, 'INVALID_QUERY')) return error.message
    throw error
  }
}

describe('any query over any documents', () => {
  test('answers what it must, with and without indexes', async () => {
    await fc.assert(
      fc.asyncProperty(texts, fc.array(queries, { minLength: 1, maxLength: 12 }), async (documents, asked) => {
        const source = await collectionOf(documents)
        for (const query of asked) {
          const right = expected(query, documents)
          expect(await outcome(query, withoutIndexes(source)), 'without indexes').toEqual(right)
          expect(await outcome(query, source), 'with indexes').toEqual(right)
        }
      }),
      { numRuns: 300 },
    )
  })
})

/** Counts the rows and entries that are read. */
function counting(view: ReadView): { view: ReadView; reads: { rows: number; entries: number } } {
  const reads = { rows: 0, entries: 0 }
  async function* entries(range: KeyRange): AsyncGenerator<Entry> {
    for await (const entry of view.entries(range)) {
      reads.entries++
      yield entry
    }
  }
  const getMany: ReadView['getMany'] = (keys) => {
    reads.rows += keys.length
    return view.getMany(keys)
  }
  return { view: { get: (key) => view.get(key), getMany, entries }, reads }
}

async function manyDocuments(): Promise<FindSource> {
  const documents = Array.from({ length: 1_000 }, (_, i): [string, string] => {
    const id = `i${String(i).padStart(4, '0')}`
    return [id, JSON.stringify({ _id: id, a: i % 10, b: `${999 - i}`.padStart(3, '0') })]
  })
  return collectionOf(new Map(documents))
}

describe('an index', () => {
  test('leads to the instances of a value without reading others', async () => {
    const source = await manyDocuments()
    const { view, reads } = counting(source.view)
    const query: Query = { ands: [{ path: 'b', operation: 'eq', value: '007' }] }
    expect(await find(query, { ...source, view })).toHaveLength(1)
    expect(reads).toEqual({ rows: 1, entries: 1 })
  })

  test('leads to the instances of a range of values', async () => {
    const source = await manyDocuments()
    const { view, reads } = counting(source.view)
    const query: Query = {
      ands: [
        { path: 'b', operation: 'ge', value: '100' },
        { path: 'b', operation: 'lt', value: '120' },
      ],
    }
    expect(await find(query, { ...source, view })).toHaveLength(20)
    expect(reads).toEqual({ rows: 20, entries: 20 })
  })

  test('answers a limited range by id, not in the order of its entries', async () => {
    const source = await manyDocuments()
    const query: Query = { ands: [{ path: 'b', operation: 'lt', value: '500' }], limit: 2 }
    expect(await textsFound(query, source)).toEqual(await textsFound(query, withoutIndexes(source)))
  })

  test('tells long strings apart whose entries are equal', async () => {
    const [lower, middle, higher] = [`${CUT}1`, `${CUT}2`, `${CUT}3`]
    const documents = [lower, middle, higher].map((a, i): [string, string] => [`${i}`, JSON.stringify({ a })])
    const source = await collectionOf(new Map(documents))
    const found = (operation: Criterion['operation']): Promise<Uint8Array[]> =>
      find({ ands: [{ path: 'a', operation, value: middle }] }, source)
    for (const operation of ['eq', 'gt', 'lt'] as const) expect(await found(operation), operation).toHaveLength(1)
    for (const operation of ['ne', 'ge', 'le'] as const) expect(await found(operation), operation).toHaveLength(2)
  })

  test('gives the order of a sort, so that a limited query reads little', async () => {
    const source = await manyDocuments()
    for (const desc of [false, true]) {
      const { view, reads } = counting(source.view)
      const query: Query = { sort: { path: 'b', desc }, limit: 3 }
      const found = await textsFound(query, { ...source, view })
      expect(found).toEqual(await textsFound(query, withoutIndexes(source)))
      expect(reads.rows).toBeLessThan(50)
    }
  })

  test('gives the order of a sort by values that many instances have, from either end', async () => {
    const source = await manyDocuments()
    for (const desc of [false, true]) {
      const { view, reads } = counting(source.view)
      const query: Query = { sort: { path: 'a', desc }, skip: 1, limit: 3 }
      const found = await textsFound(query, { ...source, view })
      expect(found).toEqual(await textsFound(query, withoutIndexes(source)))
      expect(reads).toEqual({ rows: 3, entries: desc ? 8 : 4 })
      const all: Query = { sort: { path: 'a', desc }, limit: 250 }
      expect(await textsFound(all, { ...source, view })).toEqual(await textsFound(all, withoutIndexes(source)))
    }
  })

  test('decides what fits without the documents: those that are not answered are not read', async () => {
    const source = await manyDocuments()
    const { view, reads } = counting(source.view)
    const range: Query = { ands: [{ path: 'b', operation: 'lt', value: '500' }], skip: 2, limit: 2 }
    expect(await textsFound(range, { ...source, view })).toEqual(await textsFound(range, withoutIndexes(source)))
    const value: Query = {
      ands: [{ path: 'a', operation: 'eq', value: 3 }],
      skip: 50,
      limit: 1,
      sort: { path: '_id', desc: true },
    }
    expect(await textsFound(value, { ...source, view })).toEqual(await textsFound(value, withoutIndexes(source)))
    expect(reads.rows).toBe(3)
  })

  test('orders long strings that are cut alike by their ends', async () => {
    const ends = ['3', '1', '2', '1', '']
    const documents = ends.map((end, i): [string, string] => [
      `${i}`,
      JSON.stringify({ _id: `${i}`, a: `${CUT}${end}` }),
    ])
    const source = await collectionOf(new Map([...documents, ['x', '{"_id":"x","a":"b"}']]))
    for (const desc of [false, true]) {
      for (const limit of [1, 2, 4, 9]) {
        const query: Query = { sort: { path: 'a', desc }, limit }
        expect(await textsFound(query, source)).toEqual(await textsFound(query, withoutIndexes(source)))
      }
    }
  })

  test('ends reading early for the first instances of a value', async () => {
    const source = await manyDocuments()
    const { view, reads } = counting(source.view)
    const query: Query = { ands: [{ path: 'a', operation: 'eq', value: 3 }], limit: 2 }
    expect(await textsFound(query, { ...source, view })).toEqual(await textsFound(query, withoutIndexes(source)))
    expect(reads.rows).toBeLessThan(50)
  })

  test('that is being built serves no query', async () => {
    const source = await collectionOf(new Map([['a', '{"_id":"a","a":1}']]), [])
    const unready = { ...source, indexes: [indexOn('a', 1)] }
    expect(await find({ ands: [{ path: 'a', operation: 'eq', value: 1 }] }, unready)).toHaveLength(1)
    expect(await find({ index: 'a' }, unready)).toHaveLength(1)
  })

  test('that descends is not used', async () => {
    const source = await collectionOf(new Map([['a', '{"_id":"a","a":1}']]), [])
    const index: IndexDefinition = { ...indexOn('a', 1), fields: [{ path: 'a', desc: true }] }
    const descending = { ...source, indexes: [await buildIndex(await openMemoryStore(), index)] }
    expect(await find({ ands: [{ path: 'a', operation: 'eq', value: 1 }] }, descending)).toHaveLength(1)
  })

  test('of the empty path is no wish, and numbers below 0 are none', async () => {
    const source = await collectionOf(new Map([['a', '{"_id":"a"}']]))
    expect(await find({ index: '', seek: '', limit: -1, skip: -1 }, source)).toHaveLength(1)
  })

  test('wished by a path that is not indexed gives nothing', async () => {
    const source = await collectionOf(new Map([['a', '{"_id":"a","c":1}']]))
    expect(await find({ index: 'c' }, source)).toEqual([])
    expect(await find({ index: '_id' }, source)).toHaveLength(1)
  })
})

describe('ids', () => {
  test('an id that is asked for is read alone', async () => {
    const source = await manyDocuments()
    const { view, reads } = counting(source.view)
    const query: Query = { ands: [{ path: '_id', operation: 'eq', value: 'i0500' }] }
    expect(await find(query, { ...source, view })).toHaveLength(1)
    expect(reads).toEqual({ rows: 0, entries: 1 })
  })

  test('texts much longer than an id may be compare to ids', async () => {
    const source = await collectionOf(new Map(['a', 'b', 'c'].map((id) => [id, JSON.stringify({ _id: id })])))
    const seek = 'b'.repeat(100_000)
    expect(await textsFound({ seek }, source)).toEqual(['{"_id":"c"}'])
    expect(await textsFound({ ands: [{ path: '_id', operation: 'lt', value: seek }] }, source)).toHaveLength(2)
    expect(await textsFound({ ands: [{ path: '_id', operation: 'eq', value: seek }] }, source)).toEqual([])
  })

  test('instances of other collections, threads and generations are not found', async () => {
    const store = await openMemoryStore()
    const places = [
      { ...PLACE, collection: 'Thing' },
      { ...PLACE, thread: 8 },
      { ...PLACE, generation: 2 },
    ]
    const rows = places.map((place) => instanceRow('a', '{"_id":"a"}', place))
    await store.batch(rows, { sync: false })
    expect(await find({}, { ...PLACE, view: store, indexes: [] })).toEqual([])
  })
})

describe('stored bytes', () => {
  test('are answered as they are', async () => {
    const text = '{ "_id":"a", "n": 1.50, "n2":1e2, "a":1, "a":2 }'
    const source = await collectionOf(new Map([['a', text]]))
    const query: Query = { ands: [{ path: 'a', operation: 'eq', value: 2 }], sort: { path: 'n' } }
    expect(await textsFound(query, source)).toEqual([text])
  })
})

/** A read filter that hides an instance and a member. */
const serve: FindSource['serve'] = async (stored) =>
  stored.map((bytes) => {
    const { secret: _, ...shown } = JSON.parse(textOfUtf8(bytes))
    return shown.a === 1 ? undefined : utf8(JSON.stringify(shown))
  })

describe('a read filter', () => {
  const documents = new Map(
    ['a', 'b', 'c', 'd'].map((id, i): [string, string] => [id, JSON.stringify({ _id: id, a: i, secret: 9 - i })]),
  )
  test('hides instances before they are matched, skipped and limited', async () => {
    const source = { ...(await collectionOf(documents)), serve }
    const found = await textsFound({ skip: 1, limit: 2 }, source)
    expect(found).toEqual(['{"_id":"c","a":2}', '{"_id":"d","a":3}'])
  })

  test('hides members from criteria', async () => {
    const source = { ...(await collectionOf(documents, ['secret'])), serve }
    expect(await find({ ands: [{ path: 'secret', operation: 'eq', value: 9 }] }, source)).toEqual([])
  })

  test('hides members from sorting', async () => {
    const source = { ...(await collectionOf(documents, ['secret'])), serve }
    await expect(find({ sort: { path: 'secret' } }, source)).rejects.toThrow(/sorting field/)
  })

  test('leaves the order by id and seeking as they are', async () => {
    const source = { ...(await collectionOf(documents)), serve }
    const found = await textsFound({ sort: { path: '_id', desc: true }, seek: 'c' }, source)
    expect(found).toEqual(['{"_id":"c","a":2}', '{"_id":"a","a":0}'])
  })

  test('is asked in batches', async () => {
    const sizes: number[] = []
    const source = await manyDocuments()
    const passing: FindSource['serve'] = async (stored) => {
      sizes.push(stored.length)
      return stored
    }
    expect(await find({}, { ...source, serve: passing })).toHaveLength(1_000)
    expect(sizes.length).toBeLessThan(10)
  })
})
