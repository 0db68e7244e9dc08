import { readlinkSync } from 'node:fs'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { loadEngineBuild } from './engine-build.ts'
import { PROGRESS, type Reply, THREAD_ID, type Work, type WorkerSetup } from './messages.ts'
import { Runner } from './runner.ts'

/** Answers one work after the other. A failure ends the thread, and its owner starts another. */
function serve(owner: MessagePort, { shared, wasm }: WorkerSetup): void {
  Atomics.store(shared, THREAD_ID, systemThreadId())
  const reply = (said: Reply): void => owner.postMessage(said)
  const moved = (): void => void Atomics.add(shared, PROGRESS, 1)
  const runner = loadEngineBuild(wasm).then((build) => {
    if (wasm === undefined) reply({ wasm: build.wasm })
    return new Runner(build)
  })
  const answer = async (work: Work): Promise<void> => {
    const ready = await runner
    moved()
    reply({ answers: await ready.run(work, moved) })
  }
  owner.on('message', (work: Work) => void answer(work))
}

/** On Linux; 0 elsewhere. */
function systemThreadId(): number {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1))
  } catch {
    return 0
  }
}

if (parentPort !== null) serve(parentPort, workerData)
