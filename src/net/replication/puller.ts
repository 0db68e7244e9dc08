import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { Budget } from '../protocol/budget.ts'
import { PeerRefusal } from '../protocol/status.ts'
import type { Edges } from '../replica.ts'
import { freshLogs, planExchange, sameEdges, type Wants } from './plan.ts'
import { addLogs, type PullComponents, RecordPull } from './record-pull.ts'

/** Replies of at most 4 MiB each that are awaited or worked on at once, of one peer and of all. */
const MAX_PEER_PULLS = 2
const MAX_PULLS = 16
/** A pull that takes longer lets those go first that wait. */
const TURN_MS = 60_000

interface Flight {
  /** What to ask for in the next round; `undefined` if that was asked for. */
  next: Wants | undefined
  done: Promise<void>
}

/** Fetches what peers have of threads and this host has not. */
export class Puller {
  readonly #components: PullComponents
  readonly #pullRecords: number
  readonly #flights = new Map<string, Flight>()
  readonly #pulls = new Budget(MAX_PULLS)
  readonly #peerPulls = new Map<PeerId, { budget: Budget; users: number }>()

  constructor(components: PullComponents, options: { pullRecords: number }) {
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
        const unfinished = await this.#withTurn(peer, () => this.#pullOnce(peer, threadId, round))
        if (unfinished) flight.next = union(flight.next, { ...round, logs: false })
      }
    } finally {
      this.#flights.delete(`${peer} ${threadId}`)
    }
  }

  async #withTurn<T>(peer: PeerId, run: () => Promise<T>): Promise<T> {
    const { signal } = this.#components
    const turns = this.#peerPulls.get(peer) ?? { budget: new Budget(MAX_PEER_PULLS), users: 0 }
    this.#peerPulls.set(peer, turns)
    turns.users++
    try {
      const releasePeer = await turns.budget.acquire(1, { signal })
      try {
        const release = await this.#pulls.acquire(1, { signal })
        return await run().finally(release)
      } finally {
        releasePeer()
      }
    } finally {
      turns.users--
      if (turns.users === 0) this.#peerPulls.delete(peer)
    }
  }

  /** Answers whether there is more to pull. */
  async #pullOnce(peer: PeerId, threadId: ThreadId, wants: Wants): Promise<boolean> {
    const { replica, book, client, clock, signal, sync } = this.#components
    const serviceKey = replica.serviceKey(threadId)
    // The key is shown to none but peers that have shown it.
    if (serviceKey === undefined || !replica.isProven(threadId, peer)) return false
    const turnEndsMs = clock.nowMs() + TURN_MS
    try {
      await sync?.ensure(peer, { signal })
      if (wants.logs) {
        const { logs } = await client.call(peer, 'getLogs', { threadId, serviceKey }, { signal })
        await addLogs(this.#components, { peer, threadId }, freshLogs(replica.logs(threadId), logs))
      }
      const pull = new RecordPull(this.#components, { peer, threadId, serviceKey })
      const isTurnOver = (): boolean => clock.nowMs() > turnEndsMs
      const scope = { limit: this.#pullRecords, ...(wants.only && { only: wants.only }) }
      const unfinished = wants.records && (await pull.run(scope, isTurnOver))
      book.reached(peer)
      return unfinished
    } catch (error) {
      if (hasCode(error, 'THREAD_NOT_FOUND') && !replica.has(threadId)) return false
      if (hasCode(error, 'PEER_UNREACHABLE')) book.failed(peer)
      else if (error instanceof PeerRefusal) book.reached(peer)
      throw error
    }
  }
}

function union(a: Wants | undefined, b: Wants): Wants {
  if (a === undefined) return b
  const both = { logs: a.logs || b.logs, records: a.records || b.records }
  if (!a.records || !b.records) return { ...both, ...onlyOf(a.records ? a : b) }
  return a.only === undefined || b.only === undefined ? both : { ...both, only: a.only.union(b.only) }
}

function onlyOf({ only }: Wants): Pick<Wants, 'only'> {
  return only === undefined ? {} : { only }
}

function logPullFailure(logger: Logger, fields: Record<string, unknown>, error: unknown): void {
  if (error instanceof ThreadsError)
    logger.debug({ ...fields, code: error.code, reason: error.message }, 'could not pull')
  else logger.error({ ...fields, error }, 'pulling failed')
}
