import { ThreadsError } from '../core/errors.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { KeyReader, rowKey, rowRange } from '../store/key-codec.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import type { ChainKey } from './chain-key.ts'
import type { ThreadWatcher } from './replica.ts'
import { decodeLogRow, decodeThreadRow, type LogState, type ThreadState, threadOf } from './rows.ts'
import { ThreadEntry } from './thread-entry.ts'

interface Creation {
  readonly entry: ThreadEntry
  readonly ended: Promise<void>
}

/** All threads of the host, mirrored in memory from the store. */
export class Threads {
  readonly #entries = new Map<ThreadId, ThreadEntry>()
  readonly #byNumber = new Map<number, ThreadEntry>()
  /** Threads whose first batch is under way. Nobody sees them before it is stored. */
  readonly #creations = new Map<ThreadId, Creation>()
  readonly #reads: ReadView
  #watcher: ThreadWatcher | undefined
  #nextNumber = 1

  constructor(reads: ReadView) {
    this.#reads = reads
  }

  /** Reads all rows; replaces the state of entries that are here already. Answers threads whose deletion was cut off. */
  async load(): Promise<ThreadState[]> {
    const logs = await this.#loadLogs()
    const deleting: ThreadState[] = []
    const found = new Set<number>()
    for await (const [key, value] of this.#reads.entries(rowRange('t'))) {
      const row = decodeThreadRow(new KeyReader(key).number(), value)
      const state = threadOf(row, logs.get(row.number) ?? new Map())
      this.#nextNumber = Math.max(this.#nextNumber, state.number + 1)
      if (state.phase === 'deleting') {
        deleting.push(state)
        continue
      }
      found.add(state.number)
      const entry = this.#byNumber.get(state.number)
      if (entry === undefined) this.#add(new ThreadEntry(state))
      else entry.reset(state)
    }
    for (const entry of this.#entries.values()) if (!found.has(entry.number)) this.remove(entry)
    const next = await this.#reads.get(nextNumberKey)
    if (next !== undefined) {
      const stored = Number(new DataView(next.buffer, next.byteOffset).getBigUint64(0))
      this.#nextNumber = Math.max(this.#nextNumber, stored)
    }
    return deleting
  }

  async #loadLogs(): Promise<Map<number, Map<ChainKey, LogState>>> {
    const logs = new Map<number, Map<ChainKey, LogState>>()
    for await (const [key, value] of this.#reads.entries(rowRange('l'))) {
      const parts = new KeyReader(key)
      const thread = parts.number()
      const log = decodeLogRow(parts.number(), value)
      const ofThread = logs.get(thread) ?? new Map<ChainKey, LogState>()
      logs.set(thread, ofThread.set(log.chain, log))
    }
    return logs
  }

  /** Makes a thread that is seen once `store` has stored its first batch. There must be none of this id, nor one to be. */
  create(entry: ThreadEntry, store: () => Promise<void>): Promise<ThreadEntry> {
    const making = store().then(() => this.#add(entry))
    const ended = making.then(
      () => this.#endCreation(entry),
      () => this.#endCreation(entry),
    )
    this.#creations.set(entry.id, { entry, ended })
    return making
  }

  #endCreation(entry: ThreadEntry): void {
    this.#creations.delete(entry.id)
  }

  /** The entry of a thread; the one that is here, if the store was read anew meanwhile. */
  #add(entry: ThreadEntry): ThreadEntry {
    const known = this.#byNumber.get(entry.number)
    if (known !== undefined) return known
    this.#entries.set(entry.id, entry)
    this.#byNumber.set(entry.number, entry)
    this.#watcher?.added(entry.id)
    return entry
  }

  remove(entry: ThreadEntry): void {
    entry.end()
    this.#entries.delete(entry.id)
    this.#byNumber.delete(entry.number)
    this.#watcher?.removed(entry.id)
  }

  /** See `Replica.watchThreads`. */
  watch(watcher: ThreadWatcher): void {
    this.#watcher = watcher
    for (const id of this.#entries.keys()) watcher.added(id)
  }

  find(id: ThreadId): ThreadEntry | undefined {
    return this.#entries.get(id)
  }

  /** The thread, once it is not being created any more; `create` is called if there is none then. */
  async findOrCreate(
    id: ThreadId,
    create: () => Promise<ThreadEntry>,
  ): Promise<{ entry: ThreadEntry; created: boolean }> {
    for (let creation = this.#creations.get(id); creation !== undefined; creation = this.#creations.get(id)) {
      await creation.ended
    }
    // Nothing is awaited between these looks and the creation.
    const entry = this.#entries.get(id)
    return entry === undefined ? { entry: await create(), created: true } : { entry, created: false }
  }

  /** Throws THREAD_NOT_FOUND. */
  get(id: ThreadId): ThreadEntry {
    const entry = this.#entries.get(id)
    if (entry === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
    return entry
  }

  byNumber(number: number): ThreadEntry | undefined {
    return this.#byNumber.get(number)
  }

  /** In order of creation. */
  all(): ThreadEntry[] {
    return [...this.#entries.values()]
  }

  /** Threads kept only because a peer asked, with those that are being created, as they soon will be. */
  *unsolicited(): Generator<ThreadState> {
    for (const { prepared } of this.#entries.values()) if (prepared.unsolicited) yield prepared
    for (const { entry } of this.#creations.values()) if (entry.prepared.unsolicited) yield entry.prepared
  }

  /** Number for a new thread. Never the same twice, if {@link numberRow} is stored with the thread. */
  takeNumber(): number {
    return this.#nextNumber++
  }

  /** Remembers the numbers taken up to now. */
  numberRow(): Operation {
    const value = new Uint8Array(8)
    new DataView(value.buffer).setBigUint64(0, BigInt(this.#nextNumber))
    return { type: 'put', key: nextNumberKey, value }
  }
}

const nextNumberKey = rowKey('s', 'next-thread')
