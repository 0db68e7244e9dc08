import { ServerInterceptingCall, type ServerInterceptingCallInterface, status as Status } from '@grpc/grpc-js'
import type { Budget } from './budget.ts'
import { CALL_TIMEOUT_MS, MAX_MESSAGE_BYTES } from './constants.ts'

export interface CallBudgets {
  readonly peer: Budget
  readonly host: Budget
}

type Listener = Parameters<ServerInterceptingCall['start']>[0]

/**
 * Reads a request only when there is room for the largest message, in what the peer and what the host may hold. Room is
 * given back when the call is over and its handler done; if replies are small, all but the size of the request is given
 * back before. A peer that does not send its request in time loses its turn.
 */
export class LimitedCall extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface
  readonly #budgets: CallBudgets
  readonly #largeReply: boolean
  readonly #over = new AbortController()
  #release: ((keep?: number) => void) | undefined
  #reading = false
  #handling = false
  #bytes = 0

  constructor(next: ServerInterceptingCallInterface, options: { budgets: CallBudgets; largeReply: boolean }) {
    super(next)
    this.#next = next
    this.#budgets = options.budgets
    this.#largeReply = options.largeReply
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
        if (!this.#largeReply) this.#release?.(this.#bytes)
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
    else this.#readWhenThereIsRoom().catch(() => {})
    this.#reading = true
  }

  override sendMessage(message: unknown, callback: () => void): void {
    this.#handling = false
    super.sendMessage(message, callback)
    this.#settle()
  }

  override sendStatus(status: Parameters<ServerInterceptingCall['sendStatus']>[0]): void {
    this.#handling = false
    super.sendStatus(status)
    this.#settle()
  }

  #settle(): void {
    if (this.#over.signal.aborted && !this.#handling) this.#release?.()
  }

  async #readWhenThereIsRoom(): Promise<void> {
    const { signal } = this.#over
    this.#release = await acquireBoth(this.#budgets, signal)
    if (signal.aborted) return this.#settle()
    const timer = setTimeout(() => {
      if (!this.#handling) this.#next.sendStatus({ code: Status.DEADLINE_EXCEEDED, details: 'request is not complete' })
    }, CALL_TIMEOUT_MS)
    signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    super.startRead()
  }
}

async function acquireBoth({ peer, host }: CallBudgets, signal: AbortSignal): Promise<(keep?: number) => void> {
  const releasePeer = await peer.acquire(MAX_MESSAGE_BYTES, { signal })
  try {
    const releaseHost = await host.acquire(MAX_MESSAGE_BYTES, { signal })
    return (keep) => {
      releasePeer(keep)
      releaseHost(keep)
    }
  } catch (error) {
    releasePeer()
    throw error
  }
}
