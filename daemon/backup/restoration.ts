import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { systemClock } from '../../src/core/clock.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { hasCode, ThreadsError } from '../../src/core/errors.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createVerifier } from '../../src/db/index.ts'
import { Restore, type StoredThread } from '../../src/net/index.ts'
import { isBeingRestored } from '../../src/store/format.ts'
import { rowRange } from '../../src/store/key-codec.ts'
import { openLevelStore } from '../../src/store/level-store.ts'
import { mendable } from '../../src/store/mendable.ts'
import type { OrderedStore } from '../../src/store/ordered-store.ts'
import { plural } from '../plural.ts'
import type { PlacedFrame } from './backup-file.ts'

export interface RestorationOptions {
  readonly repo: string
  readonly frames: AsyncIterable<PlacedFrame>
  /** Is told what is being done. */
  readonly report: (line: string) => void
}

export interface Restoration {
  readonly threads: number
  readonly logs: number
  readonly records: number
  readonly databases: number
}

/**
 * Makes a repository of a backup. Throws INVALID_ARGUMENT if there is one already, INVALID_BACKUP with file and place if
 * the backup is damaged; then nothing is left of what was restored.
 */
export async function restoreRepository({ repo, frames, report }: RestorationOptions): Promise<Restoration> {
  await mkdir(repo, { recursive: true, mode: 0o700 })
  const location = join(repo, 'store')
  await refuseData(repo, location)
  const store = await openLevelStore({ location })
  try {
    const restored = await fill(store, frames, report)
    await store.close()
    return restored
  } catch (error) {
    await store.close()
    await rm(location, { recursive: true, force: true })
    throw error
  }
}

async function fill(
  store: OrderedStore,
  frames: AsyncIterable<PlacedFrame>,
  report: (line: string) => void,
): Promise<Restoration> {
  const restore = new Restore({ store, clock: systemClock, random: randomBytes })
  let end = ''
  for await (const { frame, place } of frames) {
    end = place
    await placed(place, () => restore.take(frame))
  }
  let databases = 0
  const complete = async (threads: readonly StoredThread[]): Promise<void> => {
    report('Making documents and indexes of the records.')
    databases = await makeDocuments(store, threads, report)
  }
  const { threads, logs, records } = await placed(end, () => restore.finish(complete))
  return { threads: threads.length, logs, records, databases }
}

/** Says where a fault is. */
async function placed<T>(place: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (error) {
    if (!hasCode(error, 'INVALID_BACKUP')) throw error
    throw new ThreadsError('INVALID_BACKUP', `${place}: ${error.message}`, { cause: error })
  }
}

/** What cannot be made now is made by the daemon, when it starts. */
async function makeDocuments(
  store: OrderedStore,
  threads: readonly StoredThread[],
  report: (line: string) => void,
): Promise<number> {
  const verifier = createVerifier({ store: mendable(store), clock: systemClock, logger: silentLogger })
  try {
    const { databases, failures } = await verifier.rebuild(threads)
    for (const { id, reason } of failures) report(`The documents of ${id} are not made yet: ${reason}`)
    return databases
  } finally {
    await verifier.close()
  }
}

/** What a restore left that was cut off is removed. */
async function refuseData(repo: string, location: string): Promise<void> {
  const files = await readdir(location).catch(() => [])
  if (files.length === 0) return
  const store = await openLevelStore({ location })
  try {
    if (!(await isBeingRestored(store)) && !(await isEmpty(store))) throw notEmpty(repo, await countThreads(store))
  } finally {
    await store.close()
  }
  await rm(location, { recursive: true, force: true })
}

async function isEmpty(store: OrderedStore): Promise<boolean> {
  const all = { gte: new Uint8Array(), lt: Uint8Array.of(0xff), limit: 1 }
  for await (const _ of store.entries(all)) return false
  return true
}

async function countThreads(store: OrderedStore): Promise<number> {
  let threads = 0
  for await (const _ of store.entries(rowRange('t'))) threads++
  return threads
}

function notEmpty(repo: string, threads: number): ThreadsError {
  const hint = 'Name another directory with -repo: nothing is restored over data.'
  return new ThreadsError('INVALID_ARGUMENT', `${repo} is a repository already, with ${plural(threads, 'thread')}`, {
    hint,
  })
}
