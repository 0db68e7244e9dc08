import { expect, test } from 'vitest'
import type { IndexDefinition } from '../../../../src/db/indexes/definition.ts'
import { candidatePages } from '../../../../src/db/query/candidates.ts'
import { planQuery } from '../../../../src/db/query/plan.ts'
import type { Query } from '../../../../src/db/query/query.ts'
import { openMemoryStore } from '../../../../src/store/memory-store.ts'
import { buildIndex, instanceRow, PLACE } from '../../../support/instance-rows.ts'

const INDEX: IndexDefinition = {
  number: 1,
  fields: [{ path: 'a', desc: false }],
  unique: false,
  encoding: 1,
  ready: false,
}

/** How many instances the pages of a query have, in a collection of 300 with documents of some bytes each. */
async function pagesOf(query: Query, bytes: number): Promise<number[]> {
  const store = await openMemoryStore()
  const note = 'x'.repeat(bytes)
  const rows = Array.from({ length: 300 }, (_, i) => instanceRow(`i${i}`, JSON.stringify({ _id: `i${i}`, a: 1, note })))
  await store.batch(rows, { sync: false })
  const place = { ...PLACE, view: store, indexes: [await buildIndex(store, INDEX)], filtered: false }
  const plan = planQuery(query, place)
  if (plan === undefined) throw new Error('nothing is planned')
  const sizes: number[] = []
  for await (const page of candidatePages(plan, place, Number.POSITIVE_INFINITY)) sizes.push(page.length)
  return sizes
}

test('a page of rows is bounded by its instances and by its bytes', async () => {
  expect(await pagesOf({}, 10)).toEqual([256, 44])
  expect(await pagesOf({}, 100_000)).toEqual([...Array.from({ length: 27 }, () => 11), 3])
})

test('a page of entries is smaller: their documents may be of any size', async () => {
  const query: Query = { ands: [{ path: 'a', operation: 'eq', value: 1 }] }
  expect(await pagesOf(query, 10)).toEqual([64, 64, 64, 64, 44])
})
