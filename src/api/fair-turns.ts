import { unlessAborted } from '../util/unless-aborted.ts'

/** Lets a few tasks run at once, and gives the turns to the connections in rotation, however many tasks each has. */
export class FairTurns {
  readonly #maxRunning: number
  /** What starts the tasks that wait, by connection; the next connection first. */
  readonly #waiting = new Map<object, Set<() => void>>()
  #running = 0

  constructor(maxRunning: number) {
    this.#maxRunning = maxRunning
  }

  /** Runs a task when it is its turn. Rejects with the reason of `signal` if that is aborted before. */
  async run<T>(
    task: () => Promise<T>,
    { connection, signal }: { connection: object; signal: AbortSignal },
  ): Promise<T> {
    if (this.#running >= this.#maxRunning) await this.#turn(connection, signal)
    else this.#running++
    try {
      return await task()
    } finally {
      this.#running--
      this.#next()
    }
  }

  async #turn(connection: object, signal: AbortSignal): Promise<void> {
    const mine = Promise.withResolvers<void>()
    const tasks = this.#waiting.get(connection) ?? new Set()
    tasks.add(mine.resolve)
    this.#waiting.set(connection, tasks)
    try {
      await unlessAborted(() => mine.promise, signal)
    } catch (error) {
      // A turn that came at the same time goes on to the next.
      if (!this.#remove(connection, mine.resolve)) {
        this.#running--
        this.#next()
      }
      throw error
    }
  }

  #next(): void {
    const [first] = this.#waiting
    if (first === undefined || this.#running >= this.#maxRunning) return
    const [connection, tasks] = first
    const [start] = tasks
    if (start === undefined) return
    // To the end of the rotation.
    this.#waiting.delete(connection)
    this.#waiting.set(connection, tasks)
    this.#remove(connection, start)
    this.#running++
    start()
  }

  #remove(connection: object, start: () => void): boolean {
    const tasks = this.#waiting.get(connection)
    const removed = tasks?.delete(start) ?? false
    if (tasks?.size === 0) this.#waiting.delete(connection)
    return removed
  }
}
