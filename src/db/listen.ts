import { hasCode } from '../core/errors.ts'
import type { Journal } from '../store/journal.ts'
import type { Change } from '../store/commit.ts'
import type { ListenFilter, Update } from './index.ts'
import { type Place, updatesLost } from './resume-token.ts'

export interface ListenComponents {
  readonly journal: Journal
  readonly thread: number
  token(place: Place): Uint8Array
  /** Whether a collection is registered: others fold too, but are told to nobody. */
  isVisible(collection: string): boolean
  /** The document as it is now; used when the commit is not in memory any more. */
  current(change: Change): Promise<Uint8Array | undefined>
  /** The document as the listener may see it. */
  serve(collection: string, document: Uint8Array): Promise<Uint8Array | undefined>
}

export interface ListenTask {
  readonly filters: readonly ListenFilter[]
  readonly signal: AbortSignal
  /** Where to begin: what comes after it is told. */
  readonly after: Place
}

/**
 * Changes of state after a place. What the listener may not see is left out, deletions are told to all. Throws
 * UPDATES_LOST if the listener is further behind than the journal is kept.
 */
export function listen(components: ListenComponents, task: ListenTask): AsyncIterable<Update> {
  // What the journal loses is lost to whoever subscribed before, also if he asks for the first update later.
  const feed = components.journal.subscribe({ after: task.after.seq, signal: task.signal })
  return updates(feed, components, task)
}

async function* updates(
  feed: ReturnType<Journal['subscribe']>,
  components: ListenComponents,
  { filters, signal, after }: ListenTask,
): AsyncGenerator<Update> {
  for await (const update of feed) {
    if (update.kind === 'resync') throw updatesLost()
    const { seq, thread, changes } = update.commit
    if (thread !== components.thread) continue
    for (let at = seq === after.seq + 1 ? after.changes : 0; at < changes.length; at++) {
      const change = changes[at]
      if (signal.aborted || change === undefined) return
      if (!components.isVisible(change.collection) || !wanted(change, filters)) continue
      const told = await unlessGone(() => tell(change, components), signal)
      const place = at + 1 < changes.length ? { seq: seq - 1, changes: at + 1 } : { seq, changes: 0 }
      if (told !== undefined) yield { ...told, token: components.token(place) }
    }
  }
}

/** What `task` answers; nothing if its collection or the whole database was deleted meanwhile. */
async function unlessGone<T>(task: () => Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  try {
    return await task()
  } catch (error) {
    if (signal.aborted || hasCode(error, 'COLLECTION_NOT_FOUND')) return undefined
    throw error
  }
}

async function tell(change: Change, components: ListenComponents): Promise<Omit<Update, 'token'> | undefined> {
  const { collection, id, kind } = change
  if (kind === 'deleted') return { collection, id, kind, document: undefined }
  const document = change.after ?? (await components.current(change))
  // Deleted since, which a later commit tells.
  if (document === undefined) return undefined
  const served = await components.serve(collection, document)
  return served === undefined ? undefined : { collection, id, kind, document: served }
}

function wanted(change: Change, filters: readonly ListenFilter[]): boolean {
  if (filters.length === 0) return true
  return filters.some(
    ({ collection, id, kind }) =>
      (collection === undefined || collection === change.collection) &&
      (id === undefined || id === change.id) &&
      (kind === undefined || kind === change.kind),
  )
}
