import type { AbortOptions } from '../../core/abort.ts'
import { BoundedCache } from '../../core/bounded-cache.ts'
import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import type { SyncOpener } from '../protocol/client.ts'
import { MAX_SYNC_STREAMS } from '../protocol/constants.ts'
import type { FrameStream } from '../protocol/frame-stream.ts'
import { Status, StatusError } from '../protocol/status.ts'
import type { SyncContext } from './context.ts'
import { type Seen, SyncSession } from './session.ts'

/** Time for a peer to say hello. */
const HELLO_MS = 5_000
/** How long a peer that does not know Sync is not asked again, unless it could not be reached meanwhile. */
const WITHOUT_SYNC_MS = 10 * 60_000
/** The same for one that has no room for a stream, */
const REFUSED_MS = 30_000
/** and for one that did not keep to the rules, which may open none either. */
const FAULT_MS = 10 * 60_000
/** Peers of which something is remembered. */
const MAX_PEERS = 1_000

export interface SyncStreamsComponents extends SyncContext {
  readonly opener: SyncOpener
  /** A stream is ready. */
  onReady(this: void, session: SyncSession): void
}

/** The streams of Sync of a host: at most one with each peer. */
export class SyncStreams {
  readonly #components: SyncStreamsComponents
  readonly #ready = new Map<PeerId, SyncSession>()
  readonly #opening = new Map<PeerId, Promise<SyncSession | undefined>>()
  /** Every stream that has not ended. */
  readonly #all = new Map<SyncSession, Promise<void>>()
  readonly #without = new Map<PeerId, { untilMs: number; isFault: boolean }>()
  #seen = new BoundedCache<PeerId, Seen>(MAX_PEERS)
  #stopped = false

  constructor(components: SyncStreamsComponents) {
    this.#components = components
  }

  /** The stream with a peer, if there is one that is ready. */
  session(peer: PeerId): SyncSession | undefined {
    return this.#ready.get(peer)
  }

  /** The same; opens one if the peer takes part in Sync, as far as is known. Throws PEER_UNREACHABLE. */
  async ensure(peer: PeerId, { signal }: AbortOptions = {}): Promise<SyncSession | undefined> {
    const ready = this.#ready.get(peer)
    if (ready !== undefined || this.#isWithout(peer) || this.#stopped) return ready
    const known = this.#opening.get(peer)
    if (known === undefined && this.#all.size >= MAX_SYNC_STREAMS) return undefined
    const opening = known ?? this.#open(peer, signal).finally(() => this.#opening.delete(peer))
    this.#opening.set(peer, opening)
    return opening
  }

  /** Takes a stream that a peer opened. */
  accept(stream: FrameStream, peer: PeerId): void {
    const isShutOut = this.#without.get(peer)?.isFault === true && this.#isWithout(peer)
    if (this.#stopped || isShutOut || !this.#hasRoom(peer)) {
      stream.end(noRoom())
      return
    }
    const session = this.#start(stream, { peer, isOpener: false })
    const cancel = this.#components.clock.after(HELLO_MS, () => {
      if (!session.isReady) session.end(new ThreadsError('BAD_MESSAGE', 'the peer does not say hello'))
    })
    void this.#all.get(session)?.finally(cancel)
  }

  /** Makes room for a stream if there is none: a peer that says no hello, or belongs to no thread, keeps out no other. */
  #hasRoom(peer: PeerId): boolean {
    const sessions = [...this.#all.keys()]
    const waiting = sessions.find((each) => each.peer === peer && !each.isOpener && !each.isReady)
    const full = sessions.length < MAX_SYNC_STREAMS ? undefined : sessions.find((each) => !each.isMember)
    for (const session of [waiting, full]) session?.end(undefined, noRoom())
    return sessions.length < MAX_SYNC_STREAMS || full !== undefined
  }

  /** A peer that could not be reached can be again: it may be another program now. */
  forget(peer: PeerId): void {
    this.#without.delete(peer)
  }

