/** What repairs of threads and logs are made of. Each step can be cut off by a crash and is done again then. */
import { cidOf } from '../core/cbor.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import { type Mendable, removeRange } from '../store/mendable.ts'
import type { KeyRange, Operation, ReadView } from '../store/ordered-store.ts'
import { recordBytes } from './append.ts'
import { recordIdKeyOf, THREAD_LETTERS } from './deletion.ts'
import { decodeRecordRow, encodeLogRow, type LogState, logRowKey, recordRowKey, recordRowRange } from './rows.ts'

/** Rows deleted in one batch. */
const CHUNK = 1_000

/** Gives a log this last record, or none, and removes those behind it. A retired one is not written here any more. */
export async function cutLog(
  store: Mendable,
  { thread, log }: { thread: number; log: LogState },
  { counter, retire }: { counter: number; retire: boolean },
): Promise<LogState> {
  const row = counter === 0 ? undefined : await store.reads.get(recordRowKey(thread, log.number, counter))
  const cid = row && cidOf(decodeRecordRow(row).recordNode)
  // Only the owner knows the time of that record. It folds nothing before it has made its rows anew, and the time right.
  const cursor = { ...log.cursor, counter: Math.min(log.cursor.counter, counter) }
  const attestation = counter === log.head.counter ? log.attestation : undefined
  const bytes = await bytesUpTo(store.reads, { thread, log: log.number, counter })
  const cut = { ...log, head: { counter, cid }, attestation, cursor, bytes, retired: log.retired || retire }
  // The head first: what is behind it is found again by this.
  await store.mend([{ type: 'put', key: logRowKey(thread, log.number), value: encodeLogRow(cut) }])
  await removeRecords(store, recordRowRange(thread, log.number, counter + 1))
  return cut
}

async function bytesUpTo(
  reads: ReadView,
  { thread, log, counter }: { thread: number; log: number; counter: number },
): Promise<number> {
  let bytes = 0
  const range = { gte: recordRowKey(thread, log, 1), lt: recordRowKey(thread, log, counter + 1) }
  for await (const [, value] of reads.entries(range)) bytes += recordBytes(decodeRecordRow(value))
  return bytes
}

/** Removes a log, or a branch of one. */
export async function removeLog(store: Mendable, thread: number, log: number): Promise<void> {
  await removeRecords(store, recordRowRange(thread, log, 1))
  await store.mend([{ type: 'del', key: logRowKey(thread, log) }])
}

/** Removes records with the rows that find them by id. */
export async function removeRecords(store: Mendable, range: KeyRange): Promise<void> {
  let operations: Operation[] = []
  for await (const [key, value] of store.reads.entries(range)) {
    const idKey = recordIdKeyOf(key, value)
    if (idKey !== undefined) operations.push({ type: 'del', key: idKey })
    operations.push({ type: 'del', key })
    if (operations.length < CHUNK) continue
    await store.mend(operations)
    operations = []
  }
  if (operations.length > 0) await store.mend(operations)
}

/** Writes the rows by which the records of a log are found by id. */
export async function putRecordIds(
  store: Mendable,
  { thread, log }: { thread: number; log: Pick<LogState, 'number'> },
): Promise<void> {
  let operations: Operation[] = []
  for await (const [key, value] of store.reads.entries(recordRowRange(thread, log.number, 1))) {
    const idKey = recordIdKeyOf(key, value)
    if (idKey !== undefined) operations.push({ type: 'put', key: idKey, value: NOTHING })
    if (operations.length < CHUNK) continue
    await store.mend(operations)
    operations = []
  }
  if (operations.length > 0) await store.mend(operations)
}

const NOTHING = new Uint8Array(0)

/** Removes all rows of a thread but its own. */
export async function removeThreadRows(store: Mendable, thread: number): Promise<void> {
  await removeRecords(store, rowRange('r', thread))
  for (const letter of THREAD_LETTERS) await removeRange(store, rowRange(letter, thread))
}

/** Numbers of the threads that have rows besides their own, whether they have that or not. */
export async function threadsWithRows(reads: ReadView): Promise<Set<number>> {
  const threads = new Set<number>()
  for (const letter of THREAD_LETTERS) {
    for await (const thread of firstParts(reads, rowRange(letter))) threads.add(thread)
  }
  return threads
}

/** Numbers of the logs of a thread that have records. */
export async function logsWithRecords(reads: ReadView, thread: number): Promise<number[]> {
  const logs: number[] = []
  let range: KeyRange = rowRange('r', thread)
  for (;;) {
    const key = await firstKey(reads, range)
    if (key === undefined) return logs
    const parts = new KeyReader(key)
    parts.number()
    const log = parts.number()
    logs.push(log)
    range = { ...range, gte: rowRange('r', thread, log).lt }
  }
}

/** The numbers that keys of a range begin with, each once. */
async function* firstParts(reads: ReadView, whole: KeyRange): AsyncGenerator<number> {
  let range = whole
  for (;;) {
    const key = await firstKey(reads, range)
    if (key === undefined) return
    const parts = new KeyReader(key)
    const number = parts.number()
    yield number
    range = { ...range, gte: rowRange(parts.letter, number).lt }
  }
}

async function firstKey(reads: ReadView, range: KeyRange): Promise<Uint8Array | undefined> {
  for await (const [key] of reads.entries({ ...range, limit: 1 })) return key
  return undefined
}
