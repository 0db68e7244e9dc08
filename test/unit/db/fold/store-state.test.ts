import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { utf8 } from '../../../../src/core/bytes.ts'
import { type FoldRecord, type FoldResult, fold, type Rejudge } from '../../../../src/db/fold/fold.ts'
import { createFoldState, foldOperations } from '../../../../src/db/fold/store-state.ts'
import { decodeRefusal, refusalRange } from '../../../../src/db/rows.ts'
import { openMemoryStore } from '../../../../src/store/memory-store.ts'
import type { Change } from '../../../../src/store/commit.ts'
import { peerIdToBytes } from '../../../../src/core/peer-id.ts'
import type { OrderedStore } from '../../../../src/store/ordered-store.ts'
import type { PlainEvent } from '../../../support/fold-oracle.ts'
import { type Story, story, storyJudge, tell } from '../../../support/fold-stories.ts'
import { digestOf, FoldWorld, foldRecordOf, logNumbered } from '../../../support/fold-world.ts'

const THREAD = 3
const GENERATION = 1

/** Folds into a store, over the records and validators of a world in memory. */
async function foldInto(
  store: OrderedStore,
  world: FoldWorld,
  work: { records: readonly FoldRecord[]; rejudge: readonly Rejudge[] },
): Promise<{ result: FoldResult; changes: Change[] }> {
  const result = await fold(work, {
    state: createFoldState({
      view: store,
      thread: THREAD,
      generation: GENERATION,
      record: (position) => world.record(position),
    }),
    judge: world.judge,
    validators: (collection) => (world.validators.get(collection) ?? []).map((entry) => ({ ...entry, judge: 'v1' })),
  })
  const { operations, changes } = foldOperations(result, THREAD, GENERATION)
  await store.batch(operations, { sync: false })
  return { result, changes }
}

async function follow(told: Story): Promise<void> {
  const store = await openMemoryStore()
  const world = new FoldWorld(storyJudge)
  await tell(told, {
    validators: world.validators,
    async fold(records, rejudge = []) {
      const { result } = await foldInto(store, world, { records, rejudge })
      expect(result).toEqual(await world.fold(records, rejudge))
    },
  })
  const refused = []
  for await (const [key, row] of store.entries(refusalRange(THREAD, GENERATION))) refused.push(decodeRefusal(key, row))
  expect(refused).toHaveLength(world.refusals.size)
  expect([...world.refusals.values()]).toEqual(expect.arrayContaining(refused))
  await store.close()
}

test('what is stored in rows is read back as it was', async () => {
  await fc.assert(fc.asyncProperty(story(40), follow), { numRuns: 150 })
}, 60_000)

test('changes tell documents before and after, and only where they differ', async () => {
  const store = await openMemoryStore()
  const world = new FoldWorld()
  let counter = 0
  const write = async (...events: Omit<PlainEvent, 'collection' | 'id' | 'timestamp'>[]): Promise<Change[]> => {
    counter += 1
    const body = events.map((event) => ({ ...event, collection: 'Dog', id: 'x', timestamp: BigInt(counter) }))
    const plain = { log: peerIdToBytes(logNumbered(1)), counter, writer: 'ann', digest: digestOf(`${counter}`), body }
    const records = [foldRecordOf(plain, 0n)]
    const { changes } = await foldInto(store, world, { records, rejudge: [] })
    await world.fold(records)
    return changes
  }
  const first = utf8('{"_id":"x","a":1}')
  const second = utf8('{"_id":"x","a":2}')
  const place = { collection: 'Dog', id: 'x' }

  expect(await write({ type: 'delete' })).toEqual([])
  expect(await write({ type: 'create', patch: '{"_id":"x","a":1}' })).toEqual([
    { ...place, kind: 'created', after: first },
  ])
  expect(await write({ type: 'save', patch: '{"a":1}' })).toEqual([])
  expect(await write({ type: 'save', patch: '{"a":2}' })).toEqual([
    { ...place, kind: 'saved', before: first, after: second },
  ])
  expect(await write({ type: 'delete' })).toEqual([{ ...place, kind: 'deleted', before: second }])
  expect(await write({ type: 'create', patch: '{"_id":"x"}' }, { type: 'delete' })).toEqual([])
  await store.close()
})