  /** What was stored may be gone: nothing counts as seen any more, and all is compared anew. */
  reset(): void {
    this.#seen = new BoundedCache<PeerId, Seen>(MAX_PEERS)
    for (const session of this.#all.keys()) session.end()
  }

  stop(): void {
    this.#stopped = true
    this.reset()
  }

  /** Resolves when all streams have ended. To be called once stopped. */
  async settled(): Promise<void> {
    await Promise.allSettled([...this.#all.values(), ...this.#opening.values()])
  }

  async #open(peer: PeerId, signal: AbortSignal | undefined): Promise<SyncSession | undefined> {
    const { opener, clock } = this.#components
    const stream = await opener.openSync(peer, signal === undefined ? {} : { signal })
    if (this.#stopped) {
      stream.end()
      return undefined
    }
    const session = this.#start(stream, { peer, isOpener: true })
    const ended = this.#all.get(session)
    const cancel = clock.after(HELLO_MS, () => {
      if (!session.isReady) session.end(new StatusError(Status.unimplemented, 'the peer does not say hello'))
    })
    await Promise.race([session.met, ended])
    cancel()
    return this.#ready.get(peer)
  }

  #start(stream: FrameStream, about: { peer: PeerId; isOpener: boolean }): SyncSession {
    const { peer } = about
    const session = new SyncSession(
      this.#components,
      { stream, ...about },
      {
        onHello: (met) => this.#onHello(met),
        onEnd: (over, cause) => this.#onEnd(over, cause),
        seen: () => this.#seen.get(peer),
        onSeen: (seen) => this.#seen.set(peer, seen),
      },
    )
    const running = session.run().finally(() => this.#all.delete(session))
    this.#all.set(session, running)
    return session
  }

  /** Of two streams with a peer the one stays that the smaller id opened, if both are with the same life of the peer. */
  #onHello(session: SyncSession): boolean {
    const { peer, isOpener } = session
    const other = this.#ready.get(peer)
    const hostIsSmaller = this.#components.replica.hostId < peer
    const isSame = other?.life === session.life
    const isKept = other === undefined || !isSame || other.isOpener === isOpener || isOpener === hostIsSmaller
    if (!isKept) {
      // If the peer has lost it, it ends soon.
      other.probe()
      session.end(undefined, new StatusError(Status.aborted, 'there is a stream already'))
      return false
    }
    this.#ready.set(peer, session)
    other?.end()
    this.#components.onReady(session)
    return true
  }

  #onEnd(session: SyncSession, cause: unknown): void {
    const { clock, faults, logger } = this.#components
    const { peer } = session
    if (this.#ready.get(peer) === session) this.#ready.delete(peer)
    if (cause === undefined || this.#stopped) return
    const { forMs, isFault } = pauseAfter(cause)
    if (forMs > 0) {
      this.#without.delete(peer)
      this.#without.set(peer, { untilMs: clock.nowMs() + forMs, isFault })
      for (const [oldest] of this.#without) if (this.#without.size > MAX_PEERS) this.#without.delete(oldest)
    }
    if (!(cause instanceof ThreadsError || cause instanceof StatusError)) {
      logger.error({ peer, error: cause }, 'a stream of Sync failed')
    } else if (isFault) {
      logger.warn({ peer, reason: cause.message }, 'a peer did not keep to the rules of Sync')
      faults.note(peer)
    } else logger.debug({ peer, reason: cause.message }, 'a stream of Sync ended')
  }

  #isWithout(peer: PeerId): boolean {
    const without = this.#without.get(peer)
    if (without === undefined) return false
    if (without.untilMs > this.#components.clock.nowMs()) return true
    this.#without.delete(peer)
    return false
  }
}

function noRoom(): StatusError {
  return new StatusError(Status.resourceExhausted, 'no more streams of Sync are taken')
}

interface Pause {
  readonly forMs: number
  /** The peer did not keep to the rules. */
  readonly isFault: boolean
}

/** How long a peer whose stream ended so is left without one. */
function pauseAfter(cause: unknown): Pause {
  if (cause instanceof StatusError) {
    if (cause.code === Status.unimplemented) return { forMs: WITHOUT_SYNC_MS, isFault: false }
    const isGone = cause.code === Status.unavailable || cause.code === Status.aborted
    return { forMs: isGone ? 0 : REFUSED_MS, isFault: false }
  }
  return hasCode(cause, 'PEER_UNREACHABLE') ? { forMs: 0, isFault: false } : { forMs: FAULT_MS, isFault: true }
}
