import * as fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { toHex, utf8 } from '../../../../src/core/bytes.ts'
import type { EventData } from '../../../../src/core/events.ts'
import type { IndexDefinition } from '../../../../src/db/indexes/definition.ts'
import { entryKey, indexRange } from '../../../../src/db/indexes/entry.ts'
import {
  backfill,
  CHUNK_INSTANCES,
  findDuplicates,
  indexOperations,
  uniqueConflict,
} from '../../../../src/db/indexes/maintain.ts'
import { parseDocument } from '../../../../src/db/json.ts'
import { documentOfInstance, instanceKey } from '../../../../src/db/rows.ts'
import { openMemoryStore } from '../../../../src/store/memory-store.ts'
import type { OrderedStore } from '../../../../src/store/ordered-store.ts'
import { buildIndex, instanceRow, PLACE } from '../../../support/instance-rows.ts'
import { memberValues } from '../../../support/json-values.ts'

let store: OrderedStore

beforeEach(async () => {
  store = await openMemoryStore()
})

function indexOn(path: string, { number = 1, unique = false } = {}): IndexDefinition {
  return { number, fields: [{ path, desc: false }], unique, encoding: 1, ready: false }
}

/** Writes an instance as a database does: its row and its entries in one batch. */
async function write(id: string, text: string | undefined, indexes: readonly IndexDefinition[]): Promise<void> {
  const row = await store.get(instanceKey(PLACE.thread, PLACE.generation, { collection: PLACE.collection, id }))
  const document = row && documentOfInstance(row)
  const before = document && parseDocument(document)
  const after = text === undefined ? undefined : parseDocument(text)
  const entries = indexOperations(indexes, { ...PLACE, id }, { before, after })
  await store.batch([instanceRow(id, text), ...entries], { sync: false })
}

async function storedEntries(index: IndexDefinition): Promise<string[]> {
  const keys: string[] = []
  for await (const [key] of store.entries(indexRange(PLACE, index))) keys.push(toHex(key))
  return keys
}

function entriesOf(documents: ReadonlyMap<string, string | undefined>, index: IndexDefinition): string[] {
  const keys = [...documents].flatMap(([id, text]) =>
    text === undefined ? [] : [toHex(entryKey(PLACE, index, { id, document: JSON.parse(text) }))],
  )
  return keys.toSorted()
}

const writes = fc.record({
  id: fc.constantFrom('a', 'b', 'c', 'd'),
  document: fc.option(fc.record({ a: memberValues, b: memberValues }), { nil: undefined }),
})

describe('entries are those of the current documents', () => {
  test('after any writes, wherever between them the index was built', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(writes), fc.array(writes), fc.array(writes), async (before, during, after) => {
        store = await openMemoryStore()
        const index = indexOn('a')
        const other = { ...indexOn('b', { number: 2 }), ready: true }
        const documents = new Map<string, string | undefined>()
        const writeAll = async (steps: typeof before, indexes: IndexDefinition[]): Promise<void> => {
          for (const { id, document } of steps) {
            const text = document && JSON.stringify({ _id: id, ...document })
            documents.set(id, text)
            await write(id, text, indexes)
          }
        }
        await writeAll(before, [other])
        await writeAll(during, [index, other])
        await buildIndex(store, index)
        await writeAll(after, [index, other])
        expect(await storedEntries(index)).toEqual(entriesOf(documents, index))
        expect(await storedEntries(other)).toEqual(entriesOf(documents, other))
      }),
    )
  })

  test('after writes between the chunks of a build', async () => {
    const index = indexOn('a')
    const documents = new Map<string, string | undefined>()
    for (let i = 0; i < 2.5 * CHUNK_INSTANCES; i++) documents.set(`i${i}`, `{"_id":"i${i}","a":${i}}`)
    const rows = [...documents].map(([id, text]) => instanceRow(id, text))
    await store.batch(rows, { sync: false })
    let chunks = 0
    let afterId: string | undefined
    do {
      const { entries, lastId } = await backfill(index, { ...PLACE, view: store }, afterId)
      expect(entries.length).toBeLessThanOrEqual(CHUNK_INSTANCES)
      await store.batch(
        entries.map((entry) => ({ type: 'put', ...entry })),
        { sync: false },
      )
      chunks++
      afterId = lastId
      for (const [id, text] of [
        [`i${chunks}`, undefined],
        [`i9${chunks}`, `{"a":"changed"}`],
        [`i0new${chunks}`, `{"a":1}`],
        [`z${chunks}`, '{"a":2}'],
      ] as const) {
        documents.set(id, text)
        await write(id, text, [index])
      }
    } while (afterId !== undefined)
    expect(chunks).toBe(3)
    expect(await storedEntries(index)).toEqual(entriesOf(documents, index))
  })
})

