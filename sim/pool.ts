import { once } from 'node:events'
import { Worker } from 'node:worker_threads'
import type { Fault } from './faults.ts'

/** What a worker is started with. */
export interface WorkerSetup {
  readonly fault: Fault | undefined
}

export interface Task {
  readonly seed: number
  /** Parts of the plan that are left out, as `cutText` writes them. */
  readonly without: string
  /** Time for finding a smaller run that fails alike; 0: none is looked for. */
  readonly shrinkMs: number
  /** Lines of the story. */
  readonly lines: number
  /** Every event belongs to the story. */
  readonly everything: boolean
}

export interface Outcome {
  readonly seed: number
  readonly failure: string | undefined
  /** The parts without which the run still fails. */
  readonly without: string
  readonly story: readonly string[]
  readonly trace: string
  readonly simulatedMs: number
  readonly steps: number
}

export const PLAIN_TASK: Omit<Task, 'seed'> = { without: '', shrinkMs: 0, lines: 0, everything: false }

/** A thread that runs networks with one fault, or none. */
export class SimThread {
  readonly #worker: Worker

  constructor({ fault }: { fault?: Fault | undefined } = {}) {
    this.#worker = new Worker(new URL('./worker.ts', import.meta.url), {
      workerData: { fault } satisfies WorkerSetup,
      // Those of a test runner are not for it.
      execArgv: [],
    })
  }

  /** One at a time. Throws what the thread ends with. */
  async run(task: Task): Promise<Outcome> {
    const settled = new AbortController()
    const { signal } = settled
    const died = once(this.#worker, 'exit', { signal }).then(([code]) => {
      throw new Error(`a thread of the simulation ended with code ${code}`)
    })
    died.catch(() => {})
    this.#worker.postMessage(task)
    try {
      // Also throws what the thread throws.
      const [outcome]: Outcome[] = await Promise.race([once(this.#worker, 'message', { signal }), died])
      if (outcome === undefined) throw new Error('a thread of the simulation answers nothing')
      return outcome
    } finally {
      settled.abort()
    }
  }

  async close(): Promise<void> {
    await this.#worker.terminate()
  }
}

/** Runs tasks on some threads side by side, as long as there are any. */
export async function runAll(
  tasks: Iterator<Task, undefined>,
  {
    workers,
    setup,
    onOutcome,
  }: { workers: number; setup?: Partial<WorkerSetup>; onOutcome: (outcome: Outcome) => void },
): Promise<void> {
  const lanes = Array.from({ length: workers }, async () => {
    const thread = new SimThread(setup)
    try {
      for (let next = tasks.next(); next.done !== true; next = tasks.next()) onOutcome(await thread.run(next.value))
    } finally {
      await thread.close()
    }
  })
  await Promise.all(lanes)
}
