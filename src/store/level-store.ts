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
    throw storeError(error, options.location)
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
