import { systemClock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Answer, Work } from './messages.ts'
import { SandboxThread } from './sandbox-thread.ts'

/** A work that takes longer no longer counts against the size of the pool, so that others need not wait for it. */
const SLOW_MS = 1000

/** Threads beyond the size of the pool, for slow works. */
const MAX_SLOW = 4

const MAX_WAITING = 1000

export interface PoolOptions {
  logger: Logger
  /** Threads that run works side by side. */
  threads: number
  /** A call that takes longer is ended with its thread. It was then not decided, since other hosts may be faster. */
  wallClockMs: number
}

interface Job {
  readonly work: Work
  triesLeft: number
  resolve(answers: Answer[]): void
  reject(reason: Error): void
}

interface Run {
  progress: number
  watches: number
  watchesWithoutProgress: number
}

/** Spreads works over threads that start when needed, and ends those that are stuck. */
export class SandboxPool {
  readonly #options: PoolOptions
  readonly #watchMs: number
  readonly #waiting: Job[] = []
  readonly #idle: SandboxThread[] = []
  readonly #running = new Map<SandboxThread, Run>()
  #watching = false
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#watchMs = Math.min(SLOW_MS, options.wallClockMs) / 4
  }

  /** Tries again when a thread ends without an answer. Throws SANDBOX_DOWN, also when too many works wait, and CLOSED. */
  run(work: Work, tries: number): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new ThreadsError('CLOSED', 'the sandbox is closed'))
      if (this.#waiting.length >= MAX_WAITING) return reject(new ThreadsError('SANDBOX_DOWN', 'too many calls wait'))
      this.#waiting.push({ work, triesLeft: tries, resolve, reject })
      this.#dispatch()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const closed = new ThreadsError('CLOSED', 'the sandbox is closed')
    for (const job of this.#waiting.splice(0)) job.reject(closed)
    await Promise.all([...this.#idle.splice(0), ...this.#running.keys()].map((thread) => thread.kill(closed)))
  }

  #dispatch(): void {
    while (this.#waiting.length > 0) {
      const thread = this.#freeThread()
      if (thread === undefined) return
      const job = this.#waiting.shift()
      if (job === undefined) return
      void this.#perform(thread, job)
    }
  }

  #freeThread(): SandboxThread | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) if (!idle.failed) return idle
    const { threads } = this.#options
    return this.#quickRuns() < threads && this.#running.size < threads + MAX_SLOW ? new SandboxThread() : undefined
  }

  #quickRuns(): number {
    let quick = 0
    for (const run of this.#running.values()) if (run.watches * this.#watchMs < SLOW_MS) quick++
    return quick
  }

  async #perform(thread: SandboxThread, job: Job): Promise<void> {
    this.#running.set(thread, { progress: thread.progress, watches: 0, watchesWithoutProgress: 0 })
    this.#watch()
    try {
      job.resolve(await thread.run(job.work))
    } catch (error) {
      this.#lost(job, error)
    }
    this.#running.delete(thread)
    if (!thread.failed) this.#giveBack(thread)
    this.#dispatch()
  }

  #giveBack(thread: SandboxThread): void {
    const surplus = this.#idle.length + this.#quickRuns() >= this.#options.threads
    if (surplus || this.#closed) void thread.kill(new Error('the thread is not needed any more'))
    else this.#idle.push(thread)
  }

  #lost(job: Job, cause: unknown): void {
    if (this.#closed) return job.reject(new ThreadsError('CLOSED', 'the sandbox is closed'))
    job.triesLeft -= 1
    this.#options.logger.warn({ err: cause, triesLeft: job.triesLeft }, 'a sandbox thread ended without an answer')
    if (job.triesLeft > 0) {
      this.#waiting.unshift(job)
      return
    }
    const hint = 'A validator or filter keeps the engine busy, or needs more than it has. Change it.'
    job.reject(new ThreadsError('SANDBOX_DOWN', 'the sandbox gave no answer', { cause, hint }))
  }

  // Looks at the running works in intervals and never at the clock: a host that was asleep kills nothing.
  #watch(): void {
    if (this.#watching) return
    this.#watching = true
    systemClock.after(this.#watchMs, () => {
      this.#watching = false
      for (const [thread, run] of this.#running) this.#look(thread, run)
      this.#dispatch()
      if (this.#running.size > 0) this.#watch()
    })
  }

  #look(thread: SandboxThread, run: Run): void {
    const { wallClockMs } = this.#options
    run.watches += 1
    run.watchesWithoutProgress = thread.progress === run.progress ? run.watchesWithoutProgress + 1 : 0
    run.progress = thread.progress
    if (run.watchesWithoutProgress * this.#watchMs <= wallClockMs) return
    void thread.kill(new Error(`a call took longer than ${wallClockMs} ms`))
  }
}
