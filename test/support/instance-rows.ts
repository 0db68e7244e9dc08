import { utf8 } from '../../src/core/bytes.ts'
import { documentHash, type InstanceState } from '../../src/db/fold/state.ts'
import type { IndexDefinition } from '../../src/db/indexes/definition.ts'
import { backfill } from '../../src/db/indexes/maintain.ts'
import { encodeInstance, instanceKey } from '../../src/db/rows.ts'
import type { Operation, OrderedStore } from '../../src/store/ordered-store.ts'
import { digestOf, logNumbered } from './fold-world.ts'

export const PLACE = { thread: 7, generation: 1, collection: 'Things' }

const POSITION = { time: 1n, logId: logNumbered(0), counter: 1, digest: digestOf('record') }

/** The row that the fold leaves of an instance; without a document for one that was deleted. */
export function instanceRow(id: string, text: string | undefined, place: typeof PLACE = PLACE): Operation {
  const document = text === undefined ? undefined : utf8(text)
  const state: InstanceState = {
    document,
    position: POSITION,
    hash: documentHash(document),
    creator: undefined,
    sinceKept: 0,
  }
  return {
    type: 'put',
    key: instanceKey(place.thread, place.generation, { collection: place.collection, id }),
    value: encodeInstance(state),
  }
}

/** Builds an index over what a store holds. Chunks are stored one by one, as a database does it. */
export async function buildIndex(
  store: OrderedStore,
  index: IndexDefinition,
  place: typeof PLACE = PLACE,
): Promise<IndexDefinition> {
  let afterId: string | undefined
  do {
    const { entries, lastId } = await backfill(index, { ...place, view: store }, afterId)
    await store.batch(
      entries.map((entry) => ({ type: 'put', ...entry })),
      { sync: false },
    )
    afterId = lastId
  } while (afterId !== undefined)
  return { ...index, ready: true }
}
