import { readdir } from 'node:fs/promises'
import { resolve } from 'node:path'
import { Level } from 'level'
import { ThreadsError } from '../core/errors.ts'
import { LevelBackedStore, storeError } from './level-backend.ts'
import type { OrderedStore } from './ordered-store.ts'

/** Blocks of table files kept in memory. */
const BLOCK_CACHE_BYTES = 64 * 1024 * 1024

/** What is written before a table file is made of it. Up to two are held in memory. */
const WRITE_BUFFER_BYTES = 16 * 1024 * 1024

/**
 * Directories open in this thread. LevelDB's own lock holds off other processes only: with `multithreading` a second
 * open in this process would share the database, and two committers would write over each other.
 */
const openLocations = new Set<string>()

/**
 * Opens a LevelDB directory and makes it if there is none.
 * STORE_LOCKED if it is open already, here or in another process; STORE_CORRUPT if it cannot be read.
 */
export async function openLevelStore(options: { location: string }): Promise<OrderedStore> {
  const location = resolve(options.location)
  if (openLocations.has(location)) {
    throw new ThreadsError('STORE_LOCKED', `the repository ${options.location} is already open in this process`)
  }
  openLocations.add(location)
  try {
    await refuseHeadless(location)
    const db = new Level<Uint8Array, Uint8Array>(location, {
      keyEncoding: 'view',
      valueEncoding: 'view',
      cacheSize: BLOCK_CACHE_BYTES,
      writeBufferSize: WRITE_BUFFER_BYTES,
      multithreading: true,
    })
    await db.open()
    return new LevelStore(db, location)
  } catch (error) {
    openLocations.delete(location)
    throw error instanceof ThreadsError ? error : storeError(error, options.location)
  }
}

/** LevelDB takes a directory without this file for an empty one, and deletes what it finds there. */
async function refuseHeadless(location: string): Promise<void> {
  const files = await filesIn(location)
  if (files.includes('CURRENT') || !files.some((name) => /^MANIFEST-|\.(ldb|sst|log)$/.test(name))) return
  throw new ThreadsError('STORE_CORRUPT', `the store ${location} lacks its file CURRENT`)
}

async function filesIn(location: string): Promise<string[]> {
  try {
    return await readdir(location)
  } catch {
    // None, or no directory: LevelDB makes it, or says why it cannot.
    return []
  }
}

/**
 * Has LevelDB put together what can still be read in a directory that it does not open, or cannot read. Rows may be
 * missing afterwards, without a trace. The directory must not be open anywhere.
 */
export async function repairLevelStore(options: { location: string }): Promise<void> {
  try {
    await repair(resolve(options.location))
  } catch (error) {
    throw storeError(error, options.location)
  }
}

/** Browsers have no such thing, so the types of `level` do not know it. */
async function repair(location: string): Promise<void> {
  const method: unknown = Reflect.get(Level, 'repair')
  if (typeof method !== 'function') throw new ThreadsError('STORE_FAILED', 'this LevelDB cannot repair')
  await method.call(Level, location)
}

/** Throws STORE_LOCKED if a directory is open, here or in another process. Changes nothing in it. */
export async function refuseOpenStore(options: { location: string }): Promise<void> {
  // LevelDB takes its lock before it sees that it may neither make a database nor find one. So this opens none.
  const db = new Level(resolve(options.location), { createIfMissing: false, errorIfExists: true })
  try {
    await db.open()
  } catch (cause) {
    const error = storeError(cause, options.location)
    if (error.code === 'STORE_LOCKED') throw error
  }
}

class LevelStore extends LevelBackedStore {
  readonly #location: string

  constructor(db: Level<Uint8Array, Uint8Array>, location: string) {
    super(db, location)
    this.#location = location
  }

  override async close(): Promise<void> {
    await super.close()
    openLocations.delete(this.#location)
  }
}
