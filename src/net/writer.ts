import type { Clock } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Commit } from '../store/commit.ts'
import type { Committer } from '../store/committer.ts'
import type { Journal } from '../store/journal.ts'
import type { Cursor, ThreadRecord, WaitReason } from './app.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf } from './chains.ts'
import { ThreadDraft } from './draft.ts'
import { RecordReader } from './record-reader.ts'
import type { LogState, ThreadState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import { WaitLines } from './waits.ts'

/** Records folded at once when logs that waited are taken up again. */
const RESUME_RECORDS = 1_000
const RESUME_BYTES = 4 * 1024 * 1024
/** Logs taken up together. Each brings one record at least, however large. */
const RESUME_LOGS = 16
/** How long a log waits after a failure before it is tried again. */
const RETRY_MS = 5_000
/** Longest sleep until a record that is ahead of the clock is looked at again: clocks are set. */
const CLOCK_RECHECK_MS = 60_000

export interface WriterComponents {
  readonly committer: Committer
  readonly journal: Pick<Journal, 'lastSeq'>
  readonly clock: Clock
  readonly logger: Logger
}

export interface Written<T> {
  readonly result: T
  /** The stored batch; `undefined` if there was nothing to store. What the result rests on is stored then. */
  readonly stored: Promise<Commit | undefined>
}

export interface FoldOptions {
  readonly records: readonly ThreadRecord[]
  /** The records are written here. */
  readonly local: boolean
  /** See `FoldContext`. They must have been folded. */
  readonly withdrawn?: readonly ThreadRecord[]
}

export interface WriteOptions {
  /** The write is part of making room: see `SubmitOptions`. Default false. */
  frees?: boolean
}

/** Runs the writes of threads, one at a time each, and keeps their logs folded. */
export class Writer {
  readonly #components: WriterComponents
  readonly #lines: WaitLines

  constructor(components: WriterComponents) {
    this.#components = components
    this.#lines = new WaitLines(components)
  }

  /** Resolves when the batch is prepared. If `work` throws, nothing is written. */
  async write<T>(
    entry: ThreadEntry,
    work: (draft: ThreadDraft) => Promise<T>,
    { frees = false }: WriteOptions = {},
  ): Promise<Written<T>> {
    const { committer, journal, clock } = this.#components
    return entry.writer.run(async () => {
      if (entry.prepared.phase === 'deleting') throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
      const draft = new ThreadDraft(entry.prepared, committer)
      const result = await work(draft)
      const onQueued = (): void => {
        entry.prepared = draft.state
      }
      const commit = draft.submit({ nowMs: clock.nowMs(), frees, onQueued })
      const stored =
        commit?.then((done) => {
          entry.store(draft.state, { seq: done.seq, lastSeq: journal.lastSeq })
          return done
        }) ?? committer.settled(entry.number).then(() => undefined)
      // Whoever wants to know awaits `stored`; a write nobody waits for must not end the process.
      stored.catch(() => {})
      return { result, stored }
    })
  }

  /** Folds records that were added to the draft, where their logs do not wait. */
  async fold(entry: ThreadEntry, draft: ThreadDraft, options: FoldOptions): Promise<void> {
    const { app } = entry
    const { key } = draft.state
    const { records, local, withdrawn = [] } = options
    if (app === undefined || records.length + withdrawn.length === 0) return
    if (key.read === undefined) {
      for (const record of records) this.#wait(entry, record.chain, { kind: 'read-key' })
      return
    }
    const context = { view: draft.view, cursors: cursorsOf(draft, records), local, withdrawn }
    const outcome = await this.#reading(entry, () => app.fold(records, context))
    draft.operations(outcome.operations)
    draft.changes(outcome.changes)
    for (const [id, cursor] of outcome.cursors) {
      draft.setLog({ ...draft.log(id), cursor })
      if (!outcome.waits.has(id)) this.#lines.goesOn(entry.waits, { thread: entry.id, id })
    }
    for (const [id, reason] of outcome.waits) this.#wait(entry, id, reason)
    this.#scheduleResume(entry)
  }

  /** Folds records that came from elsewhere. If that fails they wait: they are stored and passed on all the same. */
  async foldReceived(entry: ThreadEntry, draft: ThreadDraft, records: readonly ThreadRecord[]): Promise<void> {
    try {
      await this.fold(entry, draft, { records, local: false })
    } catch (error) {
      this.#retryLater(entry, new Set(records.map((record) => record.chain)), {
        error,
        alone: records.length === 1,
      })
    }
  }

  /** What is stored of a thread is damaged. Its owner is told, and answers no more; the other threads go on. */
  damaged(entry: ThreadEntry, error: ThreadsError): void {
    if (!entry.damaged)
      this.#components.logger.error({ thread: entry.id, error }, 'stored records of a thread are damaged')
    entry.damaged = true
    entry.app?.damaged?.(error)
  }

  async #reading<T>(entry: ThreadEntry, read: () => Promise<T>): Promise<T> {
    try {
      return await read()
    } catch (error) {
      if (hasCode(error, 'STORE_CORRUPT')) this.damaged(entry, error)
      throw error
    }
  }

  /** Whether records added now after this log's head can be folded at once. */
  foldsAtOnce(entry: ThreadEntry, draft: ThreadDraft, id: ChainKey): boolean {
    const log = draft.log(id)
    return entry.app !== undefined && log.cursor.counter === log.head.counter && canBegin(draft.state, log)
  }

  /** Folds what waits, run by run, until nothing moves. A log that cannot be folded keeps none of the others waiting. */
  async resume(entry: ThreadEntry): Promise<void> {
    for (let moved = true; moved; ) {
      moved = false
      if (entry.app === undefined || entry.prepared.key.read === undefined) return
      // Behind the write under way: it may leave a log that waits for what has just ended.
      const waiting = await entry.writer.run(async () => waitingLogs(entry))
      for (let at = 0; at < waiting.length; at += RESUME_LOGS) {
        const ids = waiting.slice(at, at + RESUME_LOGS).map((log) => log.chain)
        if (await this.#resumeLogs(entry, ids)) moved = true
      }
    }
  }

  /** Takes up logs that wait in a while: what had taken them up, or would have, was lost with a failed write. */
  resumeSoon(entry: ThreadEntry): void {
    for (const log of entry.prepared.logs.values()) {
      const waits = log.cursor.counter < log.head.counter
      if (waits && !entry.waits.has(log.chain)) this.#wait(entry, log.chain, { kind: 'retry', alone: false })
    }
    this.#scheduleResume(entry)
  }

  /** Folds the next records of some logs together; if that fails, of each alone. Answers whether a cursor moved. */
  async #resumeLogs(entry: ThreadEntry, ids: readonly ChainKey[]): Promise<boolean> {
    const { result, stored } = await this.write(entry, async (draft): Promise<Resumed> => {
      const before = cursorSum(draft, ids)
      const counts = ids.map((id) => recordsToTry(entry, draft, id))
      const asked = counts.reduce((sum, count) => sum + count, 0)
      try {
        const limits = new Map(ids.map((id, index) => [id, counts[index] ?? 0]))
        const records = await this.#reading(entry, () => nextRecords(draft, limits))
        await this.fold(entry, draft, { records, local: false })
      } catch (error) {
        return { moved: false, asked, error }
      }
      return { moved: cursorSum(draft, ids) > before, asked }
    })
    await stored
    if (!('error' in result)) {
      for (const id of ids) takeHeart(entry, id)
      return result.moved
    }
    if (ids.length === 1) this.#retryLater(entry, ids, { error: result.error, alone: result.asked === 1 })
    let moved = false
    if (ids.length > 1) for (const id of ids) if (await this.#resumeLogs(entry, [id])) moved = true
    return moved
  }

  #retryLater(entry: ThreadEntry, ids: Iterable<ChainKey>, { error, alone }: { error: unknown; alone: boolean }): void {
    for (const id of ids) {
      // An owner may end while it folds.
      const known = entry.waits.get(id)?.kind === 'retry' || hasCode(error, 'CLOSED') || hasCode(error, 'DB_NOT_FOUND')
      this.#components.logger[known ? 'debug' : 'error']({ thread: entry.id, log: id, error }, 'cannot fold a log')
      this.#wait(entry, id, { kind: 'retry', alone })
    }
    this.#scheduleResume(entry)
  }

  #wait(entry: ThreadEntry, id: ChainKey, reason: WaitReason): void {
    this.#lines.waits(entry.waits, { thread: entry.id, id }, reason)
    if (isFailure(reason)) entry.careful.set(id, 1)
  }

  #scheduleResume(entry: ThreadEntry): void {
    const delays = [...entry.waits.reasons()]
      .map((reason) => this.#delayOf(reason))
      .filter((delay) => delay !== undefined)
    this.#resumeAfter(entry, delays.length === 0 ? undefined : Math.min(...delays))
  }

  #resumeAfter(entry: ThreadEntry, delayMs: number | undefined): void {
    const { clock, logger } = this.#components
    entry.cancelWait?.()
    entry.cancelWait = undefined
    if (delayMs === undefined || entry.prepared.phase === 'deleting') return
    entry.cancelWait = clock.after(delayMs, () => {
      entry.cancelWait = undefined
      this.resume(entry).catch((error: unknown) => {
        if (hasCode(error, 'CLOSED') || hasCode(error, 'THREAD_NOT_FOUND')) return
        logger.warn({ thread: entry.id, error }, 'could not take up logs that wait')
        this.#resumeAfter(entry, RETRY_MS)
      })
    })
  }

  #delayOf(reason: WaitReason): number | undefined {
    switch (reason.kind) {
      case 'clock':
        return Math.min(CLOCK_RECHECK_MS, Math.max(1, reason.untilMs - this.#components.clock.nowMs()))
      case 'sandbox':
      case 'retry':
        return RETRY_MS
      case 'transaction':
      case 'rebuild':
      case 'read-key':
        return undefined
    }
  }
}

