/** Time as the host sees it. Passed in, so that tests run on a clock of their own. */
export interface Clock {
  /** Milliseconds since 1970, UTC. */
  nowMs(): number
  /** Calls `run` once after `delayMs`. The returned function cancels it. Never keeps the process alive. */
  after(delayMs: number, run: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** Cryptographically strong random bytes, or seeded ones in tests. */
export type Random = (length: number) => Uint8Array
