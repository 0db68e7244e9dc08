import { ThreadsError } from '../core/errors.ts'
import { Mutex } from '../util/mutex.ts'
import { type Action, ActionList } from './actions.ts'
import type { CollectionWrites } from './collection-writes.ts'
import type { CollectionReader, DocumentBytes, ReadTransaction, WriteTransaction } from './index.ts'
import { Lifetime, type LifetimeComponents } from './lifetime.ts'
import type { Query } from './query/query.ts'
import type { InstanceReader } from './reader.ts'

export interface ReadTransactionComponents extends LifetimeComponents {
  /** Of a snapshot. */
  readonly reader: CollectionReader
  /** Frees the snapshot. */
  release(): Promise<void>
}

/** Reads of one snapshot, one after the other. */
export class SnapshotTransaction implements ReadTransaction {
  readonly #components: ReadTransactionComponents
  readonly #lifetime: Lifetime
  readonly #turn = new Mutex()
  #closed = false

  constructor(components: ReadTransactionComponents) {
    this.#components = components
    // Whoever reads next hears of it; freeing what cannot be read any more fails for nobody.
    this.#lifetime = new Lifetime(components, () => void this.close().catch(() => {}))
  }

  get expired(): AbortSignal {
    return this.#lifetime.expired
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

  /** A read under way is answered first. */
  async close(): Promise<void> {
    this.#lifetime.stop()
    await this.#turn.run(async () => {
      if (this.#closed) return
      this.#closed = true
      await this.#components.release()
    })
  }

  #use<T>(read: (reader: CollectionReader) => Promise<T>): Promise<T> {
    return this.#lifetime.run(() =>
      this.#turn.run(async () => {
        this.#lifetime.refuseExpired()
        if (this.#closed) throw new ThreadsError('TRANSACTION_CLOSED', 'the transaction is closed')
        return read(this.#components.reader)
      }),
    )
  }
}

export interface WriteTransactionComponents extends LifetimeComponents {
  readonly reader: InstanceReader
  readonly writes: CollectionWrites
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
  readonly #turn = new Mutex()
  readonly #lifetime: Lifetime
  #state: 'open' | 'discarded' | 'committing' | 'closed' = 'open'

  constructor(components: WriteTransactionComponents) {
    this.#components = components
    this.#lifetime = new Lifetime(components, () => this.#close())
  }

  get expired(): AbortSignal {
    return this.#lifetime.expired
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
      this.#lifetime.refuseExpired()
      if (this.#state !== 'open') {
        this.#close()
        throw ended()
      }
      this.#state = 'committing'
      this.#lifetime.stop()
      try {
        await this.#components.commit(this.#actions.all)
      } finally {
        this.#close()
      }
    })
  }

  discard(): void {
    this.#lifetime.refuseExpired()
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
      this.#lifetime.refuseExpired()
      this.#actions.add(actions)
      return actions
    })
  }

  #use<T>(work: (reader: InstanceReader) => Promise<T>): Promise<T> {
    return this.#lifetime.run(() =>
      this.#turn.run(async () => {
        this.#lifetime.refuseExpired()
        if (this.#state === 'closed') throw ended()
        return work(this.#components.reader)
      }),
    )
  }

  #close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#lifetime.stop()
    this.#actions.clear()
    this.#components.release()
  }
}

function ended(): ThreadsError {
  return new ThreadsError('TRANSACTION_CLOSED', "can't commit discarded/committed txn")
}
