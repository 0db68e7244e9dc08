import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { ResolvedDbOptions } from './options.ts'

export interface LifetimeComponents {
  readonly clock: Clock
  readonly limits: Pick<ResolvedDbOptions, 'transactionIdleMs' | 'transactionTotalMs'>
  /** Aborted when the database is deleted or closed: the transaction ends with its reason. */
  readonly closed: AbortSignal
}

/** How long a transaction may be open: it ends without calls, after a time in all, and with its database. */
export class Lifetime {
  readonly #components: LifetimeComponents
  readonly #onExpired: () => void
  readonly #expiry = new AbortController()
  readonly #cancelTotal: () => void
  readonly #onClosed = (): void => this.#expire(this.#components.closed.reason)
  #cancelIdle: () => void = () => {}
  /** Calls that are not answered yet. The time for idle transactions runs while there is none. */
  #calls = 0
  #stopped = false

  /** `onExpired` is called when the transaction ends, unless `stop` was before. */
  constructor(components: LifetimeComponents, onExpired: () => void) {
    this.#components = components
    this.#onExpired = onExpired
    const { clock, limits, closed } = components
    this.#cancelTotal = clock.after(limits.transactionTotalMs, () => this.#timeOut(limits.transactionTotalMs))
    closed.addEventListener('abort', this.#onClosed, { once: true })
    this.#idle()
  }

  /** Aborted when the transaction ends so; the reason says why. */
  get expired(): AbortSignal {
    return this.#expiry.signal
  }

  /** Throws why the transaction ended so. */
  refuseExpired(): void {
    if (this.#expiry.signal.aborted) throw this.#expiry.signal.reason
  }

  /** Runs a call, during which the transaction is not idle. */
  async run<T>(call: () => Promise<T>): Promise<T> {
    this.#calls++
    this.#cancelIdle()
    try {
      return await call()
    } finally {
      this.#calls--
      if (this.#calls === 0) this.#idle()
    }
  }

  /** The transaction does not end by itself any more. */
  stop(): void {
    this.#stopped = true
    this.#cancelIdle()
    this.#cancelTotal()
    this.#components.closed.removeEventListener('abort', this.#onClosed)
  }

  #idle(): void {
    if (this.#stopped) return
    const { clock, limits } = this.#components
    this.#cancelIdle()
    this.#cancelIdle = clock.after(limits.transactionIdleMs, () => this.#timeOut(limits.transactionIdleMs))
  }

  #timeOut(afterMs: number): void {
    const text = `the transaction was open for ${afterMs} ms without an end; it is aborted`
    this.#expire(new ThreadsError('TRANSACTION_TIMEOUT', text))
  }

  #expire(reason: unknown): void {
    if (this.#stopped) return
    this.stop()
    this.#expiry.abort(reason)
    this.#onExpired()
  }
}
