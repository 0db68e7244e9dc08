import { ThreadsError } from '../core/errors.ts'
import type { LogId, PeerId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { KeyReader, rowKey, rowRange } from '../store/key-codec.ts'
import type { ReadView } from '../store/ordered-store.ts'
import { Mutex } from '../util/mutex.ts'
import type { App, WaitReason } from './app.ts'
import type { ThreadWatcher } from './replica.ts'
import { decodeLogRow, decodeThreadRow, type LogState, type ThreadState } from './rows.ts'

/** A thread of this host while it runs. */
export interface ThreadEntry {
  readonly id: ThreadId
  readonly number: number
  /** What is durable. Peers and readers see this. */
  stored: ThreadState
  /** What is durable once the batches under way are stored. Writers build on this. */
  prepared: ThreadState
  /** One writer at a time. */
  readonly writer: Mutex
  app: App | undefined
  /** Logs whose cursor stands before their head, and what for. */
  readonly waits: Map<LogId, WaitReason>
  cancelWait: (() => void) | undefined
  /** Peers that showed they belong to the thread, besides those named in log addresses. */
  readonly proven: Set<PeerId>
}

/** All threads of the host, mirrored in memory from the store. */
export class Threads {
  readonly #entries = new Map<ThreadId, ThreadEntry>()
  readonly #byNumber = new Map<number, ThreadEntry>()
  readonly #reads: ReadView
  #watcher: ThreadWatcher | undefined
  #nextNumber = 1

  constructor(reads: ReadView) {
    this.#reads = reads
  }

  /** Reads all rows; replaces the state of entries that are here already. Answers threads whose deletion was cut off. */
  async load(): Promise<ThreadState[]> {
    const deleting: ThreadState[] = []
    const found = new Map<number, ThreadState>()
    for await (const [key, value] of this.#reads.entries(rowRange('t'))) {
      const state = decodeThreadRow(new KeyReader(key).number(), value)
      if (state.phase === 'deleting') deleting.push(state)
      else found.set(state.number, state)
    }
    const logs = new Map<number, Map<LogId, LogState>>()
    for await (const [key, value] of this.#reads.entries(rowRange('l'))) {
      const parts = new KeyReader(key)
      const thread = parts.number()
      const log = decodeLogRow(parts.number(), value)
      const ofThread = logs.get(thread) ?? new Map<LogId, LogState>()
      logs.set(thread, ofThread.set(log.id, log))
    }
    for (const [number, state] of found) this.put({ ...state, logs: logs.get(number) ?? new Map() })
    for (const entry of this.#entries.values()) if (!found.has(entry.number)) this.remove(entry)
    const next = await this.#reads.get(nextNumberKey)
    this.#nextNumber = next === undefined ? 1 : Number(new DataView(next.buffer, next.byteOffset).getBigUint64(0))
    return deleting
  }

  /** Makes an entry for a thread, or sets the state of the one that is there. */
  put(state: ThreadState): ThreadEntry {
    const known = this.#byNumber.get(state.number)
    if (known !== undefined) {
      known.stored = state
      known.prepared = state
      return known
    }
    const entry: ThreadEntry = {
      id: state.id,
      number: state.number,
      stored: state,
      prepared: state,
      writer: new Mutex(),
      app: undefined,
      waits: new Map(),
      cancelWait: undefined,
      proven: new Set(),
    }
    this.#entries.set(entry.id, entry)
    this.#byNumber.set(entry.number, entry)
    this.#watcher?.added(entry.id)
    return entry
  }

  remove(entry: ThreadEntry): void {
    entry.cancelWait?.()
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

  /** Takes the next thread number. The row that remembers it must be stored with the thread's first batch. */
  takeNumber(): { number: number; key: Uint8Array; value: Uint8Array } {
    const number = this.#nextNumber++
    const value = new Uint8Array(8)
    new DataView(value.buffer).setBigUint64(0, BigInt(this.#nextNumber))
    return { number, key: nextNumberKey, value }
  }
}

const nextNumberKey = rowKey('s', 'next-thread')
