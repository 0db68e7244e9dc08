/** A call that goes on for so many ticks after it was told to stop is cut off. */
const GRACE_TICKS = 10

type HostCall = (...values: unknown[]) => unknown

/** A call used up its ticks or its memory. Whatever it answered does not count. */
export class LimitReached extends Error {
  readonly limit: 'steps' | 'memory'

  constructor(limit: 'steps' | 'memory') {
    super(`out of ${limit}`)
    this.limit = limit
  }
}

/** Holds the code that runs in one engine to its limits. */
export class Limiter {
  #running = false
  #ticksLeft = Number.POSITIVE_INFINITY
  #outOfMemory = false
  #worn = false

  /** Whether the engine must not be used again: it has little memory left, or was left in the middle of something. */
  get worn(): boolean {
    return this.#worn
  }

  /** Runs code of a function. Throws LimitReached. */
  run<T>(ticks: number, code: () => T): T {
    this.#running = true
    this.#ticksLeft = ticks
    try {
      const result = code()
      this.#check()
      return result
    } catch (error) {
      this.#check()
      throw error
    } finally {
      this.#running = false
      this.#ticksLeft = Number.POSITIVE_INFINITY
    }
  }

  /** The engine calls this for every tick, and stops the code when it answers true. */
  tick(): boolean {
    this.#ticksLeft -= 1
    return this.#ticksLeft < 0
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
      throw new RangeError('no memory left')
    }
  }

  /**
   * Makes what the engine calls of its host a way to cut it off. To stop code, the engine throws what the code cannot
   * catch; but closing an iterator makes that an ordinary exception, with which a loop can go on forever.
   */
  guardImports(imports: WebAssembly.Imports): WebAssembly.Imports {
    const guard = (hostCall: HostCall): HostCall => {
      return (...values) => {
        const result = hostCall(...values)
        if (this.#ticksLeft >= -GRACE_TICKS) return result
        this.#worn = true
        throw new LimitReached('steps')
      }
    }
    const guarded: WebAssembly.Imports = {}
    for (const [module, members] of Object.entries(imports)) {
      const entries = Object.entries(members).map(([name, value]) => [name, isHostCall(value) ? guard(value) : value])
      guarded[module] = Object.fromEntries(entries)
    }
    return guarded
  }

  #check(): void {
    if (this.#outOfMemory) throw new LimitReached('memory')
    if (this.#ticksLeft < 0) throw new LimitReached('steps')
  }
}

function isHostCall(value: unknown): value is HostCall {
  return typeof value === 'function'
}
