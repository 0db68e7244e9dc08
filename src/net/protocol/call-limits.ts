import { ServerInterceptingCall, type ServerInterceptingCallInterface, status as Status } from '@grpc/grpc-js'
import type { Budget } from './budget.ts'
import { CALL_TIMEOUT_MS, MAX_MESSAGE_BYTES } from './constants.ts'

/** What one peer may use of the host, or all peers together. */
export interface Room {
  /** Of requests and replies. */
  readonly bytes: Budget
  readonly calls: Budget
}

export interface CallRooms {
  readonly peer: Room
  readonly host: Room
}

export interface CallLimits {
  readonly rooms: CallRooms
  readonly largeReply: boolean
  /** Ends the session of a peer that does not take a reply. */
  endSession(this: void): void
}

/** Time for a peer to take a reply. Callers have given up by then. */
const REPLY_TIMEOUT_MS = 2 * CALL_TIMEOUT_MS

type Listener = Parameters<ServerInterceptingCall['start']>[0]

/**
 * Reads a request only when there is room for the largest message, in what the peer and what the host may hold. Room is
 * given back when the call is over and its handler done; if replies are small, all but the size of the request is given
 * back before. Calls beyond a number are refused: each holds some of its request unread. A peer that does not send its
 * request in time loses its turn, one that does not take the reply its session.
 */
export class LimitedCall extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface
  readonly #limits: CallLimits
  readonly #over = new AbortController()
  #release: ((keep?: number) => void) | undefined
  #reading = false
  #handling = false
  #ending = false
  #bytes = 0

  constructor(next: ServerInterceptingCallInterface, limits: CallLimits) {
    super(next)
    this.#next = next
    this.#limits = limits
  }

  override start(listener: Listener): void {
    super.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message: Uint8Array) => {
        this.#bytes += message.length
        listener.onReceiveMessage(message)
      },
      onReceiveHalfClose: () => {
        this.#handling = true
        if (!this.#limits.largeReply) this.#release?.(this.#bytes)
        listener.onReceiveHalfClose()
      },
      // Comes once at the end of every call, also of those that went well.
      onCancel: () => {
        this.#over.abort()
        this.#settle()
        listener.onCancel()
      },
    })
  }

  override startRead(): void {
    if (this.#reading) super.startRead()
    else if (this.#enter()) this.#readWhenThereIsRoom().catch(() => {})
    // Not RESOURCE_EXHAUSTED, after which a caller asks for less.
    else this.#refuse(Status.ABORTED, 'too many calls at once')
    this.#reading = true
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#handling = false
    super.sendMessage(message, callback)
    this.#awaitEnd()
  }

  override sendStatus(status: Parameters<ServerInterceptingCall['sendStatus']>[0]): void {
    this.#handling = false
    super.sendStatus(status)
    this.#awaitEnd()
  }

  /** Counts the call until it is over. Answers whether there is room for it. */
  #enter(): boolean {
    const { peer, host } = this.#limits.rooms
    const leavePeer = peer.calls.tryAcquire(1)
    const leaveHost = leavePeer && host.calls.tryAcquire(1)
    if (leaveHost === undefined) leavePeer?.()
    else {
      this.#over.signal.addEventListener('abort', () => {
        leavePeer?.()
        leaveHost()
      })
    }
    return leaveHost !== undefined
  }

  #refuse(code: Status, details: string): void {
    this.#next.sendStatus({ code, details })
    this.#awaitEnd()
  }

  /** All is said: the peer has to take it. */
  #awaitEnd(): void {
    const { signal } = this.#over
    this.#settle()
    if (signal.aborted || this.#ending) return
    this.#ending = true
    const timer = setTimeout(this.#limits.endSession, REPLY_TIMEOUT_MS)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
  }

  #settle(): void {
    if (this.#over.signal.aborted && !this.#handling) this.#release?.()
  }

  async #readWhenThereIsRoom(): Promise<void> {
    const { signal } = this.#over
    this.#release = await acquireBoth(this.#limits.rooms, signal)
    if (signal.aborted) return this.#settle()
    const timer = setTimeout(() => {
      if (!this.#handling) this.#refuse(Status.DEADLINE_EXCEEDED, 'request is not complete')
    }, CALL_TIMEOUT_MS)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    super.startRead()
  }
}

async function acquireBoth({ peer, host }: CallRooms, signal: AbortSignal): Promise<(keep?: number) => void> {
  const releasePeer = await peer.bytes.acquire(MAX_MESSAGE_BYTES, { signal })
  try {
    const releaseHost = await host.bytes.acquire(MAX_MESSAGE_BYTES, { signal })
    return (keep) => {
      releasePeer(keep)
      releaseHost(keep)
    }
  } catch (error) {
    releasePeer()
    throw error
  }
}
