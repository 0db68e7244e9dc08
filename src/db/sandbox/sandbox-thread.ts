import { Worker } from 'node:worker_threads'
import type { Answer, Work, WorkerSetup } from './messages.ts'

/** The engine spends the stack of its thread; it must never reach the end of it. */
const STACK_MIB = 8

/** Node runs the source as well as what is built from it. */
const WORKER_URL = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

interface Waiting {
  resolve(answers: Answer[]): void
  reject(reason: Error): void
}

/** A worker with an engine. It ends with its first failure. */
export class SandboxThread {
  readonly #worker: Worker
  readonly #progress = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT))
  #waiting: Waiting | undefined
  #failure: Error | undefined

  constructor() {
    const workerData: WorkerSetup = { progress: this.#progress }
    this.#worker = new Worker(WORKER_URL, {
      workerData,
      env: {},
      execArgv: [],
      resourceLimits: { stackSizeMb: STACK_MIB },
    })
    this.#worker.on('message', (answers: Answer[]) => this.#settle((waiting) => waiting.resolve(answers)))
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('the thread ended')))
    this.#worker.unref()
  }

  /** Grows with every work begun and every call done. */
  get progress(): number {
    return Atomics.load(this.#progress, 0)
  }

  get failed(): boolean {
    return this.#failure !== undefined
  }

  /** One at a time. Rejects if the thread ends first. */
  run(work: Work): Promise<Answer[]> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure)
      this.#waiting = { resolve, reject }
      // Only while it works does the thread keep the process alive.
      this.#worker.ref()
      this.#worker.postMessage(work)
    })
  }

  /** Ends the thread at once, whatever it does. */
  async kill(reason: Error): Promise<void> {
    this.#fail(reason)
    await this.#worker.terminate()
  }

  #fail(error: Error): void {
    this.#failure ??= error
    this.#settle((waiting) => waiting.reject(error))
  }

  #settle(settle: (waiting: Waiting) => void): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    this.#worker.unref()
    if (waiting !== undefined) settle(waiting)
  }
}