describe('operations', () => {
  const place = { ...PLACE, id: 'a' }

  test('are none where the indexed member stays', () => {
    const change = { before: parseDocument('{"a":1,"b":1}'), after: parseDocument('{"b":2,"a":1.0}') }
    expect(indexOperations([indexOn('a')], place, change)).toEqual([])
  })

  test('are none for an instance that comes and goes without a document', () => {
    expect(indexOperations([indexOn('a')], place, { before: undefined, after: undefined })).toEqual([])
  })

  test('put an entry for an instance without the member too', () => {
    const operations = indexOperations([indexOn('a')], place, { before: undefined, after: {} })
    expect(operations.map((operation) => operation.type)).toEqual(['put'])
  })
})

describe('a unique index', () => {
  const index = { ...indexOn('a', { unique: true }), ready: true }

  async function given(...texts: readonly string[]): Promise<void> {
    for (const [i, text] of texts.entries()) await write(`i${i}`, text, [index])
  }

  function check(...events: readonly EventData[]): Promise<void> {
    return uniqueConflict([index], events, { ...PLACE, view: store })
  }

  const VIOLATION = 'error when indexing created data: unique constraint violation'

  test('refuses a value that another instance holds', async () => {
    await given('{"a":1}')
    await expect(check(event('create', 'x', '{"_id":"x","a":1.0}'))).rejects.toThrow(VIOLATION)
    await expect(check(event('save', 'x', '{"_id":"x","a":1}'))).rejects.toThrow(VIOLATION)
  })

  test('lets an instance keep its value', async () => {
    await given('{"a":1}')
    await check(event('save', 'i0', '{"b":2}'))
    await check(event('save', 'i0', '{"a":1}'))
  })

  test('sees the value that a patch leaves', async () => {
    await given('{"a":1}', '{"a":2,"b":1}')
    await expect(check(event('save', 'i1', '{"a":1}'))).rejects.toThrow(VIOLATION)
    await check(event('save', 'i1', '{"a":null}'))
  })

  test('counts values that the transaction gives up as free', async () => {
    await given('{"a":1}', '{"a":2}')
    await check(event('delete', 'i0'), event('create', 'x', '{"_id":"x","a":1}'))
    await check(event('save', 'i0', '{"a":2}'), event('save', 'i1', '{"a":1}'))
    await check(event('create', 'x', '{"_id":"x","a":1}'), event('delete', 'x'))
  })

  test('refuses equal values within the transaction', async () => {
    const events = [event('create', 'x', '{"_id":"x","a":"v"}'), event('create', 'y', '{"_id":"y","a":"v"}')]
    await expect(check(...events)).rejects.toThrow(VIOLATION)
  })

  test('tells values of different types apart', async () => {
    await given('{"a":1}', '{"a":true}', '{"a":""}')
    await check(event('create', 'x', '{"_id":"x","a":"1"}'))
    await check(event('create', 'x', '{"_id":"x","a":"true"}'))
    await check(event('create', 'x', '{"_id":"x","a":null}'))
  })

  test('takes null for a value and a missing member for none', async () => {
    await given('{"a":null}', '{}')
    await expect(check(event('create', 'x', '{"_id":"x","a":null}'))).rejects.toThrow(VIOLATION)
    await check(event('create', 'x', '{"_id":"x"}'), event('create', 'y', '{"_id":"y"}'))
  })

  test('compares long strings as a whole', async () => {
    const long = 'a'.repeat(600)
    await given(`{"a":"${long}1"}`)
    await check(event('create', 'x', `{"_id":"x","a":"${long}2"}`))
    await expect(check(event('create', 'x', `{"_id":"x","a":"${long}1"}`))).rejects.toThrow(VIOLATION)
  })

  test('finds equal values among existing instances', async () => {
    const place = { ...PLACE, view: store }
    await given('{"a":1}', '{"a":"1"}', '{"a":null}', '{}', '{}')
    expect(await findDuplicates(index, place)).toBe(false)
    await store.batch([instanceRow('j', '{"a":1e0}')], { sync: false })
    expect(await findDuplicates(index, place)).toBe(true)
    await store.batch([instanceRow('j', undefined)], { sync: false })
    expect(await findDuplicates(index, place)).toBe(false)
  })
})

function event(type: 'create' | 'save' | 'delete', id: string, patch?: string): EventData {
  const bytes = patch === undefined ? undefined : utf8(patch)
  return { id, type, patch: bytes, timestamp: 1n, collection: PLACE.collection, instanceId: id }
}
