import { BoundedCache } from '../../core/bounded-cache.ts'
import { hasCode } from '../../core/errors.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { PeerLog } from '../replica.ts'
import type { SyncContext } from './context.ts'
import type { HeadsEntry } from './frames.ts'

/** What changes within this time is told together. New records of this host go by themselves, at once. */
const TELL_AFTER_MS = 250
/** Logs in one frame. Each takes some 300 bytes, and 1,000 with all addresses and branches that are usual. */
const LOGS_PER_FRAME = 250
/** Branches of a log that are told of; the peer asks for all. */
const MAX_BRANCHES = 100
/** Threads and logs of which it is remembered what the peer knows. Forgetting costs a frame. */
const MAX_NOTES = 10_000

export interface TellerHandlers {
  /** Sends what this host has of logs. */
  send(this: void, threadId: ThreadId, heads: { logs: readonly HeadsEntry[]; ask: boolean }): void
  /** Resolves when there is room for more. */
  room(this: void): Promise<void>
  /** All changes up to a commit were told. */
  told(this: void, seq: number): void
  /** Changes are not known any more: all must be compared. */
  lost(this: void): void
}

/** What is to be told of a thread. */
interface Dirty {
  readonly logs: Set<LogId>
  /** All logs; `if-new`: if their addresses are others than those told last. */
  all: 'no' | 'if-new' | 'yes'
  ask: boolean
}

/** Tells a peer of changes in the threads that are shared with it: follows the journal, and costs nothing without changes. */
export class Teller {
  readonly #context: SyncContext
  readonly #peer: PeerId
  readonly #handlers: TellerHandlers
  readonly #ending = new AbortController()
  readonly #known = new BoundedCache<string, number>(MAX_NOTES)
  readonly #addresses = new BoundedCache<ThreadId, bigint>(MAX_NOTES)
  #dirty = new Map<ThreadId, Dirty>()
  #seq = 0
  #toldSeq = 0
  #telling = false
  #cancelTelling: (() => void) | undefined

  constructor(context: SyncContext, peer: PeerId, handlers: TellerHandlers) {
    this.#context = context
    this.#peer = peer
    this.#handlers = handlers
  }

  /** Follows the journal from after a commit, until the end. */
  async follow(after: number): Promise<void> {
    const { signal } = this.#ending
    this.#seq = after
    this.#toldSeq = after
    for (let from = after; !signal.aborted; from = this.#seq) {
      for await (const change of this.#context.feed.changes(from, signal)) {
        if (change === 'resync') {
          this.#seq = this.#context.feed.lastSeq
          this.#handlers.lost()
          break
        }
        this.#seq = change.seq
        if (change.threadId !== undefined) this.#change(change.threadId, change.logs)
      }
    }
  }

  end(): void {
    this.#ending.abort()
    this.#cancelTelling?.()
  }

  /** The peer is to hear of all logs of a thread. `ask`: and to tell of its own. */
  tellAll(threadId: ThreadId, { ask }: { ask: boolean }): void {
    const dirty = this.#dirtyOf(threadId)
    dirty.all = 'yes'
    dirty.ask ||= ask
    this.#tellSoon()
  }

  /** The peer has the records of a log up to `counter`. */
  knows(threadId: ThreadId, logId: LogId, counter: number): void {
    const key = `${threadId} ${logId}`
    this.#known.set(key, Math.max(counter, this.#known.get(key) ?? 0))
  }

