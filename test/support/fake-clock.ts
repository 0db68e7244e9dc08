import type { Clock } from '../../src/core/clock.ts'

interface Timer {
  readonly dueMs: number
  readonly run: () => void
}

/** A clock that moves by hand. */
export class FakeClock implements Clock {
  readonly #timers = new Set<Timer>()
  #nowMs: number

  constructor(startMs: number = Date.UTC(2026, 0, 1)) {
    this.#nowMs = startMs
  }

  /** Timers set and not run yet. */
  get pendingTimers(): number {
    return this.#timers.size
  }

  nowMs(): number {
    return this.#nowMs
  }

  after(delayMs: number, run: () => void): () => void {
    const timer: Timer = { dueMs: this.#nowMs + delayMs, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  /** Moves on and runs what falls due, in the order of time; also what that sets for the time passed. */
  advance(byMs: number): void {
    const endMs = this.#nowMs + byMs
    for (let timer = this.#earliest(endMs); timer !== undefined; timer = this.#earliest(endMs)) {
      this.#timers.delete(timer)
      this.#nowMs = Math.max(this.#nowMs, timer.dueMs)
      timer.run()
    }
    this.#nowMs = endMs
  }

  /** Puts the clock to another time without running anything, as when an operator sets it. */
  set(nowMs: number): void {
    this.#nowMs = nowMs
  }

  #earliest(endMs: number): Timer | undefined {
    let earliest: Timer | undefined
    for (const timer of this.#timers) {
      if (timer.dueMs <= endMs && (earliest === undefined || timer.dueMs < earliest.dueMs)) earliest = timer
    }
    return earliest
  }
}
