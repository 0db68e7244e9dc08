import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { Mutex } from '../util/mutex.ts'
import { type Action, ActionList } from './actions.ts'
import type { CollectionWrites } from './collection-writes.ts'
import type { DocumentBytes, ReadTransaction, WriteTransaction } from './index.ts'
import type { ResolvedDbOptions } from './options.ts'
import type { Query } from './query/query.ts'
import type { InstanceReader } from './reader.ts'

/** Reads of one snapshot. */
export class SnapshotTransaction implements ReadTransaction {
  readonly #reader: InstanceReader
  readonly #release: () => Promise<void>
  #closed = false

  constructor(reader: InstanceReader, release: () => Promise<void>) {
    this.#reader = reader
    this.#release = release
  }

  async has(ids: readonly string[]): Promise<boolean> {
    return this.#open().has(ids)
  }

  async find(query: Query): Promise<DocumentBytes[]> {
    return this.#open().find(query)
  }

  async findById(id: string): Promise<DocumentBytes> {
    return this.#open().findById(id)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#release()
  }

  #open(): InstanceReader {
    if (this.#closed) throw new ThreadsError('TRANSACTION_CLOSED', 'the transaction is closed')
    return this.#reader
  }
}

export interface WriteTransactionComponents {
  readonly reader: InstanceReader
  readonly writes: CollectionWrites
  readonly clock: Clock
  readonly limits: Pick<ResolvedDbOptions, 'transactionIdleMs' | 'transactionTotalMs'>
  /** Aborted when the database is deleted or closed: the transaction ends with its reason. */
  readonly closed: AbortSignal
  /** Stores the actions as one record. */
  commit(actions: readonly Action[]): Promise<void>
  /** Gives the write lock back. */
  release(): void
}

/**
 * Writes that wait for their commit, under the write lock of the database. Calls take effect one after the other, in the
 * order in which they were made.
 */
export class LockedTransaction implements WriteTransaction {
  readonly #components: WriteTransactionComponents
  readonly #actions = new ActionList()
  readonly #expiry = new AbortController()
  readonly #turn = new Mutex()
  #state: 'open' | 'discarded' | 'committing' | 'closed' = 'open'
  /** Calls that are not answered yet. The time for idle transactions runs while there is none. */
  #calls = 0
  #cancelIdle: () => void = () => {}
  readonly #cancelTotal: () => void
  readonly #onClosed = (): void => this.#abort(this.#components.closed.reason)

  constructor(components: WriteTransactionComponents) {
    this.#components = components
    const { clock, limits, closed } = components
    this.#cancelTotal = clock.after(limits.transactionTotalMs, () => this.#expire(limits.transactionTotalMs))
    closed.addEventListener('abort', this.#onClosed, { once: true })
    this.#idle()
  }

  get expired(): AbortSignal {
    return this.#expiry.signal
  }

  has(ids: readonly string[]): Promise<boolean> {
    return this.#use((reader) => reader.has(ids))
  }

  find(query: Query): Promise<DocumentBytes[]> {
    return this.#use((reader) => reader.find(query))
  }

  findById(id: string): Promise<DocumentBytes> {
    return this.#use((reader) => reader.findById(id))
  }

  /** If one document is refused, none of the call is kept. */
  async create(documents: readonly DocumentBytes[]): Promise<string[]> {
    const actions = await this.#add((reader) => this.#components.writes.createAll(documents, reader))
    return actions.map((action) => action.id)
  }

  /** If one document is refused, none of the call is kept. */
  async save(documents: readonly DocumentBytes[]): Promise<void> {
    await this.#add((reader) => this.#components.writes.saveAll(documents, { reader, pending: this.#actions.all }))
  }

  verify(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#use(async (reader) => {
      if (this.#state === 'discarded') throw ended()
      await this.#components.writes.verify(documents, { reader, pending: this.#actions.all })
    })
  }

  async delete(ids: readonly string[]): Promise<void> {
    await this.#add((reader) => this.#components.writes.deleteAll(ids, { reader, pending: this.#actions.all }))
  }

  commit(): Promise<void> {
    return this.#turn.run(async () => {
      this.#refuseExpired()
      if (this.#state !== 'open') {
        this.#close()
        throw ended()
      }
      this.#state = 'committing'
      this.#stopTimers()
      try {
        await this.#components.commit(this.#actions.all)
      } finally {
        this.#close()
      }
    })
  }

  discard(): void {
    this.#refuseExpired()
    if (this.#state !== 'open') return
    this.#state = 'discarded'
    this.#actions.clear()
  }

  async close(): Promise<void> {
    // What was given to `commit` before is stored first.
    await this.#turn.run(async () => this.#close())
  }

  #add(make: (reader: InstanceReader) => Promise<Action[]>): Promise<Action[]> {
    return this.#use(async (reader) => {
      const actions = await make(reader)
      this.#refuseExpired()
      this.#actions.add(actions)
      return actions
    })
  }

  async #use<T>(work: (reader: InstanceReader) => Promise<T>): Promise<T> {
    this.#calls++
    this.#cancelIdle()
    try {
      return await this.#turn.run(async () => {
        this.#refuseExpired()
        if (this.#state === 'closed') throw ended()
        return work(this.#components.reader)
      })
    } finally {
      this.#calls--
      if (this.#calls === 0) this.#idle()
    }
  }

  #idle(): void {
    if (this.#state !== 'open' && this.#state !== 'discarded') return
    const { clock, limits } = this.#components
    this.#cancelIdle()
    this.#cancelIdle = clock.after(limits.transactionIdleMs, () => this.#expire(limits.transactionIdleMs))
  }

  #expire(afterMs: number): void {
    const text = `the transaction was open for ${afterMs} ms without an end; it is aborted`
    this.#abort(new ThreadsError('TRANSACTION_TIMEOUT', text))
  }

  /** A commit under way is not stopped any more. */
  #abort(reason: unknown): void {
    if (this.#state === 'committing') return
    this.#expiry.abort(reason)
    this.#close()
  }

  #refuseExpired(): void {
    if (this.#expiry.signal.aborted) throw this.#expiry.signal.reason
  }

  #stopTimers(): void {
    this.#cancelIdle()
    this.#cancelTotal()
  }

  #close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#stopTimers()
    this.#components.closed.removeEventListener('abort', this.#onClosed)
    this.#actions.clear()
    this.#components.release()
  }
}

function ended(): ThreadsError {
  return new ThreadsError('TRANSACTION_CLOSED', "can't commit discarded/committed txn")
}
