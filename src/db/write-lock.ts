import type { AbortOptions } from '../core/abort.ts'
import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { OwnedThread } from '../net/index.ts'
import { Mutex } from '../util/mutex.ts'

/** How long after a failure records that waited for a transaction are taken up again. */
const RETRY_MS = 1_000

export interface WriteLockComponents {
  readonly thread: OwnedThread
  readonly clock: Clock
  readonly logger: Logger
  /** Aborted when the database is deleted or closed. */
  readonly closed: AbortSignal
}

/**
 * The right to write a database, given in the order it was asked for: to one write at a time, to an explicit transaction
 * from its start to its end. What such a transaction reads stays as it is: records received meanwhile are stored, and
 * folded after it.
 */
export class WriteLock {
  readonly #components: WriteLockComponents
  readonly #mutex = new Mutex()
  #transactionOpen = false
  /** Records wait for the end of a transaction. */
  #heldBack = false
  /** What waited is being folded. */
  #takingUp: Promise<void> | undefined

  constructor(components: WriteLockComponents) {
    this.#components = components
  }

  /** Runs one write. `signal` ends the waiting only. */
  run<T>(task: () => Promise<T>, options: AbortOptions = {}): Promise<T> {
    return this.#mutex.run(task, waiting(options))
  }

  /** Starts a transaction; the returned function ends it. Until then nothing changes but by the transaction. */
  async begin(options: AbortOptions = {}): Promise<() => void> {
    const { thread } = this.#components
    const release = await this.#mutex.acquire(waiting(options))
    const end = (): void => {
      this.#transactionOpen = false
      release()
      if (this.#heldBack) void this.#takeUp()
    }
    try {
      // One transaction right after the other must not hold records back for ever.
      if (this.#heldBack || this.#takingUp !== undefined) await this.#takeUp()
      this.#transactionOpen = true
      // Behind every write that is being prepared, and then until all of them are stored.
      await thread.write(async () => {})
      await thread.settled()
      return end
    } catch (error) {
      end()
      throw error
    }
  }

  /** Whether received records must wait for a transaction. They are folded after it. */
  holdsBack(): boolean {
    this.#heldBack ||= this.#transactionOpen
    return this.#transactionOpen
  }

  #takeUp(): Promise<void> {
    this.#takingUp ??= this.#resume().finally(() => {
      this.#takingUp = undefined
    })
    return this.#takingUp
  }

  async #resume(): Promise<void> {
    const { thread, clock, logger, closed } = this.#components
    if (closed.aborted) return
    this.#heldBack = false
    try {
      await thread.resume()
    } catch (error) {
      logger.warn({ thread: thread.id, error }, 'could not fold what waited for a transaction; it is tried again')
      clock.after(RETRY_MS, () => void this.#takeUp())
    }
  }
}

function waiting({ signal }: AbortOptions): AbortOptions {
  return signal === undefined ? {} : { signal }
}
