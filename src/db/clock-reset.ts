/**
 * What to do about a clock that was far ahead when this host wrote, and was set back: its records are held by others, and
 * what it writes now would have to come after them. The records that are ahead are held here too, as if they had come
 * from elsewhere, and writing goes on in new logs. Other hosts see no difference.
 */
import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ChainKey, Cursor, Draft, OwnedThread } from '../net/index.ts'
import { withoutAdmitted } from './decisions.ts'
import type { DatabaseDefinition } from './definition.ts'
import type { FoldRecord } from './fold/fold.ts'
import { foldRecord, type Folder } from './folder.ts'
import { MAX_AHEAD_MS, NS_PER_MS } from './stamp.ts'

/** Records taken back in one batch, and bytes of their bodies. */
const CHUNK_RECORDS = 500
const CHUNK_BYTES = 4 * 1024 * 1024

export interface ClockResetComponents {
  readonly thread: OwnedThread
  readonly folder: Folder
  readonly clock: Clock
  readonly maxClockDriftMs: number
  readonly definition: () => DatabaseDefinition
}

/**
 * Holds back what the logs of this host have ahead of its clock. Its caller holds the write lock. Answers how many records
 * are held of each log. Throws NOT_WAITING if there are none, CLOCK_SKEW if other logs are as far ahead.
 */
export async function resetClock(
  components: ClockResetComponents,
  signal: AbortSignal | undefined,
): Promise<Map<LogId, number>> {
  const { thread, clock, maxClockDriftMs } = components
  const own = thread.ownLogs()
  const farthest = BigInt(clock.nowMs() + MAX_AHEAD_MS) * NS_PER_MS
  const horizon = BigInt(clock.nowMs() + maxClockDriftMs) * NS_PER_MS
  const cursors = thread.cursors()
  const ahead = [...own].filter((id) => (cursors.get(id)?.time ?? 0n) > horizon)
  const mains = new Set<ChainKey>(own)
  const branches = thread.branches()
  for (const [chain, { time }] of cursors) {
    // What parts from records that are held would have to be held with them.
    const limit = mains.has(mainOf(chain, branches)) ? horizon : farthest
    if (!mains.has(chain) && time > limit) throw othersAhead(chain)
  }
  if (ahead.length === 0) {
    throw new ThreadsError('NOT_WAITING', 'no log of this host is ahead of its clock')
  }
  const held = new Map<LogId, number>()
  for (const id of ahead) held.set(id, await holdBack(components, id, { horizon, signal }))
  return held
}

/** The chain that a branch goes back to. */
function mainOf(chain: ChainKey, branches: ReadonlyMap<ChainKey, { readonly parent: ChainKey }>): ChainKey {
  let main = chain
  for (let at = branches.get(main); at !== undefined; at = branches.get(main)) main = at.parent
  return main
}

async function holdBack(
  components: ClockResetComponents,
  id: LogId,
  { horizon, signal }: { horizon: bigint; signal: AbortSignal | undefined },
): Promise<number> {
  const { thread, folder, definition } = components
  const { kept, times } = await tailOf(components, id, { horizon, signal })
  // From the end, so that in between the log stands where it would if the records behind had never been taken in.
  for (let left = times.length; left > 0; ) {
    signal?.throwIfAborted()
    const end = left
    const { result, stored } = await thread.write(async (draft) => {
      const records = await lastRecords(components, draft, { id, kept, times: times.slice(0, end) })
      const current = definition()
      const { operations, changes } = await folder.withdraw(records, draft.view, current)
      for (const operation of operations) {
        if (operation.type === 'put') draft.put(operation.key, operation.value)
        else draft.del(operation.key)
      }
      for (const change of changes) draft.change(change)
      const { decisions } = current
      if (decisions !== undefined) draft.setAppData({ ...current, decisions: withoutAdmitted(decisions, id) })
      const before = end - records.length
      draft.holdBack(id, { counter: kept.counter + before, time: timeAt(kept, times, before) })
      return before
    })
    await stored
    left = result
  }
  return times.length
}

/** Where the log is no more than allowed ahead of the clock, and the times of the records behind that. */
async function tailOf(
  { thread, definition }: ClockResetComponents,
  id: LogId,
  { horizon, signal }: { horizon: bigint; signal: AbortSignal | undefined },
): Promise<{ kept: Cursor; times: bigint[] }> {
  const last = thread.cursors().get(id)?.counter ?? 0
  const { decisions } = definition()
  const times: bigint[] = []
  let kept: Cursor = { counter: 0, time: 0n }
  let { time } = kept
  for (let counter = 1; counter <= last; counter++) {
    signal?.throwIfAborted()
    time = foldRecord(await thread.record(id, counter), time, decisions).position.time
    if (time > horizon) times.push(time)
    else kept = { counter, time }
  }
  return { kept, times }
}

/** The last records of the tail, as many as go into a batch. */
async function lastRecords(
  { thread, definition }: ClockResetComponents,
  { view }: Draft,
  { id, kept, times }: { id: LogId; kept: Cursor; times: readonly bigint[] },
): Promise<FoldRecord[]> {
  const records: FoldRecord[] = []
  let bytes = 0
  while (records.length < Math.min(times.length, CHUNK_RECORDS) && bytes < CHUNK_BYTES) {
    const before = times.length - records.length - 1
    const record = await thread.record(id, kept.counter + before + 1, view)
    records.push(foldRecord(record, timeAt(kept, times, before), definition().decisions))
    bytes += record.blocks.bodyNode.length
  }
  return records
}

/** Time of the log when so many records of its tail are taken in. */
function timeAt(kept: Cursor, times: readonly bigint[], count: number): bigint {
  return times[count - 1] ?? kept.time
}

function othersAhead(id: ChainKey): ThreadsError {
  const message = `records of log ${id} that were written elsewhere were taken in, and are too far ahead of the clock of this host`
  return new ThreadsError('CLOCK_SKEW', message, { hint: 'Writes wait until the clock gets there. Check the clock.' })
}
