import type { Caller } from '../core/caller.ts'
import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Action } from './actions.ts'
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

  has(ids: readonly string[]): Promise<boolean> {
    return this.#open().has(ids)
  }

  find(query: Query): Promise<DocumentBytes[]> {
    return this.#open().find(query)
  }

  findById(id: string): Promise<DocumentBytes> {
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
  readonly caller: Caller
  readonly clock: Clock
  readonly limits: Pick<ResolvedDbOptions, 'transactionIdleMs' | 'transactionTotalMs'>
  /** Stores the actions as one record. */
  commit(actions: readonly Action[]): Promise<void>
  /** Gives the write lock back. */
  release(): void
}

/** Writes that wait for their commit, under the write lock of the database. */
export class LockedTransaction implements WriteTransaction {
  readonly #components: WriteTransactionComponents
  readonly #actions: Action[] = []
  readonly #expiry = new AbortController()
  #state: 'open' | 'discarded' | 'closed' = 'open'
  #cancelIdle: () => void = () => {}
  readonly #cancelTotal: () => void

  constructor(components: WriteTransactionComponents) {
    this.#components = components
    const { clock, limits } = components
    this.#cancelTotal = clock.after(limits.transactionTotalMs, () => this.#expire(limits.transactionTotalMs))
    this.#touch()
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
  create(documents: readonly DocumentBytes[]): Promise<string[]> {
    return this.#use(async (reader) => {
      const actions = await this.#components.writes.createAll(documents, reader)
      this.#actions.push(...actions)
      return actions.map((action) => action.id)
    })
  }

  /** If one document is refused, none of the call is kept. */
  save(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#use(async (reader) => {
      this.#actions.push(...(await this.#components.writes.saveAll(documents, { reader, pending: this.#actions })))
    })
  }

  verify(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#use(async (reader) => {
      if (this.#state === 'discarded') throw ended()
      await this.#components.writes.verify(documents, { reader, pending: this.#actions })
    })
  }

  delete(ids: readonly string[]): Promise<void> {
    return this.#use(async (reader) => {
      this.#actions.push(...(await this.#components.writes.deleteAll(ids, { reader, pending: this.#actions })))
    })
  }

  async commit(): Promise<void> {
    this.#refuseExpired()
    if (this.#state !== 'open') {
      this.#close()
      throw ended()
    }
    this.#stopTimers()
    try {
      await this.#components.commit(this.#actions)
    } finally {
      this.#close()
    }
  }

  discard(): void {
    this.#refuseExpired()
    if (this.#state === 'open') this.#state = 'discarded'
  }

  async close(): Promise<void> {
    this.#close()
  }

  #use<T>(work: (reader: InstanceReader) => Promise<T>): Promise<T> {
    this.#refuseExpired()
    if (this.#state === 'closed') throw ended()
    this.#touch()
    return work(this.#components.reader)
  }

  #touch(): void {
    const { clock, limits } = this.#components
    this.#cancelIdle()
    this.#cancelIdle = clock.after(limits.transactionIdleMs, () => this.#expire(limits.transactionIdleMs))
  }

  #expire(afterMs: number): void {
    const text = `the transaction was open for ${afterMs} ms without an end; it is aborted`
    this.#expiry.abort(new ThreadsError('TRANSACTION_TIMEOUT', text))
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
    this.#components.release()
  }
}

function ended(): ThreadsError {
  return new ThreadsError('TRANSACTION_CLOSED', "can't commit discarded/committed txn")
}
