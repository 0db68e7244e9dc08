import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { freshLogs } from '../replication/plan.ts'
import { addLogs } from '../replication/record-pull.ts'
import type { SyncContext } from './context.ts'
import type { Heads } from './frames.ts'
import { compareRange, type Range, type Shared, sharedItems, wholeRange } from './ranges.ts'

/** All is compared so long after the last time, in case that something went by unnoticed, */
const FIRST_CHECK_MS = 20_000
/** less and less often as long as nothing new comes. */
const LAST_CHECK_MS: number = 10 * 60_000
/** What is shared is collected anew after this: comparing takes several frames. */
const ITEMS_FOR_MS = 5_000

export interface ReconcilerHandlers {
  send(this: void, ranges: readonly Range[]): void
  /** Tells the peer of all logs of a thread. */
  tell(this: void, threadId: ThreadId, ask: boolean): void
  /** The peer says that it has records. */
  knows(this: void, threadId: ThreadId, logId: LogId, counter: number): void
  /** Something is shared with the peer. */
  onShared(this: void): void
  /** All that the peer told up to one of its commits is here. */
  onSeen(this: void, seq: number): void
}

/** Finds out what a peer has that this host lacks, and the other way round, and fetches it. */
export class Reconciler {
  readonly #context: SyncContext
  readonly #peer: PeerId
  readonly #handlers: ReconcilerHandlers
  #items: { readonly atMs: number; readonly shared: readonly Shared[] } | undefined
  #pulls = 0
  #hasFailed = false
  #toldSeq: number | undefined
  #delayMs = FIRST_CHECK_MS
  #cancelCheck: (() => void) | undefined
  #ended = false

  constructor(context: SyncContext, peer: PeerId, handlers: ReconcilerHandlers) {
    this.#context = context
    this.#peer = peer
    this.#handlers = handlers
  }

  /** `compares`: this side begins comparisons; one of both does. */
  start({ compares, atOnce }: { compares: boolean; atOnce: boolean }): void {
    if (!compares) return
    if (atOnce) this.compareAll()
    this.#checkLater()
  }

  end(): void {
    this.#ended = true
    this.#cancelCheck?.()
  }

  /** Begins to compare all that is shared. */
  compareAll(): void {
    this.#items = undefined
    this.#handlers.send([wholeRange(this.#shared())])
  }

  ranges(ranges: readonly Range[]): void {
    const shared = this.#shared()
    if (shared.length > 0) this.#handlers.onShared()
    const answer: Range[] = []
    for (const range of ranges) {
      const { ranges: further, differing } = compareRange(shared, range)
      answer.push(...further)
      for (const threadId of differing) this.#handlers.tell(threadId, true)
    }
    if (answer.length > 0) this.#handlers.send(answer)
  }

  /** Takes what the peer, who belongs to the thread, has of it. */
  async heads({ thread: { id: threadId }, logs, ask }: Heads): Promise<void> {
    const { replica } = this.#context
    try {
      const fresh = freshLogs(
        replica.logs(threadId),
        logs.map(({ log }) => log),
      )
      await addLogs(this.#context, { peer: this.#peer, threadId }, fresh)
      const lacking = new Set<LogId>()
      for (const { log, branches } of logs) {
        const held = replica.log(threadId, log.id)
        if (held === undefined) continue
        this.#handlers.knows(threadId, log.id, Math.min(log.counter, held.counter))
        for (const { head } of [log, ...branches]) {
          if (head === undefined || held.head?.equals(head) === true) continue
          if ((await replica.counterOf(threadId, log.id, head)) === undefined) lacking.add(log.id)
        }
      }
      if (lacking.size > 0) void this.#pull(threadId, lacking)
      if (ask) this.#handlers.tell(threadId, false)
    } catch (error) {
      this.#failed(threadId, error)
    }
  }

  /** The peer has told of all changes up to one of its commits. */
  told(seq: number): void {
    this.#toldSeq = seq
    this.#settle()
  }

  async #pull(threadId: ThreadId, only: ReadonlySet<LogId>): Promise<void> {
    const { pull, replica } = this.#context
    const before = replica.edges(threadId).chains
    this.#pulls++
    try {
      await pull(this.#peer, threadId, only)
    } catch (error) {
      this.#failed(threadId, error)
    }
    this.#pulls--
    this.#settle()
    if (replica.edges(threadId).chains !== before) this.#checkSoon()
  }

  /** Nothing that was told is on its way any more. What failed is told again by the next stream, or found by a check. */
  #settle(): void {
    if (this.#pulls > 0 || this.#hasFailed || this.#toldSeq === undefined) return
    this.#handlers.onSeen(this.#toldSeq)
    this.#toldSeq = undefined
  }

  #failed(threadId: ThreadId, error: unknown): void {
    const { logger } = this.#context
    if (hasCode(error, 'THREAD_NOT_FOUND') || hasCode(error, 'CLOSED')) return
    this.#hasFailed = true
    const fields = { peer: this.#peer, thread: threadId }
    if (error instanceof ThreadsError) {
      logger.debug({ ...fields, code: error.code, reason: error.message }, 'could not take what a peer told')
    } else if (!this.#ended) logger.error({ ...fields, error }, 'taking what a peer told failed')
  }

  #checkSoon(): void {
    if (this.#cancelCheck === undefined || this.#delayMs === FIRST_CHECK_MS) return
    this.#delayMs = FIRST_CHECK_MS
    this.#checkLater()
  }

  #checkLater(): void {
    this.#cancelCheck?.()
    this.#cancelCheck = this.#context.clock.after(this.#delayMs, () => {
      this.#delayMs = Math.min(LAST_CHECK_MS, 2 * this.#delayMs)
      this.compareAll()
      this.#checkLater()
    })
  }

  #shared(): readonly Shared[] {
    const { clock, replica } = this.#context
    const nowMs = clock.nowMs()
    if (this.#items !== undefined && Math.abs(nowMs - this.#items.atMs) < ITEMS_FOR_MS) return this.#items.shared
    const ids = replica.threadIds().filter((id) => replica.isProven(id, this.#peer))
    const shared = sharedItems(ids.map((threadId) => ({ threadId, edges: replica.edges(threadId) })))
    this.#items = { atMs: nowMs, shared }
    return shared
  }
}
