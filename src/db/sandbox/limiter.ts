import { MAX_WORK } from './metering.ts'

/** Units of work that a call may go on for after it was told to stop. */
const GRACE_WORK = 1_000_000

/** What a call may use. */
export interface Allowance {
  readonly ticks: number
  readonly work: number
}

export type Limit = 'steps' | 'work' | 'memory'

/** A call used up its ticks, its work or its memory. Whatever it answered does not count. */
export class LimitReached extends Error {
  readonly limit: Limit

  constructor(limit: Limit) {
    super(`out of ${limit}`)
    this.limit = limit
  }
}

/** Holds the code that runs in one engine to its limits. */
export class Limiter {
  /** The engine's count of its own work. */
  readonly #workLeft: WebAssembly.Global
  #running = false
  #ticksLeft = Number.POSITIVE_INFINITY
  #outOfMemory = false
  #worn = false
  #lastWork = 0

  constructor(workLeft: WebAssembly.Global) {
    this.#workLeft = workLeft
  }

  /** Whether the engine must not be used again: it has little memory left, or was left in the middle of something. */
  get worn(): boolean {
    return this.#worn
  }

  /** Units of work of the last run. */
  get lastWork(): number {
    return this.#lastWork
  }

  /** Runs code of a function. Throws LimitReached. */
  run<T>({ ticks, work }: Allowance, code: () => T): T {
    this.#running = true
    this.#ticksLeft = ticks
    this.#workLeft.value = work
    try {
      const result = code()
      this.#check()
      return result
    } catch (error) {
      this.#check()
      throw error
    } finally {
      this.#lastWork = work - this.#workLeft.value
      this.#running = false
      this.#ticksLeft = Number.POSITIVE_INFINITY
      this.#workLeft.value = MAX_WORK
    }
  }

  /**
   * The engine calls this for every tick, and stops the code when it answers true: it throws what the code cannot catch.
   * But closing an iterator makes that an ordinary exception, with which a loop can go on forever. So work ends soon too.
   */
  tick(): boolean {
    this.#ticksLeft -= 1
    if (this.#ticksLeft >= 0) return false
    this.#endSoon()
    return true
  }

  /**
   * Makes the memory one that grows for the host only: where that copies texts into the engine, no allocation may fail.
   * The allocator asks for more when it finds no room, so code that makes it ask has reached its limit.
   */
  guardMemory(memory: WebAssembly.Memory): void {
    const grow = memory.grow.bind(memory)
    memory.grow = (pages) => {
      this.#worn = true
      if (!this.#running) return grow(pages)
      this.#outOfMemory = true
      this.#endSoon()
      throw new RangeError('no memory left')
    }
  }

  #endSoon(): void {
    this.#workLeft.value = Math.min(this.#workLeft.value, GRACE_WORK)
  }

  #check(): void {
    // A trap leaves the engine in the middle of something.
    const trapped = this.#workLeft.value < 0
    if (trapped) this.#worn = true
    if (this.#outOfMemory) throw new LimitReached('memory')
    if (this.#ticksLeft < 0) throw new LimitReached('steps')
    if (trapped) throw new LimitReached('work')
  }
}
