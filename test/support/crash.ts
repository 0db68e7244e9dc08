import { generateKey } from '../../src/core/keys.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { randomBytes } from 'node:crypto'
import { FaultyStore } from './faulty-store.ts'
import { startHost, type TestHost } from './host.ts'

export interface CrashStory<T> {
  /** What is there before. */
  prepare(host: TestHost): Promise<T>
  /** What the crash interrupts. */
  act(host: TestHost, prepared: T): Promise<unknown>
  /** What must hold after the next start. `done`: the last of the writes was stored. */
  check(host: TestHost, prepared: T, done: boolean): Promise<void>
}

/**
 * Tells a story once for every write of `act`, with a crash before this write and with one after it. Answers how many
 * writes there are.
 */
export async function crashEverywhere<T>(story: CrashStory<T>): Promise<number> {
  const writes = await countWrites(story)
  for (let nth = 1; nth <= writes; nth++) {
    await crashAt(story, nth, { stored: false, done: false })
    await crashAt(story, nth, { stored: true, done: nth === writes })
  }
  return writes
}

async function countWrites<T>(story: CrashStory<T>): Promise<number> {
  const backend = new FaultyStore(await openMemoryStore())
  await using host = await startHost({ backend })
  const prepared = await story.prepare(host)
  const before = backend.batches.length
  await story.act(host, prepared)
  return backend.batches.length - before
}

async function crashAt<T>(
  story: CrashStory<T>,
  nth: number,
  { stored, done }: { stored: boolean; done: boolean },
): Promise<void> {
  const privateKey = generateKey(randomBytes)
  const backend = new FaultyStore(await openMemoryStore())
  const crashing = await startHost({ backend, privateKey })
  const prepared = await story.prepare(crashing)
  backend.failBatch(nth, { stored })
  const outcome = await story.act(crashing, prepared).then(
    () => 'succeeded',
    () => 'failed',
  )
  await crashing[Symbol.asyncDispose]()
  if (outcome !== 'failed') throw new Error(`write ${nth} was expected to fail`)
  await using host = await startHost({ backend, privateKey })
  await story.check(host, prepared, done)
}
