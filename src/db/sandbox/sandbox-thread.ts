import { setPriority } from 'node:os'
import { Worker } from 'node:worker_threads'
import {
  type Answer,
  type CompiledEngine,
  PROGRESS,
  type Reply,
  SHARED_LENGTH,
  THREAD_ID,
  type Work,
  type WorkerSetup,
} from './messages.ts'

/** The engine spends the stack of its thread; it must never reach the end of it. */
const STACK_MIB = 8

/** Node runs the source as well as what is built from it. */
const WORKER_URL = new URL(import.meta.url.endsWith('.ts') ? './worker.ts' : './worker.js', import.meta.url)

/** About a third of the time that other threads get, where there is not enough for all. */
const LOW_PRIORITY = 5

interface Waiting {
  resolve(answers: readonly Answer[]): void
  reject(reason: Error): void
}

/** A worker with an engine. It ends with its first failure. */
export class SandboxThread {
  readonly #worker: Worker
  readonly #shared = new Int32Array(new SharedArrayBuffer(SHARED_LENGTH * Int32Array.BYTES_PER_ELEMENT))
  #isLow = false
  #waiting: Waiting | undefined
  #failure: Error | undefined

  /** Without the engine that another thread has made, it makes one and hands it to `onWasm`. */
  constructor(wasm: CompiledEngine | undefined, onWasm: (made: CompiledEngine) => void) {
    const workerData: WorkerSetup = { shared: this.#shared, wasm }
    this.#worker = new Worker(WORKER_URL, {
      workerData,
      env: {},
      execArgv: [],
      resourceLimits: { stackSizeMb: STACK_MIB },
    })
    this.#worker.on('message', (reply: Reply) => {
      if ('wasm' in reply) onWasm(reply.wasm)
      else this.#settle((waiting) => waiting.resolve(reply.answers))
    })
    this.#worker.on('error', (error) => this.#fail(error))
    this.#worker.on('exit', () => this.#fail(new Error('the thread ended')))
    this.#worker.unref()
  }

  /** Grows with every work begun and every call done. */
  get progress(): number {
    return Atomics.load(this.#shared, PROGRESS)
  }

  get failed(): boolean {
    return this.#failure !== undefined
  }

  get isLow(): boolean {
    return this.#isLow
  }

  /** Lets other threads of the host run first from now on, where the system can tell threads apart. */
  lower(): void {
    if (this.#isLow) return
    this.#isLow = true
    const id = Atomics.load(this.#shared, THREAD_ID)
    try {
      if (id > 0) setPriority(id, LOW_PRIORITY)
    } catch {
      // It is the same without: others only wait a little longer.
    }
  }

  /** One at a time. Rejects if the thread ends first. */
  run(work: Work): Promise<readonly Answer[]> {
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
