import type { LogId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Journal } from '../store/journal.ts'
import { logOfNumber } from './rows.ts'
import type { Threads } from './threads.ts'

/** What changed in a thread, in one commit. */
export interface ThreadChange {
  readonly seq: number
  /** Absent if the thread is not here any more. */
  readonly threadId: ThreadId | undefined
  /** Logs that have more records; none if something else changed, such as an address. */
  readonly logs: readonly LogId[]
}

/** What replication may ask of the commit journal. */
export interface ChangeFeed {
  /** The newest commit that survives a power loss. */
  readonly lastSeq: number
  /**
   * Changes after a commit, in order, as they become durable; ends with `resync` if they are not kept any more, and when
   * the signal aborts. Throws CLOSED when the store closes.
   */
  changes(after: number, signal: AbortSignal): AsyncIterable<ThreadChange | 'resync'>
}

export function createChangeFeed({ journal, threads }: { journal: Journal; threads: Threads }): ChangeFeed {
  return {
    get lastSeq() {
      return journal.lastSeq
    },
    async *changes(after, signal) {
      for await (const update of journal.subscribe({ after, signal })) {
        if (update.kind === 'resync') {
          yield 'resync'
          return
        }
        const { seq, thread, heads, changes } = update.commit
        const entry = threads.byNumber(thread)
        const logs = heads.flatMap(({ log }) => (entry && logOfNumber(entry.stored, log)?.id) ?? [])
        // Only what an owner makes of records: nothing that peers are told of.
        if (heads.length > 0 || changes.length === 0) yield { seq, threadId: entry?.id, logs }
      }
    },
  }
}
