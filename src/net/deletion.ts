import type { HostStore } from '../store/host-store.ts'
import { parseKey, rowRange } from '../store/key-codec.ts'
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

/** Letters of rows whose first component is the thread. */
const THREAD_LETTERS = ['r', 'd', 'e', 'x', 'v', 'l'] as const

/** Rows that find records by id begin with the id, so they are found through the records. */
async function deleteRecordIds(store: HostStore, state: ThreadState): Promise<void> {
  let operations: Operation[] = []
  for await (const [key, value] of store.reads.entries(rowRange('r', state.number))) {
    const [, log, counter] = parseKey(key).parts as [number, number, number]
    const { cid } = openRecord(decodeRecordRow(value).recordNode, state.key.service)
    operations.push({ type: 'del', key: recordIdKey(cid, state.number, log, counter) })
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
