import type { AbortOptions } from '../core/abort.ts'
import type { Clock } from '../core/clock.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { unlessAborted } from '../util/unless-aborted.ts'

/** Databases opened at a time, besides those that are asked for. */
const AT_ONCE = 4
/** How long after a start it begins with the databases that nobody has asked for: what callers want comes first. */
const DELAY_MS = 500
/** Longest that is waited for a database. It then serves what it held when the host stopped, and its opening goes on. */
const MAX_WAIT_MS = 10_000

/**
 * The part of opening databases that takes time: what waits in them is folded, what was cut off is finished. It is done
 * behind the start of the host, in the order of creation; one that a caller asks for is opened at once. So none waits
 * for another, however slow its validators are.
 */
export class Openings {
  readonly #clock: Clock
  readonly #waiting = new Map<ThreadId, () => Promise<void>>()
  readonly #running = new Map<ThreadId, Promise<void>>()
  #workers = 0
  #cancelStart: (() => void) | undefined

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** `open` must not reject. */
  add(id: ThreadId, open: () => Promise<void>): void {
    this.#waiting.set(id, open)
    this.#cancelStart ??= this.#clock.after(DELAY_MS, () => {
      this.#cancelStart = undefined
      for (let at = this.#workers; at < AT_ONCE; at++) void this.#work()
    })
  }

  /** Resolves when a database is open, or after a time; `undefined` if it is. Rejects with the reason of the signal. */
  wait(id: ThreadId, { signal }: AbortOptions = {}): Promise<void> | undefined {
    const running = this.#begin(id)
    return running === undefined || signal === undefined ? running : unlessAborted(() => running, signal)
  }

  /** Begins with no more. Those begun are not waited for: they end with what they work on, or never. */
  stop(): void {
    this.#cancelStart?.()
    this.#waiting.clear()
  }

  async #work(): Promise<void> {
    this.#workers++
    for (const id of this.#waiting.keys()) await this.#begin(id)
    this.#workers--
  }

  /** What callers wait for; `undefined` if there is nothing to wait for any more. */
  #begin(id: ThreadId): Promise<void> | undefined {
    const open = this.#waiting.get(id)
    if (open === undefined) return this.#running.get(id)
    this.#waiting.delete(id)
    const served = Promise.withResolvers<void>()
    const cancel = this.#clock.after(MAX_WAIT_MS, served.resolve)
    void open().finally(served.resolve)
    const running = served.promise.finally(() => {
      cancel()
      if (this.#running.get(id) === running) this.#running.delete(id)
    })
    this.#running.set(id, running)
    return running
  }
}
