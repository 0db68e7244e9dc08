import { setTimeout as sleep } from 'node:timers/promises'
import type { DaemonClient, LogHead, ThreadState } from '../../src/client/node/index.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { lacking, otherCollections, recordsOf, sameHeads } from './compare.ts'

const POLL_MS = 1_000
/** Without a new record for so long, none is waited for any longer. Long logs are walked through before the first is stored. */
const STALL_MS = 5 * 60_000
/** Rounds of comparing: a client may write between the answers of the two daemons. */
const COMPARISONS = 5

export interface Sides {
  readonly from: DaemonClient
  readonly to: DaemonClient
}

/** A database, or a thread that is none. */
export interface Item {
  readonly id: ThreadId
  /** Of a database. */
  readonly name?: string | undefined
}

export interface Outcome {
  readonly item: Item
  readonly same: boolean
  readonly logs: number
  readonly records: number
  /** What differs; empty if nothing does. */
  readonly reason: string
}

/** All databases of a daemon, then the threads named. */
export async function itemsOf(daemon: DaemonClient, threads: readonly ThreadId[]): Promise<Item[]> {
  const databases = await daemon.databases()
  const others = threads.filter((id) => !databases.has(id))
  return [...Array.from(databases, ([id, name]) => ({ id, name })), ...others.map((id) => ({ id }))]
}

/** Joins at `to` what it does not have. Answers why some could not be joined. */
export async function joinAll(
  sides: Sides,
  items: readonly Item[],
  report: (line: string) => void,
): Promise<Map<ThreadId, string>> {
  const known = await sides.to.databases()
  const failures = new Map<ThreadId, string>()
  for (const item of items) {
    try {
      if (await join(sides, item, known.has(item.id))) report(`joined ${item.id}`)
    } catch (error) {
      // A daemon that is gone shows in the next call; what one database is refused for keeps out no other.
      if (!(error instanceof ThreadsError)) throw error
      failures.set(item.id, error.message)
    }
  }
  return failures
}

/** Answers whether there was something to be joined. */
async function join({ from, to }: Sides, { id, name }: Item, known: boolean): Promise<boolean> {
  const thread = await from.thread(id)
  if (thread === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'the daemon at -from does not have it')
  const { key } = thread
  if (name === undefined) {
    if ((await to.thread(id)) !== undefined) return false
    await byAddress(thread, (address) => to.joinThread(address, key))
    return true
  }
  const collections = await from.collections(id)
  if (!known) {
    await byAddress(thread, (address) => to.joinDatabase(address, { key, name, collections }))
    return true
  }
  const names = new Set((await to.collections(id)).map((each) => each.name))
  for (const config of collections) if (!names.has(config.name)) await to.addCollection(id, config)
  return false
}

/** Tries the addresses of a thread one after the other: not every one can be reached from everywhere. */
async function byAddress({ addresses }: ThreadState, joinAt: (address: Uint8Array) => Promise<void>): Promise<void> {
  const failures = new Set<string>()
  for (const address of addresses) {
    try {
      await joinAt(address)
      return
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      failures.add(error.message)
    }
  }
  throw new ThreadsError('PEER_UNREACHABLE', [...failures].join('; ') || 'the daemon at -from tells no address')
}

/** Waits until each side has the records that the other had at the beginning, or no more come. */
export async function awaitRecords(
  sides: Sides,
  items: readonly Item[],
  report: (line: string) => void,
): Promise<void> {
  const goals = new Map<ThreadId, Heads>()
  for (const { id } of items) goals.set(id, await headsOf(sides, id))
  let least = Number.POSITIVE_INFINITY
  for (let newsAt = performance.now(); performance.now() - newsAt < STALL_MS; await sleep(POLL_MS)) {
    let missing = 0
    for (const [id, goal] of goals) {
      const lacked = await pullMissing(sides, id, goal)
      missing += lacked
      if (lacked === 0) goals.delete(id)
    }
    if (missing === 0) return
    report(`${missing} records of ${goals.size} databases are still missing`)
    if (missing < least) newsAt = performance.now()
    least = Math.min(least, missing)
  }
}

/** Asks the side that lacks records to fetch them. Answers how many were missing before. */
async function pullMissing(sides: Sides, id: ThreadId, goal: Heads): Promise<number> {
  const now = await headsOf(sides, id)
  const atTo = lacking(goal.from, now.to)
  const atFrom = lacking(goal.to, now.from)
  // Whether it worked is told by the heads.
  if (atTo > 0) await sides.to.pull(id).catch(() => {})
  if (atFrom > 0) await sides.from.pull(id).catch(() => {})
  return atTo + atFrom
}

/** Compares until all are the same, some rounds at most. */
export async function compareAll(sides: Sides, items: readonly Item[]): Promise<Outcome[]> {
  const outcomes = new Map<ThreadId, Outcome>()
  for (let round = 1; round <= COMPARISONS; round++) {
    const databases = await sides.to.databases()
    for (const item of items) {
      if (outcomes.get(item.id)?.same === true) continue
      outcomes.set(item.id, await compare(sides, item, databases.has(item.id)))
    }
    if ([...outcomes.values()].every(({ same }) => same)) break
    if (round < COMPARISONS) await sleep(POLL_MS)
  }
  return [...outcomes.values()]
}

async function compare(sides: Sides, item: Item, isDatabase: boolean): Promise<Outcome> {
  const { id, name } = item
  const { from, to } = await headsOf(sides, id)
  const logs = (from ?? []).filter(({ head }) => head !== '')
  const counts = { item, logs: logs.length, records: recordsOf(logs) }
  const differs = (reason: string): Outcome => ({ ...counts, same: false, reason })
  if (from === undefined) return differs('the daemon at -from does not have it')
  if (to === undefined || (name !== undefined && !isDatabase)) return differs('the daemon at -to does not have it')
  if (!sameHeads(from, to)) {
    const [onlyFrom, onlyTo] = [lacking(from, to), lacking(to, from)]
    if (onlyFrom + onlyTo === 0) return differs('a log was continued on both sides')
    return differs(`${onlyFrom} records only at -from, ${onlyTo} only at -to`)
  }
  if (name !== undefined) {
    const others = otherCollections(await sides.from.collections(id), await sides.to.collections(id))
    if (others.length > 0) return differs(`the same records, but other definitions of ${others.join(', ')}`)
  }
  return { ...counts, same: true, reason: '' }
}

/** `undefined` for a side that does not have the thread. */
interface Heads {
  readonly from: readonly LogHead[] | undefined
  readonly to: readonly LogHead[] | undefined
}

async function headsOf({ from, to }: Sides, id: ThreadId): Promise<Heads> {
  const [left, right] = await Promise.all([from.thread(id), to.thread(id)])
  return { from: left?.logs, to: right?.logs }
}
