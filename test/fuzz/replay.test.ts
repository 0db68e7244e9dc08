/** Rows made anew from all records are those that came of the records as they arrived, and what the oracle says. */
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { expect, test } from 'vitest'
import { textOfUtf8 } from '../../src/core/bytes.ts'
import { peerIdFromBytes, peerIdToBytes } from '../../src/core/peer-id.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { compareRows } from '../../src/db/compare-rows.ts'
import type { DatabaseDefinition } from '../../src/db/definition.ts'
import { derivedRows } from '../../src/db/folder.ts'
import { fold, type FoldRecord, type Rejudge } from '../../src/db/fold/fold.ts'
import { positionName } from '../../src/db/fold/position.ts'
import { createFoldState } from '../../src/db/fold/store-state.ts'
import { ENTRY_ENCODING, type IndexDefinition } from '../../src/db/indexes/definition.ts'
import { replay } from '../../src/db/replay.ts'
import { decodeInstance, readInstanceKey } from '../../src/db/rows.ts'
import type { ChainKey, ThreadRecord } from '../../src/net/index.ts'
import { rowRange } from '../../src/store/key-codec.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { OrderedStore } from '../../src/store/ordered-store.ts'
import { oracle, type PlainRecord, type PlainValidator } from '../support/fold-oracle.ts'
import { type Story, story, storyJudge, tell } from '../support/fold-stories.ts'
import { bodyOf, CountingJudge, digestOf, logNumbered, writerNamed } from '../support/fold-world.ts'

const THREAD = 1
const DAG_CBOR = 0x71
const SHA_256 = 0x12

function definitionWith(validators: ReadonlyMap<string, readonly PlainValidator[]>): DatabaseDefinition {
  const fields = [{ path: 'a', desc: false }]
  const index: IndexDefinition = { number: 1, fields, unique: false, encoding: ENTRY_ENCODING, ready: true }
  const functions = { writeValidator: '', readFilter: '' }
  return {
    kind: 'db',
    name: 'story',
    generation: 1,
    lastIndex: 1,
    collections: [{ name: 'Dog', schema: '{}', shownSchema: '{}', indexes: [index], ...functions }],
    validators: [...validators].map(([collection, list]) => ({
      collection,
      list: list.map((entry) => ({ ...entry, judge: 'v1' })),
    })),
  }
}

function threadRecordOf(record: PlainRecord): ThreadRecord {
  const logId = peerIdFromBytes(record.log)
  const cid = CID.createV1(DAG_CBOR, Digest.create(SHA_256, record.digest))
  const nothing = new Uint8Array()
  return {
    threadId: 'thread' as ThreadId,
    logId,
    chain: logId,
    counter: record.counter,
    cid,
    eventCid: cid,
    author: writerNamed(record.writer),
    blocks: { recordNode: nothing, eventNode: nothing, headerNode: nothing, bodyNode: nothing },
    body: bodyOf(record),
  }
}

/** Folds a story into rows, as the records arrive. */
async function foldInto(store: OrderedStore, told: Story): Promise<Map<string, PlainValidator[]>> {
  const validators = new Map<string, PlainValidator[]>()
  const judge = new CountingJudge(storyJudge)
  const folded = new Map<string, FoldRecord>()
  const state = createFoldState({
    view: store,
    thread: THREAD,
    generation: 1,
    record: async (position) => folded.get(positionName(position)) ?? Promise.reject(new Error('not folded yet')),
  })
  await tell(told, {
    validators,
    async fold(records: readonly FoldRecord[], rejudge: readonly Rejudge[] = []) {
      const definition = definitionWith(validators)
      const lists = (collection: string) =>
        definition.validators.find((each) => each.collection === collection)?.list ?? []
      const result = await fold({ records, rejudge }, { state, judge, validators: lists })
      await store.batch(derivedRows(result, THREAD, definition).operations, { sync: false })
      for (const record of records) folded.set(positionName(record.position), record)
    },
  })
  return validators
}

async function check(told: Story): Promise<void> {
  const stored = await openMemoryStore()
  const validators = await foldInto(stored, told)
  const records = new Map(told.records.map((each) => [`${peerIdFromBytes(each.log)} ${each.counter}`, each]))
  const chains = new Map<ChainKey, number>()
  for (const { log, counter } of told.records) chains.set(peerIdFromBytes(log), counter)
  const read = async (log: ChainKey, counter: number): Promise<ThreadRecord> => {
    const record = records.get(`${log} ${counter}`)
    if (record === undefined) throw new Error('there is no such record')
    return threadRecordOf(record)
  }
  const recordOf: Parameters<typeof replay>[0]['recordOf'] = ({ logId, counter }) => read(logId, counter)
  const definition = definitionWith(validators)
  const made = await openMemoryStore()
  const store = {
    view: made,
    store: (operations: Parameters<OrderedStore['batch']>[0]) => made.batch(operations, { sync: false }),
  }
  const source = { thread: THREAD, chains, branches: new Map(), record: read, recordOf }
  await replay(source, store, { definition, judge: new CountingJudge(storyJudge) })

  const reports: string[] = []
  const writer = async (place: Parameters<typeof recordOf>[0]) => (await recordOf(place)).author
  await compareRows({ thread: THREAD, definition, stored, made, writer, report: (what) => reports.push(what) })
  expect(reports).toEqual([])
  const documents = new Map<string, string>()
  for await (const [key, row] of made.entries(rowRange('d', THREAD))) {
    const { document } = decodeInstance(row)
    const { collection, id } = readInstanceKey(key)
    if (document !== undefined) documents.set(`${collection}/${id}`, textOfUtf8(document))
  }
  const plain = oracle(told.records, validators, storyJudge).documents
  expect(documents).toEqual(new Map([...plain].map(([name, { text }]) => [name, text])))
}

test('short histories', async () => {
  await fc.assert(fc.asyncProperty(story(14), check), { numRuns: 150 })
}, 120_000)

test('long histories, with kept documents', async () => {
  await fc.assert(fc.asyncProperty(story(150), check), { numRuns: 5 })
}, 120_000)

test('more records than are folded at once', async () => {
  const [log, other] = [logNumbered(1), logNumbered(2)].map(peerIdToBytes)
  if (log === undefined || other === undefined) throw new Error('there are two logs')
  const records = Array.from({ length: 1_200 }, (_, at): PlainRecord => {
    const id = `n${at % 300}`
    const patch = JSON.stringify({ _id: id, a: at })
    const event = { type: 'save', collection: 'Dog', id, timestamp: BigInt(at % 900), patch } as const
    const counter = Math.floor(at / 2) + 1
    return { log: at % 2 === 0 ? log : other, counter, digest: digestOf(`${at}`), writer: 'ann', body: [event] }
  })
  await check({ records, steps: [], together: false })
}, 120_000)
