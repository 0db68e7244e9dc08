import { type ErrorCode, hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { Budget } from '../protocol/budget.ts'
import type { PeerClient } from '../protocol/client.ts'
import type { GetRecordsReply, LogRecords } from '../protocol/messages.ts'
import { PeerRefusal, Status } from '../protocol/status.ts'
import type { Edges, PeerLog, Replica } from '../replica.ts'
import type { PeerBook } from './peer-book.ts'
import {
  freshLogs,
  planExchange,
  planGap,
  planReply,
  planRequest,
  type Scope,
  sameEdges,
  splitScope,
  type Wants,
} from './plan.ts'

/** Replies of at most 4 MiB each that are awaited or worked on at once, of one peer and of all. */
const MAX_PEER_PULLS = 2
const MAX_PULLS = 16

/** Failures that say something about what a peer sent, not about this host. */
const PEER_FAULTS: ReadonlySet<ErrorCode> = new Set([
  ...(['BAD_SIGNATURE', 'BROKEN_CHAIN', 'INVALID_RECORD', 'INVALID_KEY', 'BAD_MESSAGE', 'TOO_LARGE'] as const),
  'LOG_NOT_FOUND',
])

export interface PullerComponents {
  readonly replica: Replica
  readonly client: PeerClient
  readonly book: PeerBook
  readonly logger: Logger
  /** Ends all pulls. */
  readonly signal: AbortSignal
}

interface Flight {
  /** What to ask for in the next round; `undefined` if that was asked for. */
  next: Wants | undefined
  done: Promise<void>
}

/** Fetches what peers have of threads and this host has not. */
export class Puller {
  readonly #components: PullerComponents
  readonly #pullRecords: number
  readonly #flights = new Map<string, Flight>()
  readonly #pulls = new Budget(MAX_PULLS)
  readonly #peerPulls = new Map<PeerId, { budget: Budget; users: number }>()

  constructor(components: PullerComponents, options: { pullRecords: number }) {
    this.#components = components
    this.#pullRecords = options.pullRecords
  }

  /**
   * Fetches from one peer until it has nothing new. Two at once from one peer for one thread are one, which then asks
   * again. Throws PEER_UNREACHABLE, PeerRefusal, BAD_MESSAGE.
   */
  pull(peer: PeerId, threadId: ThreadId, wants: Wants): Promise<void> {
    const key = `${peer} ${threadId}`
    const flying = this.#flights.get(key)
    if (flying !== undefined) {
      flying.next = union(flying.next, wants)
      return flying.done
    }
    const flight: Flight = { next: wants, done: Promise.resolve() }
    this.#flights.set(key, flight)
    flight.done = this.#fly(peer, threadId, flight)
    return flight.done
  }

  /** Pulls in the background where a peer's edges differ, unless the same brought nothing not long ago. */
  compare(peer: PeerId, threadId: ThreadId, remote: Edges): void {
    const local = this.#components.replica.edges(threadId)
    const wants = planExchange(local, remote)
    if (wants.logs || wants.records) this.pullSoon(peer, threadId, { wants, edges: { local, remote } })
  }

  /** Pulls in the background. With `edges`, not if the same question brought nothing not long ago. */
  pullSoon(
    peer: PeerId,
    threadId: ThreadId,
    { wants, edges }: { wants: Wants; edges?: { local: Edges; remote?: Edges | undefined } },
  ): void {
    const { book, signal } = this.#components
    if (signal.aborted || (edges !== undefined && book.isBarren(peer, threadId, edges))) return
    void this.#pullAndNote(peer, threadId, { wants, edges })
  }

  async #pullAndNote(
    peer: PeerId,
    threadId: ThreadId,
    { wants, edges }: { wants: Wants; edges: { local: Edges; remote?: Edges | undefined } | undefined },
  ): Promise<void> {
    const { book, logger, replica, signal } = this.#components
    const before = replica.edges(threadId)
    try {
      await this.pull(peer, threadId, wants)
    } catch (error) {
      if (signal.aborted) return
      logPullFailure(logger, { peer, thread: threadId }, error)
    }
    if (!sameEdges(before, replica.edges(threadId))) book.broughtNews(peer, threadId)
    else if (edges !== undefined) book.broughtNothing(peer, threadId, edges)
  }

  /** Resolves when no pull is under way. To be called once the signal has aborted. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#flights.values()].map(({ done }) => done))
  }

  async #fly(peer: PeerId, threadId: ThreadId, flight: Flight): Promise<void> {
    try {
      for (let wants = flight.next; wants !== undefined; wants = flight.next) {
        const round = wants
        flight.next = undefined
        await this.#withTurn(peer, () => this.#pullOnce(peer, threadId, round))
      }
    } finally {
      this.#flights.delete(`${peer} ${threadId}`)
    }
  }

  async #withTurn(peer: PeerId, run: () => Promise<void>): Promise<void> {
    const { signal } = this.#components
    const turns = this.#peerPulls.get(peer) ?? { budget: new Budget(MAX_PEER_PULLS), users: 0 }
    this.#peerPulls.set(peer, turns)
    turns.users++
    try {
      const releasePeer = await turns.budget.acquire(1, { signal })
      try {
        const release = await this.#pulls.acquire(1, { signal })
        await run().finally(release)
      } finally {
        releasePeer()
      }
    } finally {
      turns.users--
      if (turns.users === 0) this.#peerPulls.delete(peer)
    }
  }

  async #pullOnce(peer: PeerId, threadId: ThreadId, wants: Wants): Promise<void> {
    const { replica, book, client, signal } = this.#components
    const serviceKey = replica.serviceKey(threadId)
    // The key is shown to none but peers that have shown it.
    if (serviceKey === undefined || !replica.isProven(threadId, peer)) return
    try {
      if (wants.logs) {
        const { logs } = await client.call(peer, 'getLogs', { threadId, serviceKey }, { signal })
        await addLogs(this.#components, { peer, threadId }, freshLogs(replica.logs(threadId), logs))
      }
      if (wants.records) await new RecordPull(this.#components, { peer, threadId, serviceKey }).run(this.#pullRecords)
      book.reached(peer)
    } catch (error) {
      if (hasCode(error, 'THREAD_NOT_FOUND') && !replica.has(threadId)) return
      if (hasCode(error, 'PEER_UNREACHABLE')) book.failed(peer)
      else if (error instanceof PeerRefusal) book.reached(peer)
      throw error
    }
  }
}

interface PullTarget {
  readonly peer: PeerId
  readonly threadId: ThreadId
}

interface Taken {
  /** Of the log's head here. */
  readonly counter: number
  readonly closeGap?: Scope
}

