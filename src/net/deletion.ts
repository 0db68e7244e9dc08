import type { HostStore } from '../store/host-store.ts'
import { KEY_LETTERS, type KeyLetter, KeyReader, rowRange } from '../store/key-codec.ts'
import type { Operation } from '../store/ordered-store.ts'
import { openRecord } from '../core/record.ts'
import { decodeRecordRow, recordIdKey, type ThreadState, threadRowKey } from './rows.ts'

/** Rows removed in one batch. */
const CHUNK = 1_000

/** Removes all rows of a thread that is marked as deleting; its own row goes last, so that a crash resumes here. */
export async function deleteThreadRows(store: HostStore, state: ThreadState): Promise<void> {
  const { number } = state
  await deleteRecordIds(store, state)
  for (const letter of THREAD_LETTERS) await store.deleteRange(rowRange(letter, number))
  await store.committer.submit({
    thread: 0,
    heads: [],
    changes: [],
    operations: () => [{ type: 'del', key: threadRowKey(number) }],
  })
}

/** Rows that go with a thread, without the thread's own. */
const THREAD_LETTERS = Object.entries(KEY_LETTERS).flatMap(([letter, { byThread }]) =>
  byThread && letter !== 't' ? [letter as KeyLetter] : [],
)

/** Rows that find records by id begin with the id, so they are found through the records. */
async function deleteRecordIds(store: HostStore, state: ThreadState): Promise<void> {
  let operations: Operation[] = []
  for await (const [key, value] of store.reads.entries(rowRange('r', state.number))) {
    const parts = new KeyReader(key)
    const thread = parts.number()
    const { cid } = openRecord(decodeRecordRow(value).recordNode, state.key.service)
    operations.push({ type: 'del', key: recordIdKey(cid, thread, parts.number(), parts.number()) })
    if (operations.length >= CHUNK) {
      await submit(store, operations)
      operations = []
    }
  }
  await submit(store, operations)
}

async function submit(store: HostStore, operations: Operation[]): Promise<void> {
  if (operations.length === 0) return
  await store.committer.submit({ thread: 0, heads: [], changes: [], operations: () => operations })
}
