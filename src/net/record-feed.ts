import { hasCode } from '../core/errors.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { HeadMove } from '../store/commit.ts'
import type { Journal, JournalUpdate } from '../store/journal.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { ThreadRecord } from './app.ts'
import type { RecordReader } from './record-reader.ts'
import {
  decodeLogRow,
  decodeThreadRow,
  type LogState,
  logOfNumber,
  logRowKey,
  type ThreadState,
  threadOf,
  threadRowKey,
} from './rows.ts'
import type { Threads } from './threads.ts'

export interface RecordFeedComponents {
  readonly journal: Journal
  readonly threads: Threads
  readonly reads: ReadView
  readonly records: RecordReader
}

/** Records of a move of a head that are read at once. */
const PAGE = { maxRecords: 100, maxBytes: 4 * 1024 * 1024 }

export interface RecordFeedOptions {
  /** Threads whose records are wanted; of all if there are none. */
  readonly wanted: ReadonlySet<ThreadId>
  /** Each of them ends the feed. */
  readonly signals: readonly AbortSignal[]
}

/**
 * Records as they are stored, from now on. Ends when the store closes, and for whoever is too far behind and must begin
 * anew: clients take an error for a reason to give up.
 */
export function recordFeed(components: RecordFeedComponents, options: RecordFeedOptions): AsyncIterable<ThreadRecord> {
  const ending = new AbortController()
  // From this call on, not from when the first record is asked for.
  const updates = components.journal.subscribe({ signal: ending.signal })
  return follow(components, options, { updates, ending })
}

async function* follow(
  components: RecordFeedComponents,
  { wanted, signals }: RecordFeedOptions,
  { updates, ending }: { updates: AsyncIterable<JournalUpdate>; ending: AbortController },
): AsyncGenerator<ThreadRecord> {
  const end = (): void => ending.abort()
  for (const signal of signals) signal.addEventListener('abort', end, { once: true })
  if (signals.some((signal) => signal.aborted)) end()
  try {
    for await (const update of updates) {
      if (update.kind === 'resync') return
      const { thread, heads } = update.commit
      for (const move of heads) {
        for await (const record of movedRecords(components, wanted, { thread, move })) {
          if (ending.signal.aborted) return
          yield record
        }
      }
    }
  } catch (error) {
    if (!hasCode(error, 'CLOSED')) throw error
  } finally {
    for (const signal of signals) signal.removeEventListener('abort', end)
  }
}

async function* movedRecords(
  components: RecordFeedComponents,
  wanted: ReadonlySet<ThreadId>,
  { thread, move }: { thread: number; move: HeadMove },
): AsyncGenerator<ThreadRecord> {
  const place = await placeOf(components, thread, move.log)
  if (place === undefined || (wanted.size > 0 && !wanted.has(place.state.id))) return
  for (let counter = move.from; counter < move.to; ) {
    const maxRecords = Math.min(PAGE.maxRecords, move.to - counter)
    const page = await components.records.after(place.state, place.log, { ...PAGE, maxRecords, counter })
    if (page.length === 0) return
    yield* page
    counter += page.length
  }
}

/** Thread and log of a commit; `undefined` if the thread was deleted. */
async function placeOf(
  { threads, reads }: RecordFeedComponents,
  thread: number,
  logNumber: number,
): Promise<{ state: ThreadState; log: LogState } | undefined> {
  const known = threads.byNumber(thread)?.stored
  const log = known && logOfNumber(known, logNumber)
  if (known !== undefined && log !== undefined) return { state: known, log }
  // After a failed write the journal may be read anew before the threads are.
  const [threadRow, logRow] = await reads.getMany([threadRowKey(thread), logRowKey(thread, logNumber)])
  if (threadRow === undefined || logRow === undefined) return undefined
  const state = threadOf(decodeThreadRow(thread, threadRow), new Map())
  return state.phase === 'deleting' ? undefined : { state, log: decodeLogRow(logNumber, logRow) }
}
