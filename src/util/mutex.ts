interface Waiter {
  /** Hands the lock over. */
  enter(): void
}

/**
 * A lock that is granted in the order it was asked for.
 * Not reentrant: asking again while holding it waits for itself.
 */
export class Mutex {
  readonly #waiters = new Set<Waiter>()
  #locked = false

  get locked(): boolean {
    return this.#locked
  }

  /**
   * Waits for the lock. The returned function gives it back; calling it again does nothing.
   * Rejects with the reason of `signal` when that aborts first; such a waiter has never held the lock.
   */
  async acquire(options: { signal?: AbortSignal } = {}): Promise<() => void> {
    options.signal?.throwIfAborted()
    if (this.#locked) await this.#wait(options.signal)
    this.#locked = true
    let held = true
    return () => {
      if (held) this.#release()
      held = false
    }
  }

  /** Runs `task` while holding the lock. `signal` ends the waiting only, not the task. */
  async run<T>(task: () => Promise<T>, options: { signal?: AbortSignal } = {}): Promise<T> {
    const release = await this.acquire(options)
    try {
      return await task()
    } finally {
      release()
    }
  }

  #wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        enter: () => {
          signal?.removeEventListener('abort', onAbort)
          resolve()
        },
      }
      const onAbort = (): void => {
        this.#waiters.delete(waiter)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', onAbort, { once: true })
      this.#waiters.add(waiter)
    })
  }

  /** The lock stays taken while it is handed over, so that nobody can slip in between. */
  #release(): void {
    for (const waiter of this.#waiters) {
      this.#waiters.delete(waiter)
      waiter.enter()
      return
    }
    this.#locked = false
  }
}
