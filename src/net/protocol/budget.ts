interface Waiter {
  readonly amount: number
  enter(): void
}

/** A number of units that many share: bytes in memory, dials, calls. Granted in the order asked for. */
export class Budget {
  readonly #waiters = new Set<Waiter>()
  #free: number

  constructor(units: number) {
    this.#free = units
  }

  /**
   * Waits until `amount` units are free and takes them. The returned function gives back all of them, or all but `keep`;
   * called again, it gives back the rest. `amount` must not be larger than the budget.
   */
  async acquire(amount: number, options: { signal?: AbortSignal } = {}): Promise<(keep?: number) => void> {
    options.signal?.throwIfAborted()
    if (this.#waiters.size > 0 || this.#free < amount) await this.#wait(amount, options.signal)
    else this.#free -= amount
    return this.#giveBack(amount)
  }

  /** The same at once; `undefined` if it would have to wait. */
  tryAcquire(amount: number): ((keep?: number) => void) | undefined {
    if (this.#waiters.size > 0 || this.#free < amount) return undefined
    this.#free -= amount
    return this.#giveBack(amount)
  }

  #giveBack(amount: number): (keep?: number) => void {
    let held = amount
    return (keep = 0) => {
      this.#free += Math.max(0, held - keep)
      held = Math.min(held, keep)
      this.#wake()
    }
  }

  #wait(amount: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        amount,
        enter: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#waiters.delete(waiter)
        reject(signal?.reason)
        this.#wake()
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  #wake(): void {
    for (const waiter of this.#waiters) {
      if (waiter.amount > this.#free) return
      this.#free -= waiter.amount
      this.#waiters.delete(waiter)
      waiter.enter()
    }
  }
}
