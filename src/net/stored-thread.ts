import { ThreadsError } from '../core/errors.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Mendable } from '../store/mendable.ts'
import type { Operation } from '../store/ordered-store.ts'
import type { BranchPoint, Cursor, RecordPlace, ThreadRecord } from './app.ts'
import type { ChainKey } from './chain-key.ts'
import { RecordReader } from './record-reader.ts'
import { encodeLogRow, encodeThreadRow, logRowKey, type ThreadState, threadRowKey } from './rows.ts'

/** A thread in a store that no host has open. */
export class StoredThread {
  readonly #store: Mendable
  readonly #records: RecordReader
  #state: ThreadState

  constructor(store: Mendable, state: ThreadState) {
    this.#store = store
    this.#records = new RecordReader(store.reads)
    this.#state = state
  }

  get id(): ThreadId {
    return this.#state.id
  }

  get number(): number {
    return this.#state.number
  }

  /** What the owner keeps with the thread. */
  get appData(): unknown {
    return this.#state.appData
  }

  /** See `OwnedThread.stale`. */
  stale(): boolean {
    return this.#state.stale
  }

  /** See `OwnedThread.cursors`. */
  cursors(): ReadonlyMap<ChainKey, Cursor> {
    return new Map([...this.#state.logs.values()].map(({ chain, cursor }) => [chain, cursor]))
  }

  /** See `OwnedThread.branches`. */
  branches(): ReadonlyMap<ChainKey, BranchPoint> {
    const logs = [...this.#state.logs.values()]
    return new Map(logs.flatMap(({ chain, branch }) => (branch === undefined ? [] : [[chain, branch]])))
  }

  /** See `OwnedThread.record`. */
  record(chain: ChainKey, counter: number): Promise<ThreadRecord> {
    const log = this.#state.logs.get(chain)
    if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
    return this.#records.at(this.#state, log, counter)
  }

  /** See `OwnedThread.recordOf`. */
  recordOf(place: RecordPlace): Promise<ThreadRecord> {
    return this.#records.recordOf(this.#state, place)
  }

  /** The rows of the owner must be made anew. */
  async spoil(): Promise<void> {
    this.#state = { ...this.#state, stale: true }
    await this.#store.mend([this.#row()])
  }

  /** The owner's rows are made anew, from the records up to these cursors. */
  async rebuilt(cursors: ReadonlyMap<ChainKey, Cursor>, appData: unknown): Promise<void> {
    const { number, logs } = this.#state
    const moved = new Map([...logs].map(([id, log]) => [id, { ...log, cursor: cursors.get(id) ?? log.cursor }]))
    this.#state = { ...this.#state, logs: moved, appData, stale: false }
    const rows = [...moved.values()].map((log): Operation => {
      return { type: 'put', key: logRowKey(number, log.number), value: encodeLogRow(log) }
    })
    await this.#store.mend([...rows, this.#row()])
  }

  #row(): Operation {
    return { type: 'put', key: threadRowKey(this.#state.number), value: encodeThreadRow(this.#state) }
  }
}
