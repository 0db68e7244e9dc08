import { textOfUtf8 } from '../src/core/bytes.ts'
import type { CollectionReader, Database, Query } from '../src/db/index.ts'
import { PAIR, type PlannedThread } from './plan.ts'

interface Document {
  readonly _id: string
  readonly n: number
  readonly u: string
  readonly w: number
}

/** What is wrong with one view of a collection: halves of transactions, or an index that tells other than the documents. */
export async function checkSnapshot(
  database: Database,
  thread: PlannedThread,
  name: string,
): Promise<string | undefined> {
  const view = await database.readTransaction(name)
  try {
    const config = thread.collections.find((each) => each.name === name)
    return await faultOf(view, (config?.indexes ?? []).length > 0)
  } finally {
    await view.close()
  }
}

async function faultOf(view: CollectionReader, isIndexed: boolean): Promise<string | undefined> {
  const documents = (await view.find({})).map((bytes): Document => JSON.parse(textOfUtf8(bytes)))
  const [a, b] = PAIR.map((id) => documents.find(({ _id }) => _id === id))
  if (a?.w !== b?.w) return `half of a transaction: ${JSON.stringify([a, b])}`
  if (!isIndexed) return undefined
  for (const { query, holds } of questions(documents)) {
    const answer = (await view.find(query)).map((bytes): Document => JSON.parse(textOfUtf8(bytes)))
    const expected = documents.filter(holds)
    if (ids(answer) !== ids(expected)) {
      return `an index that answers ${ids(answer)}, not ${ids(expected)}, to ${JSON.stringify(query)}`
    }
  }
  return undefined
}

function ids(documents: readonly Document[]): string {
  return documents
    .map(({ _id }) => _id)
    .toSorted()
    .join(' ')
}

interface Question {
  readonly query: Query
  readonly holds: (document: Document) => boolean
}

function questions(documents: readonly Document[]): Question[] {
  const byNumber = Array.from({ length: 10 }, (_, n): Question[] => [
    { query: { ands: [{ path: 'n', operation: 'eq', value: n }], index: 'n' }, holds: (each) => each.n === n },
    { query: { ands: [{ path: 'n', operation: 'ge', value: n }], index: 'n' }, holds: (each) => each.n >= n },
  ])
  const values = new Set(['shared 1', ...documents.map(({ u }) => u)])
  const byText = [...values].map((u): Question => {
    return { query: { ands: [{ path: 'u', operation: 'eq', value: u }], index: 'u' }, holds: (each) => each.u === u }
  })
  return [...byNumber.flat(), ...byText]
}
