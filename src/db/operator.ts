import type { CID } from 'multiformats/cid'
import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ChainKey, OwnedThread, WaitingLog, WaitReason } from '../net/index.ts'
import { resetClock } from './clock-reset.ts'
import { type Decisions, withAdmitted, withSkipped } from './decisions.ts'
import type { DatabaseDefinition } from './definition.ts'
import type { Folder } from './folder.ts'
import type { CallOptions, WaitingOptions, WaitingRecord } from './index.ts'
import { pageLimit } from './page.ts'
import { MAX_AHEAD_MS } from './stamp.ts'
import type { WriteLock } from './write-lock.ts'

export interface OperatorComponents {
  readonly thread: OwnedThread
  readonly folder: Folder
  readonly writeLock: WriteLock
  readonly clock: Clock
  readonly logger: Logger
  readonly maxClockDriftMs: number
  /** As it is now, with the changes under way. */
  readonly definition: () => DatabaseDefinition
}

/** What an operator sees of records that wait, and what he decides about them. */
export class Operator {
  readonly #components: OperatorComponents

  constructor(components: OperatorComponents) {
    this.#components = components
  }

  async waiting({ limit, after, signal }: WaitingOptions): Promise<WaitingRecord[]> {
    const { thread } = this.#components
    const logs = thread.waiting().filter(({ chain }) => after === undefined || chain > after)
    const page = logs.toSorted((a, b) => (a.chain < b.chain ? -1 : 1)).slice(0, pageLimit(limit))
    const records: WaitingRecord[] = []
    for (const { logId, chain, counter, head, reason, sinceMs } of page) {
      signal?.throwIfAborted()
      const recordId = await recordIdAt(thread, chain, counter)
      records.push({ logId, counter, recordId, records: head - counter + 1, reason, sinceMs, position: chain })
    }
    return records
  }

  async admit(logId: LogId, options: CallOptions): Promise<void> {
    const { clock, logger, maxClockDriftMs, thread } = this.#components
    await this.#decide(options, async (decisions) => {
      const waits = this.#waitsOf(logId)
      const ahead = waits.flatMap(({ counter, reason }) => {
        if (reason.kind !== 'clock') return []
        // One that was admitted before waits until it is a day ahead, others as long as options say.
        const known = decisions?.admitted.find((each) => each.log === logId)
        const heldMs = known !== undefined && counter <= known.counter ? MAX_AHEAD_MS : maxClockDriftMs
        return [reason.untilMs + heldMs - clock.nowMs()]
      })
      if (ahead.length === 0) throw otherReason(logId, waits)
      const aheadMs = Math.min(...ahead)
      if (aheadMs > MAX_AHEAD_MS) throw tooFarAhead(aheadMs)
      const counter = Math.max(...waits.map(({ head }) => head))
      logger.warn({ thread: thread.id, log: logId, counter }, 'records ahead of the clock were admitted')
      return withAdmitted(decisions, logId, counter)
    })
  }

  async skip(logId: LogId, recordId: CID, options: CallOptions): Promise<void> {
    const { folder, logger, thread } = this.#components
    await this.#decide(options, async (decisions) => {
      const { chain, counter, reason } = await this.#waitBefore(logId, recordId)
      refuseUnskippable(logId, reason)
      const record = await thread.record(chain, counter)
      folder.retry(chain)
      const fields = { thread: thread.id, log: logId, counter, record: recordId.toString() }
      logger.warn(fields, 'a record that could not be judged was skipped')
      return withSkipped(decisions, record)
    })
  }

  async resetClock({ signal }: CallOptions): Promise<void> {
    const { logger, thread, writeLock } = this.#components
    const task = async (): Promise<void> => {
      for (const [log, records] of await resetClock(this.#components, signal)) {
        logger.warn(
          { thread: thread.id, log, records },
          'records written ahead of the clock are held; the log is retired',
        )
      }
      await thread.resume()
    }
    await writeLock.run(task, signal === undefined ? {} : { signal })
  }

  /** Stores a decision, and folds what waited for it. */
  async #decide(options: CallOptions, decide: (decisions: Decisions | undefined) => Promise<Decisions>): Promise<void> {
    const { thread, writeLock, definition } = this.#components
    const task = async (): Promise<void> => {
      const { stored } = await thread.write(async (draft) => {
        const before = definition()
        draft.setAppData({ ...before, decisions: await decide(before.decisions) })
      })
      await stored
      await thread.resume()
    }
    await writeLock.run(task, options.signal === undefined ? {} : { signal: options.signal })
  }

  /** The chains of a log that wait: more than one only if its owner forked it. */
  #waitsOf(logId: LogId): WaitingLog[] {
    const waits = this.#components.thread.waiting().filter((each) => each.logId === logId)
    if (waits.length === 0) throw notWaiting(`log ${logId} does not wait`)
    return waits
  }

  async #waitBefore(logId: LogId, recordId: CID): Promise<WaitingLog> {
    for (const wait of this.#waitsOf(logId)) {
      const next = await recordIdAt(this.#components.thread, wait.chain, wait.counter)
      if (next?.equals(recordId) === true) return wait
    }
    throw notWaiting(`log ${logId} waits before another record`)
  }
}

/** The id of a record; `undefined` if it cannot be read. */
async function recordIdAt(
  thread: Pick<OwnedThread, 'record'>,
  chain: ChainKey,
  counter: number,
): Promise<CID | undefined> {
  try {
    return (await thread.record(chain, counter)).cid
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}

function refuseUnskippable(logId: LogId, reason: WaitReason): void {
  if (reason.kind !== 'sandbox' && reason.kind !== 'retry') throw otherReason(logId, [{ reason }])
  if (reason.alone) return
  throw new ThreadsError('NOT_WAITING', `it is not known yet which record keeps log ${logId} waiting`, {
    hint: 'Its records are tried in ever smaller numbers. List the waiting logs again in a minute.',
  })
}

function notWaiting(message: string): ThreadsError {
  return new ThreadsError('NOT_WAITING', message, { hint: 'List the waiting logs.' })
}

function otherReason(logId: LogId, waits: readonly { readonly reason: WaitReason }[]): ThreadsError {
  const kinds = waits.map(({ reason }) => reason.kind)
  return notWaiting(`log ${logId} waits for another reason: ${kinds.join(', ')}`)
}

function tooFarAhead(aheadMs: number): ThreadsError {
  const message = `the record is stamped ${Math.round(aheadMs / 1000)} s ahead of the clock of this host, at most ${MAX_AHEAD_MS / 1000} s can be admitted`
  return new ThreadsError('CLOCK_SKEW', message, {
    hint: 'What this host writes comes after what it admitted: it could write no more. Set its clock, if that is wrong.',
  })
}
