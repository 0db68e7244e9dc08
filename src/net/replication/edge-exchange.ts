import type { Clock } from '../../core/clock.ts'
import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { PeerClient } from '../protocol/client.ts'
import { PeerRefusal, Status } from '../protocol/status.ts'
import type { Edges, Replica } from '../replica.ts'
import type { SyncStreams } from '../sync/sync-streams.ts'
import type { PeerBook } from './peer-book.ts'
import type { Wants } from './plan.ts'
import type { Puller } from './puller.ts'

/** Threads in one call, as go-threads. */
const THREADS_PER_CALL = 10

export interface EdgeExchangeComponents {
  readonly replica: Replica
  readonly client: PeerClient
  readonly book: PeerBook
  readonly puller: Puller
  /** Without it there are no streams of Sync. */
  readonly sync?: SyncStreams | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Is called when a peer has answered. */
  readonly onAnswer?: ((this: void, peer: PeerId) => void) | undefined
  /** Ends all exchanges. */
  readonly signal: AbortSignal
}

export interface EdgeExchangeOptions {
  readonly pullStartAfterMs: number
  readonly pullInitialIntervalMs: number
  readonly pullIntervalMs: number
}

/**
 * Compares edges with all peers at intervals, and pulls where they differ. With peers that take part in Sync it has nothing
 * to do but to open the stream, once there is none.
 */
export class EdgeExchange {
  readonly #components: EdgeExchangeComponents
  readonly #options: EdgeExchangeOptions
  /** Peers whose last exchange is not over; a slow one skips cycles and delays nobody. */
  readonly #busy = new Map<PeerId, Promise<void>>()
  #cancelNext: (() => void) | undefined

  constructor(components: EdgeExchangeComponents, options: EdgeExchangeOptions) {
    this.#components = components
    this.#options = options
  }

  start(): void {
    const { pullStartAfterMs, pullInitialIntervalMs } = this.#options
    this.#cycleAfter(pullStartAfterMs, pullInitialIntervalMs)
  }

  /** Resolves when no exchange is under way. To be called once the signal has aborted. */
  async settled(): Promise<void> {
    this.#cancelNext?.()
    await Promise.allSettled(this.#busy.values())
  }

  #cycleAfter(delayMs: number, nextMs: number): void {
    const { clock, signal } = this.#components
    if (signal.aborted) return
    this.#cancelNext = clock.after(delayMs, () => {
      this.#cycleAfter(nextMs, this.#options.pullIntervalMs)
      this.#cycle()
    })
  }

  #cycle(): void {
    const { book, logger, signal, sync } = this.#components
    for (const peer of this.#peers()) {
      if (this.#busy.has(peer) || sync?.session(peer) !== undefined || book.failure(peer) !== undefined) continue
      const exchange = this.#exchangeAll(peer)
        .catch((error: unknown) => {
          if (!signal.aborted) logger.error({ peer, error }, 'could not compare edges')
        })
        .finally(() => this.#busy.delete(peer))
      this.#busy.set(peer, exchange)
    }
  }

  #peers(): Set<PeerId> {
    const { replica } = this.#components
    const peers = new Set<PeerId>()
    for (const threadId of replica.threadIds()) for (const peer of replica.peers(threadId)) peers.add(peer)
    return peers
  }

  async #exchangeAll(peer: PeerId): Promise<void> {
    const { book, logger, onAnswer, replica, signal, sync } = this.#components
    try {
      if ((await sync?.ensure(peer, { signal })) !== undefined) return
      const threads = replica.threadIds().filter((threadId) => replica.peers(threadId).includes(peer))
      for (let at = 0; at < threads.length; at += THREADS_PER_CALL) {
        await this.#exchange(peer, threads.slice(at, at + THREADS_PER_CALL))
      }
      book.reached(peer)
      onAnswer?.(peer)
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      if (hasCode(error, 'PEER_UNREACHABLE')) book.failed(peer)
      logger.debug({ peer, code: error.code, reason: error.message }, 'a peer does not compare edges')
    }
  }

  async #exchange(peer: PeerId, threads: readonly ThreadId[]): Promise<void> {
    const { client, puller, replica, signal } = this.#components
    const here = threads.filter((threadId) => replica.has(threadId))
    try {
      const request = { threads: here.map((threadId) => ({ threadId, edges: replica.edges(threadId) })) }
      const reply = await client.call(peer, 'exchangeEdges', request, { signal })
      const asked = new Set(here)
      for (const { threadId, edges } of reply.threads) {
        if (!asked.has(threadId) || !replica.has(threadId)) continue
        if (edges.addresses !== 0n) puller.compare(peer, threadId, edges)
        // Of a peer that belongs to the thread: it forgot that this host does, and a pull shows it.
        else puller.pullSoon(peer, threadId, pullOfAll(replica.edges(threadId), edges))
      }
    } catch (error) {
      if (!(error instanceof PeerRefusal && error.status === Status.unimplemented)) throw error
      // Older peers know no edges: they are asked for records outright.
      for (const threadId of here) puller.pullSoon(peer, threadId, { wants: { logs: false, records: true } })
    }
  }
}

function pullOfAll(local: Edges, remote: Edges): { wants: Wants; edges: { local: Edges; remote: Edges } } {
  return { wants: { logs: true, records: true }, edges: { local, remote } }
}
