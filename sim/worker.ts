/** Runs networks in a thread of its own, one at a time. A fault is made in its sources before they are loaded. */
import { parentPort, workerData } from 'node:worker_threads'
import { isMutant, mutate } from './mutants.ts'
import type { Task, WorkerSetup } from './pool.ts'

const setup = workerData as WorkerSetup
const { fault } = setup
if (fault !== undefined && isMutant(fault)) mutate(fault)
const { performer } = await import('./perform.ts')
const perform = performer(setup)
parentPort?.on('message', (task: Task) => {
  void perform(task).then((outcome) => parentPort?.postMessage(outcome))
})
