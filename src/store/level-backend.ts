import type { AbstractBatchOptions, AbstractLevel, AbstractSnapshot } from 'abstract-level'
import { ThreadsError, type ErrorCode } from '../core/errors.ts'
import type { Entry, KeyRange, Operation, OrderedStore, Snapshot } from './ordered-store.ts'

export type LevelDatabase = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

type WriteOptions = AbstractBatchOptions<Uint8Array, Uint8Array> & { sync: boolean }

/** Entries fetched from the database at once. */
const PAGE_ENTRIES = 256

/** The store contract over any database of the `level` family. */
export class LevelBackedStore implements OrderedStore {
  readonly #db: LevelDatabase
  readonly #name: string

  /** `name` says which store failed, in messages. */
  constructor(db: LevelDatabase, name: string) {
    this.#db = db
    this.#name = name
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    try {
      return await this.#db.get(key)
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    try {
      return await this.#db.getMany([...keys])
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#scan(range, undefined)
  }

  async batch(operations: readonly Operation[], options: { sync: boolean }): Promise<void> {
    const writeOptions: WriteOptions = { sync: options.sync }
    try {
      await this.#db.batch([...operations], writeOptions)
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  snapshot(): Snapshot {
    const db = this.#db
    const name = this.#name
    const snapshot = attempt(() => db.snapshot(), name)
    return {
      get: (key) => db.get(key, { snapshot }).catch((error: unknown) => rethrow(error, name)),
      getMany: (keys) => db.getMany([...keys], { snapshot }).catch((error: unknown) => rethrow(error, name)),
      entries: (range) => this.#scan(range, snapshot),
      close: () => snapshot.close(),
    }
  }

  async close(): Promise<void> {
    try {
      await this.#db.close()
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  async *#scan(range: KeyRange, snapshot: AbstractSnapshot | undefined): AsyncGenerator<Entry> {
    const { gte, lt, reverse = false, limit = -1 } = range
    const iterator = attempt(() => this.#db.iterator({ gte, lt, reverse, limit, snapshot }), this.#name)
    const page = limit >= 0 && limit < PAGE_ENTRIES ? Math.max(limit, 1) : PAGE_ENTRIES
    try {
      for (;;) {
        const entries = await iterator.nextv(page).catch((error: unknown) => rethrow(error, this.#name))
        if (entries.length === 0) return
        yield* entries
      }
    } finally {
      await iterator.close()
    }
  }
}

function attempt<T>(run: () => T, name: string): T {
  try {
    return run()
  } catch (error) {
    throw storeError(error, name)
  }
}

function rethrow(error: unknown, name: string): never {
  throw storeError(error, name)
}

/** The failure of a database in our own words. The reason a database gives for not opening stands in its cause. */
export function storeError(error: unknown, name: string): ThreadsError {
  const codes = [codeOf(error), error instanceof Error ? codeOf(error.cause) : undefined]
  if (codes.includes('LEVEL_LOCKED')) {
    return new ThreadsError('STORE_LOCKED', `the repository ${name} is in use by another process`, { cause: error })
  }
  if (codes.includes('LEVEL_CORRUPTION')) return failure('STORE_CORRUPT', `the store ${name} is damaged`, error)
  if (codes.includes('LEVEL_DATABASE_NOT_OPEN') || codes.includes('LEVEL_ITERATOR_NOT_OPEN')) {
    return failure('CLOSED', `the store ${name} is closed`, error)
  }
  return failure('STORE_FAILED', `the store ${name} failed`, error)
}

function failure(code: ErrorCode, what: string, cause: unknown): ThreadsError {
  const reason = cause instanceof Error ? `: ${cause.message}` : ''
  return new ThreadsError(code, what + reason, { cause })
}

function codeOf(error: unknown): unknown {
  return typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
}