  #change(threadId: ThreadId, logs: readonly LogId[]): void {
    const dirty = this.#dirtyOf(threadId)
    for (const id of logs) dirty.logs.add(id)
    if (logs.length === 0 && dirty.all === 'no') dirty.all = 'if-new'
    this.#tellSoon()
  }

  #dirtyOf(threadId: ThreadId): Dirty {
    const dirty = this.#dirty.get(threadId) ?? { logs: new Set(), all: 'no', ask: false }
    this.#dirty.set(threadId, dirty)
    return dirty
  }

  #tellSoon(): void {
    if (this.#cancelTelling !== undefined || this.#telling || this.#ending.signal.aborted) return
    this.#cancelTelling = this.#context.clock.after(TELL_AFTER_MS, () => {
      this.#cancelTelling = undefined
      void this.#tell()
    })
  }

  async #tell(): Promise<void> {
    const { logger } = this.#context
    this.#telling = true
    const [seq, dirty] = [this.#seq, this.#dirty]
    this.#dirty = new Map()
    try {
      for (const [threadId, what] of dirty) {
        await this.#handlers.room()
        if (this.#ending.signal.aborted) return
        await this.#tellThread(threadId, what)
      }
    } catch (error) {
      logger.error({ peer: this.#peer, error }, 'could not tell a peer of changes')
    }
    this.#telling = false
    if (this.#dirty.size > 0) this.#tellSoon()
    else if (seq > this.#toldSeq) {
      this.#toldSeq = seq
      this.#handlers.told(seq)
    }
  }

  async #tellThread(threadId: ThreadId, what: Dirty): Promise<void> {
    const { replica } = this.#context
    try {
      if (!replica.has(threadId) || !replica.isProven(threadId, this.#peer)) return
      const { all, isFirst } = this.#wantsAll(threadId, what)
      if (!all) return await this.#tellLogs(threadId, what.logs)
      const ask = what.ask || (isFirst && what.all === 'if-new')
      await this.#send(threadId, replica.logs(threadId), ask)
    } catch (error) {
      // It was deleted meanwhile.
      if (!hasCode(error, 'THREAD_NOT_FOUND')) throw error
    }
  }

  #wantsAll(threadId: ThreadId, { all }: Dirty): { all: boolean; isFirst: boolean } {
    if (all === 'no') return { all: false, isFirst: false }
    const before = this.#addresses.get(threadId)
    const { addresses } = this.#context.replica.edges(threadId)
    this.#addresses.set(threadId, addresses)
    return { all: all === 'yes' || before !== addresses, isFirst: before === undefined }
  }

  /** Those with records that the peer may lack. */
  async #tellLogs(threadId: ThreadId, ids: ReadonlySet<LogId>): Promise<void> {
    const { replica, isPushing } = this.#context
    const forked = replica.branchHeads(threadId)
    const logs: PeerLog[] = []
    for (const id of ids) {
      const log = replica.log(threadId, id)
      if (log === undefined) continue
      const isKnown = !forked.has(id) && (this.#known.get(`${threadId} ${id}`) ?? 0) >= log.counter
      if (isKnown) continue
      if (isPushing(this.#peer, threadId, id)) this.#dirtyOf(threadId).logs.add(id)
      else logs.push(log)
    }
    if (logs.length > 0) await this.#send(threadId, logs, false)
  }

  async #send(threadId: ThreadId, logs: readonly PeerLog[], ask: boolean): Promise<void> {
    const { replica } = this.#context
    const forked = replica.branchHeads(threadId)
    for (let at = 0; at === 0 || at < logs.length; at += LOGS_PER_FRAME) {
      const entries: HeadsEntry[] = []
      for (const log of logs.slice(at, at + LOGS_PER_FRAME)) {
        const branches = forked.has(log.id) ? await this.#branches(threadId, log.id) : []
        entries.push({ log: replica.attested(threadId, log), branches })
      }
      await this.#handlers.room()
      this.#handlers.send(threadId, { logs: entries, ask: ask && at + LOGS_PER_FRAME >= logs.length })
    }
  }

  async #branches(threadId: ThreadId, logId: LogId): Promise<HeadsEntry['branches']> {
    const chains = await this.#context.replica.chains(threadId, logId, [])
    const branches = chains.filter(({ chain }) => chain !== logId).slice(0, MAX_BRANCHES)
    return branches.map(({ head, counter, attestation }) => ({ head, counter, attestation, records: [] }))
  }
}