/** GetRecords of one thread from one peer, until nothing new comes. */
class RecordPull {
  readonly #components: PullerComponents
  readonly #target: PullTarget & { readonly serviceKey: Uint8Array }
  /** Logs of which nothing more is asked in this pull. */
  readonly #skip: Set<LogId>

  constructor(components: PullerComponents, target: PullTarget & { readonly serviceKey: Uint8Array }) {
    const { peer, threadId } = target
    this.#components = components
    this.#target = target
    this.#skip = components.book.stalledLogs(peer, threadId, logIds(components.replica.logs(threadId)))
  }

  async run(limit: number): Promise<void> {
    const scopes: Scope[] = [{ limit }]
    for (let scope = scopes.pop(); scope !== undefined; scope = scopes.pop()) {
      const reply = await this.#ask(scope)
      if (reply === 'too-large') scopes.push(...(await this.#smaller(scope)))
      else scopes.push(...(await this.#take(reply, scope)))
    }
  }

  async #ask(scope: Scope): Promise<GetRecordsReply | 'too-large'> {
    const { client, replica, signal } = this.#components
    const { peer, threadId, serviceKey } = this.#target
    const logs = planRequest(replica.logs(threadId), scope, this.#skip)
    try {
      return await client.call(peer, 'getRecords', { threadId, serviceKey, logs }, { signal })
    } catch (error) {
      if (error instanceof PeerRefusal && error.status === Status.resourceExhausted) return 'too-large'
      throw error
    }
  }

  /** go-threads counts records, not bytes. Logs that are not known here cannot be left out, so they are fetched first. */
  async #smaller(scope: Scope): Promise<Scope[]> {
    const { client, replica, signal, logger } = this.#components
    const { peer, threadId, serviceKey } = this.#target
    if (scope.only === undefined) {
      const { logs } = await client.call(peer, 'getLogs', { threadId, serviceKey }, { signal })
      await addLogs(this.#components, this.#target, freshLogs(replica.logs(threadId), logs))
    }
    const asked = logIds(replica.logs(threadId)).filter((id) => !this.#skip.has(id))
    const smaller = splitScope(scope, asked)
    if (smaller.length === 0) logger.warn({ peer, thread: threadId }, 'a peer has a record too large to be pulled')
    return smaller
  }

  /** Takes a reply. Answers what to ask for next: the same again if something came, and what may close gaps. */
  async #take(reply: GetRecordsReply, scope: Scope): Promise<Scope[]> {
    const { replica, logger } = this.#components
    const { peer, threadId } = this.#target
    if (reply.unreadable > 0)
      logger.warn({ peer, thread: threadId, logs: reply.unreadable }, 'a peer sent unreadable logs')
    const local = replica.logs(threadId)
    const plan = planReply(local, reply)
    await addLogs(this.#components, this.#target, plan.logs)
    const counters = new Map(local.map(({ id, counter }) => [id, counter]))
    const next: Scope[] = []
    let progress = false
    for (const run of plan.runs) {
      this.#components.signal.throwIfAborted()
      const taken = await this.#receive(run, scope)
      if (taken.counter > (counters.get(run.logId) ?? 0)) progress = true
      if (taken.closeGap !== undefined) next.push(taken.closeGap)
    }
    return progress ? [scope, ...next] : next
  }

  async #receive(run: LogRecords, scope: Scope): Promise<Taken> {
    const { replica, book, logger } = this.#components
    const { peer, threadId } = this.#target
    const { logId, records } = run
    const log = { peer, threadId, logId }
    try {
      const receipt = await replica.receive({ threadId, logId, records, from: peer })
      if (receipt.stored > 0) book.advanced(log)
      if (!receipt.gap) return receipt
      const closeGap = planGap(run, receipt, scope)
      if (closeGap !== undefined) return { counter: receipt.counter, closeGap }
      this.#skip.add(logId)
      const { reason } = book.stalled(log, 'gap')
      logger.warn({ peer, thread: threadId, log: logId, have: receipt.counter, reason }, 'a peer leaves a gap in a log')
      return receipt
    } catch (error) {
      if (!isPeerFault(error)) throw error
      this.#skip.add(logId)
      const { reason, times } = book.stalled(log, 'fault', error)
      logger.warn({ peer, thread: threadId, log: logId, reason, times }, 'a peer sent a record that is not valid')
      return { counter: replica.logs(threadId).find(({ id }) => id === logId)?.counter ?? 0 }
    }
  }
}

/** Adds what can be added: one bad log keeps none of the others out. */
async function addLogs(components: PullerComponents, target: PullTarget, logs: readonly PeerLog[]): Promise<void> {
  const { replica, logger } = components
  const { peer, threadId } = target
  if (logs.length === 0) return
  try {
    await replica.addLogs(threadId, logs, peer)
  } catch (error) {
    if (!isPeerFault(error)) throw error
    if (logs.length > 1) {
      for (const log of logs) await addLogs(components, target, [log])
      return
    }
    logger.warn(
      { peer, thread: threadId, log: logs[0]?.id, reason: error.message },
      'a peer sent a log that is not valid',
    )
  }
}

function isPeerFault(error: unknown): error is ThreadsError {
  return error instanceof ThreadsError && PEER_FAULTS.has(error.code)
}

function logIds(logs: readonly PeerLog[]): LogId[] {
  return logs.map(({ id }) => id)
}

function union(a: Wants | undefined, b: Wants): Wants {
  return { logs: b.logs || a?.logs === true, records: b.records || a?.records === true }
}

function logPullFailure(logger: Logger, fields: Record<string, unknown>, error: unknown): void {
  if (error instanceof ThreadsError)
    logger.debug({ ...fields, code: error.code, reason: error.message }, 'could not pull')
  else logger.error({ ...fields, error }, 'pulling failed')
}
