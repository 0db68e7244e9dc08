import { systemClock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { Answer, CompiledEngine, Work } from './messages.ts'
import { SandboxThread } from './sandbox-thread.ts'

/**
 * A work that takes longer is slow, and so are the next works of its function, until one is quick again. Slow works have
 * threads of their own, so that those of other functions need not wait for them.
 */
const SLOW_MS = 500

/** Threads beyond the size of the pool, for slow works. */
const MAX_SLOW = 4

/** Functions known to be slow; the first one found is forgotten first. */
const MAX_SLOW_FUNCTIONS = 100

/** Of quick works, and of slow ones. */
const MAX_WAITING = 1000

/** A thread that has not begun with its first work by then has failed. */
const MAX_START_MS = 60_000

export interface PoolOptions {
  logger: Logger
  /** Threads that run works side by side. */
  threads: number
  /** A call that takes longer is ended with its thread. It was then not decided, since other hosts may be faster. */
  wallClockMs: number
}

interface Job {
  readonly work: Work
  /** The source of its first function, by which it is known to be slow. */
  readonly source: string
  triesLeft: number
  resolve(answers: readonly Answer[]): void
  reject(reason: Error): void
}

interface Run {
  readonly job: Job
  progress: number
  /** The thread has begun with the work; it may have to start first. */
  begun: boolean
  watches: number
  watchesWithoutProgress: number
  slow: boolean
  /** Ended to make room, and to be run again. */
  preempted: boolean
}

/** Spreads works over threads that start when needed, and ends those that are stuck. */
export class SandboxPool {
  readonly #options: PoolOptions
  readonly #watchMs: number
  readonly #waiting: Job[] = []
  readonly #slowWaiting: Job[] = []
  readonly #slowFunctions = new Set<string>()
  readonly #idle: SandboxThread[] = []
  readonly #running = new Map<SandboxThread, Run>()
  /** The engine, as the first thread has made it. */
  #wasm: CompiledEngine | undefined
  #watching = false
  #closed = false

  constructor(options: PoolOptions) {
    this.#options = options
    this.#watchMs = Math.min(SLOW_MS, options.wallClockMs) / 4
  }

  /** Tries again when a thread ends without an answer. Throws SANDBOX_DOWN, also when too many works wait, and CLOSED. */
  run(work: Work, tries: number): Promise<readonly Answer[]> {
    return new Promise((resolve, reject) => {
      if (this.#closed) return reject(new ThreadsError('CLOSED', 'the sandbox is closed'))
      const job: Job = { work, source: work.functions[0]?.source ?? '', triesLeft: tries, resolve, reject }
      const queue = this.#queueOf(job)
      if (queue.length >= MAX_WAITING) return reject(new ThreadsError('SANDBOX_DOWN', 'too many calls wait'))
      queue.push(job)
      this.#dispatch()
    })
  }

  async close(): Promise<void> {
    this.#closed = true
    const closed = new ThreadsError('CLOSED', 'the sandbox is closed')
    for (const job of [...this.#waiting.splice(0), ...this.#slowWaiting.splice(0)]) job.reject(closed)
    await Promise.all([...this.#idle.splice(0), ...this.#running.keys()].map((thread) => thread.kill(closed)))
  }

  #queueOf({ source }: Job): Job[] {
    return this.#slowFunctions.has(source) ? this.#slowWaiting : this.#waiting
  }

  #dispatch(): void {
    while (this.#quickRuns() < this.#options.threads) {
      const job = this.#waiting.shift()
      if (job === undefined) break
      void this.#perform(job, false)
    }
    while (this.#slowRuns() < MAX_SLOW) {
      const job = this.#slowWaiting.shift()
      if (job === undefined) break
      void this.#perform(job, true)
    }
  }

  /** Threads of low priority are for slow works. */
  #freeThread(slow: boolean): SandboxThread {
    for (;;) {
      const at = this.#idle.findIndex((thread) => thread.isLow === slow)
      const [idle] = at < 0 ? [] : this.#idle.splice(at, 1)
      if (idle?.failed !== true) return idle ?? new SandboxThread(this.#wasm, (made) => (this.#wasm = made))
    }
  }

  #slowRuns(): number {
    return this.#running.values().reduce((count, { slow }) => count + Number(slow), 0)
  }

  #quickRuns(): number {
    return this.#running.size - this.#slowRuns()
  }

  async #perform(job: Job, slow: boolean): Promise<void> {
    const thread = this.#freeThread(slow)
    const { progress } = thread
    const run: Run = { job, progress, begun: false, watches: 0, watchesWithoutProgress: 0, slow, preempted: false }
    this.#running.set(thread, run)
    this.#watch()
    try {
      job.resolve(await thread.run(job.work))
      if (run.watches * this.#watchMs < SLOW_MS) this.#slowFunctions.delete(job.source)
    } catch (error) {
      this.#lost(run, error)
    }
    this.#running.delete(thread)
    if (!thread.failed) this.#giveBack(thread)
    this.#dispatch()
  }

  #giveBack(thread: SandboxThread): void {
    const alike = this.#idle.filter(({ isLow }) => isLow === thread.isLow).length
    if (alike >= this.#options.threads || this.#closed) void thread.kill(new Error('the thread is not needed any more'))
    else this.#idle.push(thread)
  }

  #lost({ job, preempted }: Run, cause: unknown): void {
    if (this.#closed) return job.reject(new ThreadsError('CLOSED', 'the sandbox is closed'))
    if (preempted) {
      this.#slowWaiting.push(job)
      return
    }
    job.triesLeft -= 1
    this.#options.logger.warn({ err: cause, triesLeft: job.triesLeft }, 'a sandbox thread ended without an answer')
    if (job.triesLeft > 0) {
      this.#queueOf(job).unshift(job)
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
    const moved = thread.progress !== run.progress
    run.begun ||= moved
    if (run.begun) run.watches += 1
    if (run.begun && run.slow) thread.lower()
    run.watchesWithoutProgress = moved ? 0 : run.watchesWithoutProgress + 1
    run.progress = thread.progress
    const limitMs = run.begun ? this.#options.wallClockMs : MAX_START_MS
    if (run.watchesWithoutProgress * this.#watchMs > limitMs) {
      void thread.kill(new Error(`a call took longer than ${limitMs} ms`))
    } else if (!run.slow && run.watches * this.#watchMs >= SLOW_MS) {
      this.#foundSlow(thread, run)
    }
  }

  #foundSlow(thread: SandboxThread, run: Run): void {
    const { source } = run.job
    this.#slowFunctions.add(source)
    for (const first of this.#slowFunctions) {
      if (this.#slowFunctions.size > MAX_SLOW_FUNCTIONS) this.#slowFunctions.delete(first)
      else break
    }
    const alike = this.#waiting.filter((job) => job.source === source)
    const others = this.#waiting.filter((job) => job.source !== source)
    this.#waiting.splice(0, this.#waiting.length, ...others)
    this.#slowWaiting.push(...alike)
    run.slow = true
    thread.lower()
    if (this.#slowRuns() <= MAX_SLOW) return
    run.preempted = true
    void thread.kill(new Error('too many works are slow'))
  }
}
