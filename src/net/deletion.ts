import type { HostStore } from '../store/host-store.ts'
import { KEY_LETTERS, type KeyLetter, rowRange } from '../store/key-codec.ts'
import type { Operation } from '../store/ordered-store.ts'
import { cidOf } from '../core/cbor.ts'
import { ThreadsError } from '../core/errors.ts'
import { decodeRecordRow, readRecordKey, recordIdKey, type ThreadState, threadRowKey } from './rows.ts'

/** Rows removed in one batch. */
const CHUNK = 1_000

/**
 * Removes all rows of a thread that is marked as deleting; its own row goes last, so that a crash resumes here. Works on
 * a disk that is nearly full, and past damaged records.
 */
export async function deleteThreadRows(store: HostStore, { number }: Pick<ThreadState, 'number'>): Promise<void> {
  await deleteRecordIds(store, number)
  for (const letter of THREAD_LETTERS) await store.deleteRange(rowRange(letter, number))
  await submit(store, [{ type: 'del', key: threadRowKey(number) }])
}

/** Rows that go with a thread, without the thread's own. */
export const THREAD_LETTERS: readonly KeyLetter[] = Object.entries(KEY_LETTERS).flatMap(([letter, { byThread }]) =>
  byThread && letter !== 't' ? [letter as KeyLetter] : [],
)

/** Rows that find records by id begin with the id, so they are found through the records. */
async function deleteRecordIds(store: HostStore, number: number): Promise<void> {
  let operations: Operation[] = []
  for await (const [key, value] of store.reads.entries(rowRange('r', number))) {
    const idKey = recordIdKeyOf(key, value)
    if (idKey !== undefined) operations.push({ type: 'del', key: idKey })
    if (operations.length >= CHUNK) {
      await submit(store, operations)
      operations = []
    }
  }
  await submit(store, operations)
}

/** `undefined` for a damaged record. Its id row stays; numbers of threads are not used again, so it finds nothing. */
export function recordIdKeyOf(key: Uint8Array, value: Uint8Array): Uint8Array | undefined {
  const { thread, log, counter } = readRecordKey(key)
  try {
    return recordIdKey(cidOf(decodeRecordRow(value).recordNode), thread, log, counter)
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}

async function submit(store: HostStore, operations: Operation[]): Promise<void> {
  if (operations.length === 0) return
  await store.committer.submit({ thread: 0, heads: [], changes: [], operations: () => operations }, { frees: true })
}
