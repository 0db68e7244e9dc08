import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { LogId } from '../core/peer-id.ts'
import type { Commit } from '../store/commit.ts'
import type { Committer } from '../store/committer.ts'
import type { ThreadRecord, WaitReason } from './app.ts'
import { ThreadDraft } from './draft.ts'
import { RecordReader } from './record-reader.ts'
import type { ThreadEntry } from './threads.ts'

/** Records folded at once when a log that waited is taken up again. */
const RESUME_RECORDS = 1_000
const RESUME_BYTES = 4 * 1024 * 1024
/** How long a log waits for the sandbox before it is tried again. */
const SANDBOX_RETRY_MS = 5_000
/** Longest sleep until a record that is ahead of the clock is looked at again: clocks are set. */
const CLOCK_RECHECK_MS = 60_000

export interface WriterComponents {
  readonly committer: Committer
  readonly clock: Clock
  readonly logger: Logger
}

export interface Written<T> {
  readonly result: T
  /** The stored batch; `undefined` if there was nothing to store. */
  readonly stored: Promise<Commit | undefined>
}

/** Runs the writes of threads, one at a time each, and keeps their logs folded. */
export class Writer {
  readonly #committer: Committer
  readonly #clock: Clock
  readonly #logger: Logger

  constructor(components: WriterComponents) {
    this.#committer = components.committer
    this.#clock = components.clock
    this.#logger = components.logger
  }

  /** Resolves when the batch is prepared. If `work` throws, nothing is written. */
  async write<T>(entry: ThreadEntry, work: (draft: ThreadDraft) => Promise<T>): Promise<Written<T>> {
    return entry.writer.run(async () => {
      if (entry.prepared.phase === 'deleting') throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
      const draft = new ThreadDraft(entry.prepared, this.#committer)
      const result = await work(draft)
      const commit = draft.submit(this.#clock.nowMs())
      if (commit === undefined) return { result, stored: Promise.resolve(undefined) }
      entry.prepared = draft.state
      const stored = commit.then((done) => {
        entry.stored = draft.state
        return done
      })
      // Whoever wants to know awaits `stored`; a write nobody waits for must not end the process.
      stored.catch(() => {})
      return { result, stored }
    })
  }

  /** Folds records that were added to the draft, where their logs do not wait. */
  async fold(
    entry: ThreadEntry,
    draft: ThreadDraft,
    options: { records: readonly ThreadRecord[]; local: boolean },
  ): Promise<void> {
    const { app } = entry
    const { key, logs } = draft.state
    if (app === undefined || options.records.length === 0) return
    if (key.read === undefined) {
      for (const record of options.records) entry.waits.set(record.logId, { kind: 'read-key' })
      return
    }
    const outcome = await app.fold(options.records, {
      view: draft.view,
      cursors: new Map([...logs].map(([id, log]) => [id, log.cursor])),
      local: options.local,
    })
    draft.operations(outcome.operations)
    draft.changes(outcome.changes)
    for (const [id, cursor] of outcome.cursors) {
      draft.setLog({ ...draft.log(id), cursor })
      entry.waits.delete(id)
    }
    for (const [id, reason] of outcome.waits) entry.waits.set(id, reason)
    this.#scheduleResume(entry)
  }

  /** Whether records added now after this log's head can be folded at once. */
  foldsAtOnce(entry: ThreadEntry, draft: ThreadDraft, id: LogId): boolean {
    const log = draft.log(id)
    return entry.app !== undefined && log.cursor.counter === log.head.counter
  }

  /** Folds what waits, run by run, until nothing moves. */
  async resume(entry: ThreadEntry): Promise<void> {
    for (;;) {
      const { result: moved, stored } = await this.write(entry, async (draft) => {
        const before = cursorSum(draft)
        await this.fold(entry, draft, { records: await unfolded(draft), local: false })
        return cursorSum(draft) > before
      })
      await stored
      if (!moved) return
    }
  }

  #scheduleResume(entry: ThreadEntry): void {
    entry.cancelWait?.()
    entry.cancelWait = undefined
    const delays = [...entry.waits.values()]
      .map((reason) => this.#delayOf(reason))
      .filter((delay) => delay !== undefined)
    if (delays.length === 0) return
    entry.cancelWait = this.#clock.after(Math.min(...delays), () => {
      this.resume(entry).catch((error: unknown) => {
        this.#logger.warn({ thread: entry.id, error }, 'could not take up a log that waits')
      })
    })
  }

  #delayOf(reason: WaitReason): number | undefined {
    switch (reason.kind) {
      case 'clock':
        return Math.min(CLOCK_RECHECK_MS, Math.max(1, reason.untilMs - this.#clock.nowMs()))
      case 'sandbox':
        return SANDBOX_RETRY_MS
      case 'transaction':
      case 'read-key':
        return undefined
    }
  }
}

function cursorSum(draft: ThreadDraft): number {
  let sum = 0
  for (const log of draft.state.logs.values()) sum += log.cursor.counter
  return sum
}

/** The next records of every log whose cursor stands before its head. */
async function unfolded(draft: ThreadDraft): Promise<ThreadRecord[]> {
  const reader = new RecordReader(draft.view)
  const records: ThreadRecord[] = []
  const waiting = [...draft.state.logs.values()].filter((log) => log.cursor.counter < log.head.counter)
  const share = { maxRecords: Math.ceil(RESUME_RECORDS / Math.max(1, waiting.length)), maxBytes: RESUME_BYTES }
  for (const log of waiting) {
    records.push(...(await reader.after(draft.state, log, { ...share, counter: log.cursor.counter })))
  }
  return records
}