function waitingLogs({ prepared }: ThreadEntry): LogState[] {
  const logs = [...prepared.logs.values()]
  return logs.filter((log) => log.cursor.counter < log.head.counter && canBegin(prepared, log))
}

/** Whether what a branch parts from was folded: the times of its records depend on it. */
function canBegin({ logs }: ThreadState, { branch }: LogState): boolean {
  return branch === undefined || (logs.get(branch.parent)?.cursor.counter ?? 0) >= branch.base
}

function cursorsOf(draft: ThreadDraft, records: readonly ThreadRecord[]): Map<ChainKey, Cursor> {
  const cursors = new Map<ChainKey, Cursor>()
  for (const { chain } of records) {
    const log = draft.log(chain)
    if (log.branch === undefined || log.cursor.counter > baseOf(log)) cursors.set(chain, log.cursor)
  }
  return cursors
}

function cursorSum(draft: ThreadDraft, ids: readonly ChainKey[]): number {
  return ids.reduce((sum, id) => sum + draft.log(id).cursor.counter, 0)
}

interface Resumed {
  readonly moved: boolean
  /** Records that were to be tried. */
  readonly asked: number
  readonly error?: unknown
}

function isFailure({ kind }: WaitReason): boolean {
  return kind === 'sandbox' || kind === 'retry'
}

