import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { loadEngineBuild } from './engine-build.ts'
import type { Work, WorkerSetup } from './messages.ts'
import { Runner } from './runner.ts'

/** Answers one work after the other. A failure ends the thread, and its owner starts another. */
function serve(owner: MessagePort, { progress }: WorkerSetup): void {
  const runner = loadEngineBuild().then((build) => new Runner(build))
  const moved = (): void => void Atomics.add(progress, 0, 1)
  const answer = async (work: Work): Promise<void> => {
    const ready = await runner
    moved()
    const answers = await ready.run(work, moved)
    owner.postMessage(answers)
  }
  owner.on('message', (work: Work) => void answer(work))
}

if (parentPort !== null) serve(parentPort, workerData)
