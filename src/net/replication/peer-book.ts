import type { Clock, Random } from '../../core/clock.ts'
import type { ThreadsError } from '../../core/errors.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { Edges } from '../replica.ts'
import { repeatDelayMs, retryDelayMs } from './backoff.ts'
import { sameEdges } from './plan.ts'

/** Notes kept of each kind; the oldest goes first. Losing one costs a call. */
const MAX_NOTES = 50_000

/** A log that does not advance with what a peer sends. */
export interface Stall {
  readonly peer: PeerId
  readonly threadId: ThreadId
  readonly logId: LogId
  /** `gap`: the peer sends only records that do not follow ours. `fault`: it sends one that is not valid. */
  readonly kind: 'gap' | 'fault'
  readonly reason: string
  /** When the peer is asked for the log again, in ms since 1970. */
  readonly retryAtMs: number
  /** Attempts in a row that ended so. */
  readonly times: number
}

export interface Failure {
  readonly retryAtMs: number
  readonly times: number
}

interface Barren {
  readonly local: Edges
  /** Absent if the peer did not tell. */
  readonly remote: Edges | undefined
  readonly retryAtMs: number
  readonly times: number
}

export interface PeerBookComponents {
  readonly clock: Clock
  readonly random: Random
  onReached(this: void, peer: PeerId): void
}

/** What a host remembers of its peers: which cannot be reached, which have nothing new, which send bad logs. */
export class PeerBook {
  readonly #clock: Clock
  readonly #random: Random
  readonly #failures = new Map<PeerId, Failure>()
  readonly #barren = new Map<string, Barren>()
  readonly #stalls = new Map<string, Stall>()

  readonly #onReached: (peer: PeerId) => void

  /** `onReached` is called when a peer that could not be reached is heard of again. */
  constructor({ clock, random, onReached }: PeerBookComponents) {
    this.#clock = clock
    this.#random = random
    this.#onReached = onReached
  }

  /** Set while a peer is not to be called, because it could not be reached. */
  failure(peer: PeerId): Failure | undefined {
    const failure = this.#failures.get(peer)
    return failure !== undefined && failure.retryAtMs > this.#clock.nowMs() ? failure : undefined
  }

  /** Calls that fail together count once. */
  failed(peer: PeerId): void {
    if (this.failure(peer) !== undefined) return
    const times = (this.#failures.get(peer)?.times ?? 0) + 1
    const retryAtMs = this.#clock.nowMs() + retryDelayMs(times, this.#random)
    note(this.#failures, peer, { retryAtMs, times })
  }

  reached(peer: PeerId): void {
    if (this.#failures.delete(peer)) this.#onReached(peer)
  }

  /** Whether the same question to the same peer brought nothing, not long ago. */
  isBarren(peer: PeerId, threadId: ThreadId, edges: { local: Edges; remote?: Edges | undefined }): boolean {
    const barren = this.#barren.get(`${peer} ${threadId}`)
    if (barren === undefined || barren.retryAtMs <= this.#clock.nowMs()) return false
    return sameQuestion(barren, edges)
  }

  broughtNothing(peer: PeerId, threadId: ThreadId, edges: { local: Edges; remote?: Edges | undefined }): void {
    const key = `${peer} ${threadId}`
    const before = this.#barren.get(key)
    const times = before !== undefined && sameQuestion(before, edges) ? before.times + 1 : 1
    const retryAtMs = this.#clock.nowMs() + repeatDelayMs(times)
    note(this.#barren, key, { local: edges.local, remote: edges.remote, retryAtMs, times })
  }

  broughtNews(peer: PeerId, threadId: ThreadId): void {
    this.#barren.delete(`${peer} ${threadId}`)
  }

  /** Logs of a thread not to be asked of a peer now. */
  stalledLogs(peer: PeerId, threadId: ThreadId, logs: readonly LogId[]): Set<LogId> {
    const now = this.#clock.nowMs()
    const stalled = logs.filter(
      (id) => (this.#stalls.get(stallKey({ peer, threadId, logId: id }))?.retryAtMs ?? 0) > now,
    )
    return new Set(stalled)
  }

  stalled(log: { peer: PeerId; threadId: ThreadId; logId: LogId }, kind: Stall['kind'], cause?: ThreadsError): Stall {
    const key = stallKey(log)
    const times = (this.#stalls.get(key)?.times ?? 0) + 1
    const retryAtMs = this.#clock.nowMs() + repeatDelayMs(times)
    const reason = cause === undefined ? 'the records between are not sent' : `${cause.code}: ${cause.message}`
    const stall = { ...log, kind, reason, retryAtMs, times }
    note(this.#stalls, key, stall)
    return stall
  }

  advanced(log: { peer: PeerId; threadId: ThreadId; logId: LogId }): void {
    this.#stalls.delete(stallKey(log))
  }

  status(): { failures: ReadonlyMap<PeerId, Failure>; stalls: readonly Stall[] } {
    return { failures: new Map(this.#failures), stalls: [...this.#stalls.values()] }
  }
}

function sameQuestion(barren: Barren, edges: { local: Edges; remote?: Edges | undefined }): boolean {
  if (!sameEdges(barren.local, edges.local)) return false
  return barren.remote === undefined || edges.remote === undefined || sameEdges(barren.remote, edges.remote)
}

function stallKey({ peer, threadId, logId }: { peer: PeerId; threadId: ThreadId; logId: LogId }): string {
  return `${peer} ${threadId} ${logId}`
}

function note<K, V>(notes: Map<K, V>, key: K, value: V): void {
  notes.delete(key)
  notes.set(key, value)
  if (notes.size <= MAX_NOTES) return
  for (const oldest of notes.keys()) {
    notes.delete(oldest)
    return
  }
}
