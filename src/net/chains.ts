/**
 * The chains of a log. Records name the one before them by hash, so the records of a log are a tree; it has more than one
 * end only if its owner signed two records after the same one. Each end belongs to one chain: the *main* chain, which is
 * the one held first, goes back to the start of the log, a *branch* to the record of another chain that it follows.
 */
import type { LogId } from '../core/peer-id.ts'
import type { ForkedLog } from './index.ts'
import type { LogState, ThreadState } from './rows.ts'

type Logs = Pick<ThreadState, 'logs'>

/** The logs of a thread, each by its main chain. */
export function mainChains({ logs }: Logs): LogState[] {
  return [...logs.values()].filter(({ branch }) => branch === undefined)
}

export function branchesOf({ logs }: Logs, id: LogId): LogState[] {
  return [...logs.values()].filter((log) => log.id === id && log.branch !== undefined)
}

export function isForked({ logs }: Logs, id: LogId): boolean {
  for (const log of logs.values()) if (log.branch !== undefined && log.id === id) return true
  return false
}

/** The branches of all logs that have some. */
export function branchesByLog({ logs }: Logs): Map<LogId, LogState[]> {
  const branches = new Map<LogId, LogState[]>()
  for (const log of logs.values()) {
    if (log.branch === undefined) continue
    const known = branches.get(log.id)
    if (known === undefined) branches.set(log.id, [log])
    else known.push(log)
  }
  return branches
}

/** Logs that have branches. */
export function forkedLogs(thread: ThreadState): ForkedLog[] {
  return [...branchesByLog(thread)].map(([logId, branches]) => {
    const own = thread.logs.get(logId)?.privateKey !== undefined
    return { threadId: thread.id, logId, branches: branches.length, own }
  })
}

/** Records of a chain up to this one are in the chain it parts from; 0 for a main chain. */
export function baseOf({ branch }: Pick<LogState, 'branch'>): number {
  return branch?.base ?? 0
}

/** A record by its place in the row of a chain that holds it, or a head. Counter 0: before the first record. */
export interface Place {
  readonly log: LogState
  readonly counter: number
}

/** The parts of which the records up to a place are made, oldest first: of each row those up to a counter. */
export function partsTo({ logs }: Logs, { log, counter }: Place): Place[] {
  const parts: Place[] = []
  let to = counter
  for (let at: LogState | undefined = log; at !== undefined; at = at.branch && logs.get(at.branch.parent)) {
    const base = baseOf(at)
    if (to > base) parts.push({ log: at, counter: to })
    to = Math.min(to, base)
  }
  return parts.toReversed()
}

/** By row, the last of its records that somebody holds who holds these records and all before them. */
export function heldRows(thread: Logs, places: readonly Place[]): Map<number, number> {
  const held = new Map<number, number>()
  for (const place of places) {
    for (const { log, counter } of partsTo(thread, place)) {
      held.set(log.number, Math.max(counter, held.get(log.number) ?? 0))
    }
  }
  return held
}

/** Counter of the last record of a chain that is held; 0 if none is. */
export function heldUntil(thread: Logs, held: ReadonlyMap<number, number>, { log, counter }: Place): number {
  for (const part of partsTo(thread, { log, counter }).toReversed()) {
    const until = held.get(part.log.number)
    if (until !== undefined) return Math.min(until, part.counter)
  }
  return 0
}
