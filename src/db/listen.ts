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

/** Changes of state from the call on. What the listener may not see is left out, deletions are told to all. */
export function listen(components: ListenComponents, options: ListenOptions): AsyncIterable<Update> {
  // The place in the journal is taken at the call, not when the first update is asked for.
  return updates(components, { ...options, feed: components.journal.subscribe({ signal: options.signal }) })
}

async function* updates(
  components: ListenComponents,
  options: ListenOptions & { feed: ReturnType<Journal['subscribe']> },
): AsyncGenerator<Update> {
  let { feed } = options
  for (;;) {
    let resumeAt: number | undefined
    for await (const update of feed) {
      if (update.kind === 'resync') {
        resumeAt = update.seq
        break
      }
      if (update.commit.thread !== components.thread) continue
      for (const change of update.commit.changes) {
        if (!components.isVisible(change.collection) || !wanted(change, options.filters)) continue
        const told = await tell(change, components)
        if (told !== undefined) yield told
      }
    }
    if (resumeAt === undefined) return
    feed = components.journal.subscribe({ after: resumeAt, signal: options.signal })
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
