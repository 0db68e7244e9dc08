/** What repairs of threads and logs are made of. Each step can be cut off by a crash and is done again then. */
import { cidOf } from '../core/cbor.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import type { KeyRange, Operation, ReadView } from '../store/ordered-store.ts'
import { recordIdKeyOf, THREAD_LETTERS } from './deletion.ts'
import { decodeRecordRow, encodeLogRow, type LogState, logRowKey, recordRowKey, recordRowRange } from './rows.ts'

/** A store in which nobody else writes. */
export interface Mendable {
  readonly reads: ReadView
  /** Writes durably. */
  mend(operations: readonly Operation[]): Promise<void>
}

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
  const cut = { ...log, head: { counter, cid }, attestation, cursor, retired: log.retired || retire }
  // The head first: what is behind it is found again by this.
  await store.mend([{ type: 'put', key: logRowKey(thread, log.number), value: encodeLogRow(cut) }])
  await removeRecords(store, recordRowRange(thread, log.number, counter + 1))
  return cut
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

/** Removes all rows of a thread but its own. */
export async function removeThreadRows(store: Mendable, thread: number): Promise<void> {
  await removeRecords(store, rowRange('r', thread))
  for (const letter of THREAD_LETTERS) await removeRange(store, rowRange(letter, thread))
}

export async function removeRange(store: Mendable, range: KeyRange): Promise<void> {
  let operations: Operation[] = []
  for await (const [key] of store.reads.entries(range)) {
    operations.push({ type: 'del', key })
    if (operations.length < CHUNK) continue
    await store.mend(operations)
    operations = []
  }
  if (operations.length > 0) await store.mend(operations)
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
