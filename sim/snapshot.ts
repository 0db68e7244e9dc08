import { textOfUtf8 } from '../src/core/bytes.ts'
import type { CollectionReader, Database, Query } from '../src/db/index.ts'
import { PAIR } from './plan.ts'

interface Document {
  readonly _id: string
  readonly n: number
  readonly u: string
  readonly w: number
  readonly o?: { readonly p?: string }
}

/** What is wrong with one view of a collection: halves of transactions, or an index that tells other than the documents. */
export async function checkSnapshot(database: Database, name: string): Promise<string | undefined> {
  const view = await database.readTransaction(name)
  try {
    return await faultOf(view)
  } finally {
    await view.close()
  }
}

async function faultOf(view: CollectionReader): Promise<string | undefined> {
  const documents = (await view.find({})).map((bytes): Document => JSON.parse(textOfUtf8(bytes)))
  const [a, b] = PAIR.map((id) => documents.find(({ _id }) => _id === id))
  if (a?.w !== b?.w) return `half of a transaction: ${JSON.stringify([a, b])}`
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

/** Texts that are looked up. */
const MAX_TEXTS = 6

interface Question {
  readonly query: Query
  readonly holds: (document: Document) => boolean
}

function questions(documents: readonly Document[]): Question[] {
  const byNumber = Array.from({ length: 10 }, (_, n): Question => {
    return { query: { ands: [{ path: 'n', operation: 'eq', value: n }] }, holds: (each) => each.n === n }
  })
  const atLeast = [2, 7].map((n): Question => {
    return { query: { ands: [{ path: 'n', operation: 'ge', value: n }] }, holds: (each) => each.n >= n }
  })
  const values = ['shared 1', 'shared 2', ...documents.slice(0, MAX_TEXTS).map(({ u }) => u)]
  const byText = values.map((u): Question => {
    return { query: { ands: [{ path: 'u', operation: 'eq', value: u }] }, holds: (each) => each.u === u }
  })
  const byMember = ['x', 'y'].map((p): Question => {
    return {
      query: { ands: [{ path: 'o.p', operation: 'eq', value: p }] },
      holds: (each) => each.o?.p === p,
    }
  })
  return [...byNumber, ...atLeast, ...byText, ...byMember]
}
