import { BoundedCache } from '../../core/bounded-cache.ts'
import type { Clock } from '../../core/clock.ts'
import { type ErrorCode, ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import { Status, StatusError } from './status.ts'

/** Records that are not valid, taken from one peer in a second before it is refused unheard. */
const MAX_FAULTS_PER_SECOND = 10
/** Seconds over that limit, with less than a minute between two, after which a peer is shut out. */
const MAX_STRIKES = 5
const FORGIVEN_AFTER_SECONDS = 60
const SHUT_OUT_MS = 10 * 60_000
/** Peers counted at once. */
const MAX_PEERS = 1000

const FAULTS: ReadonlySet<ErrorCode> = new Set(['BAD_SIGNATURE', 'INVALID_RECORD', 'INVALID_KEY'])

interface Window {
  readonly second: number
  faults: number
  /** Seconds in which the peer was over the limit. */
  readonly strikes: number
}

/**
 * Bounds the work that a peer can cause with records that turn out to be bad: opening and verifying them is dear. A peer
 * that is over the limit again and again is shut out.
 */
export class FaultLimit {
  readonly #clock: Clock
  readonly #shutOut: (peer: PeerId, forMs: number) => void
  readonly #seconds = new BoundedCache<PeerId, Window>(MAX_PEERS)

  constructor(clock: Clock, shutOut: (peer: PeerId, forMs: number) => void) {
    this.#clock = clock
    this.#shutOut = shutOut
  }

  /** Runs what a peer asked for. Throws StatusError instead while the peer is over its limit. */
  async run<T>(peer: PeerId, task: () => Promise<T>): Promise<T> {
    const window = this.#window(peer)
    if (window === undefined) {
      throw new StatusError(
        Status.permissionDenied,
        'too many records that are not valid; no more are heard for a while',
      )
    }
    if (window.faults >= MAX_FAULTS_PER_SECOND) {
      throw new StatusError(Status.permissionDenied, 'too many records that are not valid')
    }
    try {
      return await task()
    } catch (error) {
      if (isFault(error)) this.note(peer)
      throw error
    }
  }

  /** Counts something that was found not to be valid. Answers whether the peer is within its limit. */
  note(peer: PeerId): boolean {
    const window = this.#window(peer)
    return window !== undefined && ++window.faults <= MAX_FAULTS_PER_SECOND
  }

  /** `undefined` if the peer has just been shut out. */
  #window(peer: PeerId): Window | undefined {
    const second = Math.floor(this.#clock.nowMs() / 1000)
    const known = this.#seconds.get(peer)
    if (known?.second === second) return known
    const window = { second, faults: 0, strikes: strikesAfter(known, second) }
    this.#seconds.set(peer, window)
    if (window.strikes < MAX_STRIKES) return window
    this.#seconds.set(peer, { ...window, strikes: 0 })
    this.#shutOut(peer, SHUT_OUT_MS)
    return undefined
  }
}

/** Strangers are told less than why: it is the cause then. */
function isFault(error: unknown): boolean {
  return error instanceof ThreadsError && (FAULTS.has(error.code) || isFault(error.cause))
}

function strikesAfter(window: Window | undefined, second: number): number {
  if (window === undefined || second - window.second > FORGIVEN_AFTER_SECONDS) return 0
  return window.strikes + (window.faults >= MAX_FAULTS_PER_SECOND ? 1 : 0)
}
