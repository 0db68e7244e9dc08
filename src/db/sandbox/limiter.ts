import { type Limit, THREAD_STACK_BYTES } from './limits.ts'
import { NO_LIMIT } from './metering.ts'

/** Units of work that a call may go on for after it was told to stop. */
const GRACE_WORK = 1_000_000

/** What a call may use. */
export interface Allowance {
  readonly ticks: number
  readonly work: number
}

/** What the engine counts itself, see `meterModule`. */
export interface Meters {
  readonly workLeft: WebAssembly.Global
  readonly stackLeft: WebAssembly.Global
}

/** A call used up what it may use. Whatever it answered does not count. */
export class LimitReached extends Error {
  readonly limit: Limit

  constructor(limit: Limit) {
    super(`out of ${limit}`)
    this.limit = limit
  }
}

/** Holds the code that runs in one engine to its limits. */
export class Limiter {
  readonly #workLeft: WebAssembly.Global
  readonly #stackLeft: WebAssembly.Global
  #running = false
  #ticksLeft = Number.POSITIVE_INFINITY
  #outOfMemory = false
  #worn = false
  #lastWork = 0

  constructor({ workLeft, stackLeft }: Meters) {
    this.#workLeft = workLeft
    this.#stackLeft = stackLeft
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
    this.#stackLeft.value = THREAD_STACK_BYTES
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
      this.#workLeft.value = NO_LIMIT
      this.#stackLeft.value = NO_LIMIT
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
    const isOutOfWork = this.#workLeft.value < 0
    const isOutOfStack = this.#stackLeft.value < 0
    if (isOutOfWork || isOutOfStack) this.#worn = true
    if (this.#outOfMemory) throw new LimitReached('memory')
    if (this.#ticksLeft < 0) throw new LimitReached('steps')
    if (isOutOfStack) throw new LimitReached('stack')
    if (isOutOfWork) throw new LimitReached('work')
  }
}
