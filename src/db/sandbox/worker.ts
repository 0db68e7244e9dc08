import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import type { Work, WorkerSetup } from './messages.ts'
import { Runner } from './runner.ts'

// The engine asks its host for the time zone. Without this, hosts would judge by where they stand.
Object.assign(Date.prototype, { getTimezoneOffset: () => 0 })

/** Answers one work after the other. A failure ends the thread, and its owner starts another. */
function serve(owner: MessagePort, { progress }: WorkerSetup): void {
  const runner = new Runner()
  const answer = async (work: Work): Promise<void> => {
    const answers = await runner.run(work, () => Atomics.add(progress, 0, 1))
    owner.postMessage(answers)
  }
  owner.on('message', (work: Work) => void answer(work))
}

if (parentPort !== null) serve(parentPort, workerData)
