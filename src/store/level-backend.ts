import type { AbstractChainedBatchWriteOptions, AbstractIteratorOptions, AbstractLevel } from 'abstract-level'
import type { AbstractSnapshot } from 'abstract-level'
import { EMPTY_BYTES, plainBytes } from '../core/bytes.ts'
import { ThreadsError, type ErrorCode } from '../core/errors.ts'
import type { Entry, KeyRange, Operation, OrderedStore, Snapshot } from './ordered-store.ts'

export type LevelDatabase = AbstractLevel<string | Buffer | Uint8Array, Uint8Array, Uint8Array>

type WriteOptions = AbstractChainedBatchWriteOptions & { sync: boolean }
type ScanOptions = AbstractIteratorOptions<Uint8Array, Uint8Array> & { highWaterMarkBytes: number }

/** Entries fetched from the database at once, and the bytes after which fewer are. */
const PAGE_ENTRIES = 256
const PAGE_BYTES = 256 * 1024

/** Up to this many keys are read on the calling thread. */
const DIRECT_KEYS = 128

/** After so many keys a read goes through the thread pool, so that a long run of reads lets other work in. */
const DIRECT_READS = 1024

/** An empty text: LevelDB makes a Buffer of its own of every value that is none, which takes as long as the key. */
const KEYS_ONLY = { values: false, valueEncoding: 'utf8' } as const

/**
 * The store contract over any database of the `level` family.
 *
 * Few keys are read on the calling thread: that takes 1 µs when the block is in memory and one small read of the disk
 * when it is not, while the way through the thread pool takes 40 µs always.
 */
export class LevelBackedStore implements OrderedStore {
  readonly #db: LevelDatabase
  readonly #name: string
  readonly #readsDirectly: boolean
  #reads = 0

  /** `name` says which store failed, in messages. */
  constructor(db: LevelDatabase, name: string) {
    this.#db = db
    this.#name = name
    this.#readsDirectly = Reflect.get(db.supports, 'getSync') === true
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#read(key, undefined)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#readMany(keys, undefined)
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#scan(range, undefined)
  }

  async batch(operations: readonly Operation[], { sync }: { sync: boolean }): Promise<void> {
    const options: WriteOptions = { sync }
    try {
      const batch = this.#db.batch()
      for (const operation of operations) {
        if (operation.type === 'put') batch.put(operation.key, operation.value)
        else batch.del(operation.key)
      }
      await batch.write(options)
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  snapshot(): Snapshot {
    const snapshot = this.#attempt(() => this.#db.snapshot())
    return {
      get: (key) => this.#read(key, snapshot),
      getMany: (keys) => this.#readMany(keys, snapshot),
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

  async #read(key: Uint8Array, snapshot: AbstractSnapshot | undefined): Promise<Uint8Array | undefined> {
    try {
      const value = this.#isDirect(1) ? this.#db.getSync(key, { snapshot }) : await this.#db.get(key, { snapshot })
      return value && plainBytes(value)
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  async #readMany(
    keys: readonly Uint8Array[],
    snapshot: AbstractSnapshot | undefined,
  ): Promise<(Uint8Array | undefined)[]> {
    try {
      const values =
        this.#readsDirectly && keys.length <= DIRECT_KEYS
          ? await this.#readFew(keys, snapshot)
          : await this.#db.getMany([...keys], { snapshot })
      return values.map((value) => value && plainBytes(value))
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }

  async #readFew(
    keys: readonly Uint8Array[],
    snapshot: AbstractSnapshot | undefined,
  ): Promise<(Uint8Array | undefined)[]> {
    const [first, ...others] = keys
    if (first === undefined) return []
    const value = this.#isDirect(keys.length)
      ? this.#db.getSync(first, { snapshot })
      : await this.#db.get(first, { snapshot })
    return [value, ...others.map((key) => this.#db.getSync(key, { snapshot }))]
  }

  #isDirect(keys: number): boolean {
    if (!this.#readsDirectly) return false
    this.#reads += keys
    if (this.#reads < DIRECT_READS) return true
    this.#reads = 0
    return false
  }

  async *#scan(range: KeyRange, snapshot: AbstractSnapshot | undefined): AsyncGenerator<Entry> {
    const { gte, lt, reverse = false, limit = -1, keysOnly = false, first = PAGE_ENTRIES } = range
    const bounds: ScanOptions = { gte, lt, reverse, limit, snapshot, highWaterMarkBytes: PAGE_BYTES }
    const options = keysOnly ? { ...bounds, ...KEYS_ONLY } : bounds
    const iterator = this.#attempt(() => this.#db.iterator(options))
    let page = Math.min(first, limit > 0 ? limit : PAGE_ENTRIES, PAGE_ENTRIES)
    try {
      for (;;) {
        const entries = await iterator.nextv(page)
        if (entries.length === 0) return
        for (const [key, value] of entries) yield [plainBytes(key), keysOnly ? EMPTY_BYTES : plainBytes(value)]
        page = PAGE_ENTRIES
      }
    } catch (error) {
      throw storeError(error, this.#name)
    } finally {
      await iterator.close()
    }
  }

  #attempt<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw storeError(error, this.#name)
    }
  }
}

/** The failure of a database in our own words. Why a database does not open stands in the cause of its error. */
export function storeError(error: unknown, name: string): ThreadsError {
  const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error
  const { code, what } = judge(reason, name)
  const detail = code !== 'STORE_LOCKED' && reason instanceof Error ? `: ${reason.message}` : ''
  const hint = code === 'STORE_LOCKED' ? { hint: 'Stop that process first.' } : {}
  return new ThreadsError(code, what + detail, { cause: error, ...hint })
}

function judge(reason: unknown, name: string): { code: ErrorCode; what: string } {
  const given = typeof reason === 'object' && reason !== null && 'code' in reason ? reason.code : undefined
  switch (given) {
    case 'LEVEL_LOCKED':
      return { code: 'STORE_LOCKED', what: `the repository ${name} is in use by another process` }
    case 'LEVEL_CORRUPTION':
      return { code: 'STORE_CORRUPT', what: `the store ${name} is damaged` }
    case 'LEVEL_DATABASE_NOT_OPEN':
    case 'LEVEL_ITERATOR_NOT_OPEN':
    case 'LEVEL_SNAPSHOT_NOT_OPEN':
      return { code: 'CLOSED', what: `the store ${name} is closed` }
    default:
      return { code: 'STORE_FAILED', what: `the store ${name} failed` }
  }
}