/** Where something failed among several records, fewer are tried together, until it is the first of them that fails. */
function recordsToTry(entry: ThreadEntry, draft: ThreadDraft, id: ChainKey): number {
  const { cursor, head } = draft.log(id)
  return Math.min(head.counter - cursor.counter, entry.careful.get(id) ?? RESUME_RECORDS)
}

/** A log that was tried with care and did not fail: twice as many records next time. */
function takeHeart(entry: ThreadEntry, id: ChainKey): void {
  const tried = entry.careful.get(id)
  const log = entry.prepared.logs.get(id)
  const reason = entry.waits.get(id)
  if (tried === undefined || (reason !== undefined && isFailure(reason))) return
  const done = log === undefined || log.cursor.counter === log.head.counter || 2 * tried >= RESUME_RECORDS
  if (done) entry.careful.delete(id)
  else entry.careful.set(id, 2 * tried)
}

/** The next records of some logs whose cursors stand before their heads, at most so many of each. */
async function nextRecords(draft: ThreadDraft, limits: ReadonlyMap<ChainKey, number>): Promise<ThreadRecord[]> {
  const reader = new RecordReader(draft.view)
  const share = Math.ceil(RESUME_RECORDS / limits.size)
  const maxBytes = Math.ceil(RESUME_BYTES / limits.size)
  const records: ThreadRecord[] = []
  for (const [id, limit] of limits) {
    if (limit === 0) continue
    const log = draft.log(id)
    const options = { counter: log.cursor.counter, maxRecords: Math.min(share, limit), maxBytes }
    records.push(...(await reader.after(draft.state, log, options)))
  }
  return records
}
