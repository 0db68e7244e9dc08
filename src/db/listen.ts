import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Journal } from '../store/journal.ts'
import type { Change } from '../store/commit.ts'
import type { ListenFilter, Update } from './index.ts'

export interface ListenComponents {
  readonly journal: Journal
  readonly thread: number
  /** Whether a collection is registered: others fold too, but are told to nobody. */
  isVisible(collection: string): boolean
  /** The document as it is now; used when the commit is not in memory any more. */
  current(change: Change): Promise<Uint8Array | undefined>
  /** The document as the listener may see it. */
  serve(collection: string, document: Uint8Array): Promise<Uint8Array | undefined>
}

export interface ListenOptions {
  readonly filters: readonly ListenFilter[]
  readonly signal: AbortSignal
}

/**
 * Changes of state from the call on. What the listener may not see is left out, deletions are told to all. Throws
 * UPDATES_LOST if the listener is further behind than the journal is kept.
 */
export function listen(components: ListenComponents, options: ListenOptions): AsyncIterable<Update> {
  // The place in the journal is taken at the call, not when the first update is asked for.
  const feed = components.journal.subscribe({ signal: options.signal })
  return updates(feed, components, options)
}

async function* updates(
  feed: ReturnType<Journal['subscribe']>,
  components: ListenComponents,
  options: ListenOptions,
): AsyncGenerator<Update> {
  for await (const update of feed) {
    if (update.kind === 'resync') {
      throw new ThreadsError('UPDATES_LOST', 'the listener is too far behind: updates are lost', {
        hint: 'Listen again and read the state.',
      })
    }
    if (update.commit.thread !== components.thread) continue
    for (const change of update.commit.changes) {
      if (options.signal.aborted) return
      if (!components.isVisible(change.collection) || !wanted(change, options.filters)) continue
      const told = await unlessGone(() => tell(change, components), options.signal)
      if (told !== undefined) yield told
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

async function tell(change: Change, components: ListenComponents): Promise<Update | undefined> {
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
