import { BoundedCache } from '../../core/bounded-cache.ts'
import type { Clock } from '../../core/clock.ts'
import { type ErrorCode, ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import { Status, StatusError } from './status.ts'

/** Records that are not valid, taken from one peer in a second before it is refused unheard. */
const MAX_FAULTS_PER_SECOND = 10
/** Peers counted at once. */
const MAX_PEERS = 1000

const FAULTS: ReadonlySet<ErrorCode> = new Set(['BAD_SIGNATURE', 'INVALID_RECORD', 'INVALID_KEY'])

/** Bounds the work that a peer can cause with records that turn out to be bad: opening and verifying them is dear. */
export class FaultLimit {
  readonly #clock: Clock
  readonly #seconds = new BoundedCache<PeerId, { readonly second: number; faults: number }>(MAX_PEERS)

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Runs what a peer asked for. Throws StatusError instead while the peer is over its limit. */
  async run<T>(peer: PeerId, task: () => Promise<T>): Promise<T> {
    const window = this.#window(peer)
    if (window.faults >= MAX_FAULTS_PER_SECOND) {
      throw new StatusError(Status.permissionDenied, 'too many records that are not valid')
    }
    try {
      return await task()
    } catch (error) {
      if (error instanceof ThreadsError && FAULTS.has(error.code)) this.#window(peer).faults++
      throw error
    }
  }

  #window(peer: PeerId): { faults: number } {
    const second = Math.floor(this.#clock.nowMs() / 1000)
    const known = this.#seconds.get(peer)
    if (known?.second === second) return known
    const window = { second, faults: 0 }
    this.#seconds.set(peer, window)
    return window
  }
}
