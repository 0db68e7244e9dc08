import { Heap } from '../src/db/fold/heap.ts'
import type { SeededRandom } from './random.ts'

/** From start to crash or stop of a host. What belongs to a life ends with it. */
export interface Life {
  readonly name: string
  alive: boolean
}

interface Event {
  readonly dueMs: number
  /** Decides between events of one time. */
  readonly lot: number
  readonly label: string
  readonly life: Life | undefined
  cancelled: boolean
  readonly run: () => void
}

const START_MS: number = Date.UTC(2027, 0, 1)

/** Lines that are kept, of the story and of every event: at least this many, at most twice. */
const STORY_LINES = 2_000
const EVENT_LINES = 20_000

/** Virtual time: decides which message, timer or write comes next, and runs one at a time until nothing moves. */
export class Scheduler {
  readonly #random: SeededRandom
  readonly #events = new Heap<Event>((a, b) => a.dueMs - b.dueMs || a.lot - b.lot)
  readonly #outside = new Set<Promise<unknown>>()
  #story: string[] = []
  #everything: string[] = []
  #nowMs = START_MS
  #trace = 0x811c9dc5
  #steps = 0

  constructor(random: SeededRandom) {
    this.#random = random
  }

  get nowMs(): number {
    return this.#nowMs
  }

  get elapsedMs(): number {
    return this.#nowMs - START_MS
  }

  get steps(): number {
    return this.#steps
  }

  /** Of everything that happened, in order: two runs with one hash did the same. */
  get trace(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, '0')
  }

  /** What was told: what people need to understand a run. */
  get story(): readonly string[] {
    return this.#story
  }

  /** Every event as well: messages, timers, writes to the disk. */
  get everything(): readonly string[] {
    return this.#everything
  }

  /** Runs `run` after a time, unless its life ended before. The returned function takes it back. */
  after(delayMs: number, label: string, run: () => void, life?: Life): () => void {
    const dueMs = this.#nowMs + Math.max(0, delayMs)
    const event: Event = { dueMs, lot: this.#random.unit(), label, life, cancelled: false, run }
    this.#events.push(event)
    return () => {
      event.cancelled = true
    }
  }

  /** Resolves after a time; never if the life ends before. */
  sleep(delayMs: number, label: string, life?: Life): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, label, resolve, life)
    })
  }

  /** Work that takes real time: virtual time waits for it. */
  async outside<T>(work: Promise<T>): Promise<T> {
    this.#outside.add(work)
    try {
      return await work
    } finally {
      this.#outside.delete(work)
    }
  }

  /** A line of the story. */
  tell(text: string): void {
    this.#story.push(this.#note(text))
    if (this.#story.length > 2 * STORY_LINES) this.#story = this.#story.slice(-STORY_LINES)
  }

  #note(text: string): string {
    const line = `${(this.elapsedMs / 1000).toFixed(3).padStart(10)} s  ${text}`
    for (let i = 0; i < line.length; i++) this.#trace = Math.imul(this.#trace ^ line.charCodeAt(i), 0x01000193)
    this.#everything.push(line)
    if (this.#everything.length > 2 * EVENT_LINES) this.#everything = this.#everything.slice(-EVENT_LINES)
    return line
  }

  /** The next event and all that follows from it at once. False if there is none. */
  async step(): Promise<boolean> {
    for (let event = this.#events.pop(); event !== undefined; event = this.#events.pop()) {
      if (event.cancelled || event.life?.alive === false) continue
      this.#nowMs = event.dueMs
      this.#steps++
      this.#note(event.life === undefined ? event.label : `${event.life.name}  ${event.label}`)
      event.run()
      await this.#quiet()
      return true
    }
    return false
  }

  /** Promises, and what the code under test leaves for the next turn, are done. */
  async #quiet(): Promise<void> {
    do {
      await Promise.allSettled(this.#outside)
      await nextTurn()
      await nextTurn()
    } while (this.#outside.size > 0)
  }
}

function nextTurn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
