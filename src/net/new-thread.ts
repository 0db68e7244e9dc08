import type { ThreadDraft } from './draft.ts'
import { type ThreadState, threadOf } from './rows.ts'
import { ThreadEntry } from './thread-entry.ts'
import type { Threads } from './threads.ts'
import type { Writer } from './writer.ts'

/**
 * Stores a new thread, with what `complete` adds to it, in one batch. It is seen once it is stored. To be called by
 * `Threads.findOrCreate`.
 */
export function storeNewThread(
  { threads, writer }: { threads: Threads; writer: Writer },
  thread: Pick<ThreadState, 'id' | 'key' | 'unsolicited' | 'keptFor'>,
  complete: (draft: ThreadDraft) => void = () => {},
): Promise<ThreadEntry> {
  const number = threads.takeNumber()
  const made = { phase: 'live' as const, writers: new Map(), appData: undefined, stale: false, followers: [], row: {} }
  const row = { ...thread, number, ...made }
  const entry = new ThreadEntry(threadOf(row, new Map()))
  return threads.create(entry, async () => {
    const { stored } = await writer.write(entry, async (draft) => {
      draft.setThread({})
      draft.operations([threads.numberRow()])
      complete(draft)
    })
    await stored
  })
}
