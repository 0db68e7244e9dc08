import type { AbortOptions } from '../core/abort.ts'
import { hasCode } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Replication } from './replication/replication.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Writer } from './writer.ts'

export interface FirstPullComponents {
  readonly replication: Pick<Replication, 'pullThread' | 'syncStatus'>
  readonly writer: Writer
  readonly logger: Logger
  /** Ends all pulls. */
  readonly signal: AbortSignal
}

/** Pulls threads in which a client brought the key of a log, before that log is written: it may be longer elsewhere. */
export class FirstPulls {
  readonly #components: FirstPullComponents
  readonly #running = new Set<ThreadEntry>()

  constructor(components: FirstPullComponents) {
    this.#components = components
  }

  /** Pulls. If a peer answered, and left no gap in them, the logs can be written afterwards. */
  async run(entry: ThreadEntry, options: AbortOptions = {}): Promise<void> {
    const { replication, writer } = this.#components
    const answered = await replication.pullThread(entry.id, options)
    if (answered === 0) return
    const stalls = replication.syncStatus().flatMap((status) => status.stalls)
    const stalled = new Set(stalls.filter(({ threadId }) => threadId === entry.id).map(({ logId }) => logId))
    const { stored } = await writer.write(entry, async (draft) => {
      for (const log of draft.state.logs.values()) {
        if (log.unpulled && !stalled.has(log.id)) draft.setLog({ ...log, unpulled: false })
      }
    })
    await stored
  }

  /** The same in the background, if it is not under way. */
  start(entry: ThreadEntry): void {
    const { signal, logger } = this.#components
    if (this.#running.has(entry)) return
    this.#running.add(entry)
    this.run(entry, { signal })
      .catch((error: unknown) => {
        if (signal.aborted || hasCode(error, 'THREAD_NOT_FOUND')) return
        logger.warn({ thread: entry.id, error }, 'could not pull before writing')
      })
      .finally(() => this.#running.delete(entry))
  }
}
