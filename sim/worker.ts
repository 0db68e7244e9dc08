/** Runs networks in a thread of its own, one at a time. A fault is made in its sources before they are loaded. */
import { parentPort, workerData } from 'node:worker_threads'
import { isMutant, mutate } from './mutants.ts'
import type { Task, WorkerSetup } from './pool.ts'

const { fault } = workerData as WorkerSetup
if (fault !== undefined && isMutant(fault)) mutate(fault)
const { performer } = await import('./perform.ts')
const perform = performer(fault)
parentPort?.on('message', (task: Task) => {
  void perform(task).then((outcome) => parentPort?.postMessage(outcome))
})
