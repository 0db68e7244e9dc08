import type { AbortOptions } from '../core/abort.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Journal } from '../store/journal.ts'
import type { ThreadRecord } from './app.ts'
import type { RecordReader } from './record-reader.ts'
import type { Threads } from './threads.ts'

export interface RecordFeedComponents {
  readonly journal: Journal
  readonly threads: Threads
  readonly records: RecordReader
}

/** Records of a move of a head that are read at once. */
const PAGE = { maxRecords: 100, maxBytes: 4 * 1024 * 1024 }

/** Records as they are stored, from now on; of the `wanted` threads, or of all if there are none. */
export async function* recordFeed(
  components: RecordFeedComponents,
  options: AbortOptions & { wanted: ReadonlySet<ThreadId> },
): AsyncGenerator<ThreadRecord> {
  const { journal, threads, records } = components
  const { wanted, ...abort } = options
  for await (const update of journal.subscribe(abort)) {
    // Whoever is this far behind begins anew: an end, since clients take an error for a reason to give up.
    if (update.kind === 'resync') return
    const { thread, heads } = update.commit
    const state = threads.byNumber(thread)?.stored
    if (state === undefined || (wanted.size > 0 && !wanted.has(state.id))) continue
    for (const log of state.logs.values()) {
      for (const { from, to } of heads.filter((move) => move.log === log.number)) {
        for (let counter = from; counter < to; ) {
          const maxRecords = Math.min(PAGE.maxRecords, to - counter)
          const page = await records.after(state, log, { ...PAGE, maxRecords, counter })
          if (page.length === 0) break
          yield* page
          counter += page.length
        }
      }
    }
  }
}
