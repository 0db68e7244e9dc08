import { expect } from 'vitest'
import { textOfUtf8, utf8 } from '../../src/core/bytes.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { defineIndex, type IndexDefinition } from '../../src/db/indexes/definition.ts'
import { find, type FindSource } from '../../src/db/query/find.ts'
import { parseQuery } from '../../src/db/query/parse.ts'
import { compileSchema } from '../../src/db/schema/index.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { buildIndex, instanceRow } from '../support/instance-rows.ts'
import { testVectors, VectorCase } from '../support/vectors.ts'
import { answerIn, QUERIES } from './differences.ts'

const sources = new Map<string, Promise<FindSource>>()

testVectors('queries.json', {
  async case(one, head) {
    const collection = one.string('collection')
    const loading = sources.get(collection) ?? load(collection, head)
    sources.set(collection, loading)
    const source = await loading
    const documents = await run(one.string('query'), source)
    const ours = answerIn(QUERIES, one.string('name'))
    if (ours === undefined) checkOutcome(documents, one)
    else expect(idsOf(documents)).toEqual(ours(idsOf(await run('{}', source))))
  },
})

type Instance = Readonly<Record<string, unknown>>
type Outcome = readonly Instance[] | ThreadsError

async function run(query: string, source: FindSource): Promise<Outcome> {
  try {
    const documents = await find(parseQuery(utf8(query)), source)
    return documents.map((document): Instance => JSON.parse(textOfUtf8(document)))
  } catch (error) {
    if (error instanceof ThreadsError) return error
    throw error
  }
}

function checkOutcome(outcome: Outcome, one: VectorCase): void {
  const [right] =
    one.fault && one.has('expected') ? new VectorCase({ list: [one.value('expected')] }).list('list') : [one]
  if (right === undefined) throw new Error('the case expects nothing')
  if (right.has('error')) {
    if (!(outcome instanceof ThreadsError)) throw new Error(`answered ${outcome.length} documents`)
    expect(outcome.code).toBe('INVALID_QUERY')
    // Where Go dies, any text that begins so will do.
    if (one.fault) expect(outcome.message).toContain(right.string('error'))
    else expect(outcome.message).toBe(right.string('error'))
    return
  }
  const ids = right.value('ids') as readonly string[]
  if (one.value('anyOrder') === true) expect(idsOf(outcome).toSorted()).toEqual(ids.toSorted())
  else if (one.value('ties') === true) checkTies(outcome, { ids, query: one.string('query') })
  else expect(idsOf(outcome)).toEqual(ids)
}

function idsOf(outcome: Outcome): string[] {
  if (outcome instanceof ThreadsError) throw outcome
  return outcome.map(idOf)
}

function idOf(instance: Instance): string {
  return String(instance['_id'])
}

/** Instances whose sort values are equal may change places. */
function checkTies(outcome: Outcome, { ids, query }: { ids: readonly string[]; query: string }): void {
  expect(idsOf(outcome).toSorted()).toEqual(ids.toSorted())
  if (outcome instanceof ThreadsError) throw outcome
  const path = parseQuery(utf8(query)).sort?.path ?? ''
  const values = new Map(outcome.map((instance) => [idOf(instance), JSON.stringify(valueAt(instance, path))]))
  expect(outcome.map((instance) => values.get(idOf(instance)))).toEqual(ids.map((id) => values.get(id)))
}

function valueAt(instance: Instance, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => Object(value)[name] as unknown, instance)
}

/** A collection of the vectors in a store of its own, with its indexes built after its documents came. */
async function load(name: string, head: VectorCase): Promise<FindSource> {
  const texts = head.value('documents') as Readonly<Record<string, string>>
  const [collection] = new VectorCase({ list: [(head.value('collections') as Record<string, unknown>)[name]] }).list(
    'list',
  )
  if (collection === undefined) throw new Error(`no collection ${name}`)
  const place = { thread: 1, generation: 1, collection: name }
  const store = await openMemoryStore()
  const ids = collection.value('ids') as readonly string[]
  await store.batch(
    ids.map((id) => instanceRow(id, texts[id], place)),
    { sync: false },
  )
  const schema = compileSchema(JSON.stringify(collection.value('schema')))
  const indexes: IndexDefinition[] = []
  for (const [i, path] of ((collection.value('indexes') ?? []) as readonly string[]).entries()) {
    indexes.push(await buildIndex(store, defineIndex(schema, { path }, i + 1), place))
  }
  const source = { ...place, view: store, indexes }
  return collection.has('readFilter') ? { ...source, serve: readFilter } : source
}

/** The read filter of the vectors, written out. */
async function readFilter(documents: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
  return documents.map((document) => {
    const instance: Record<string, unknown> = JSON.parse(textOfUtf8(document))
    if (instance['grp'] === 3) return undefined
    return utf8(JSON.stringify({ ...instance, name: 'shown', n: -1 }))
  })
}
