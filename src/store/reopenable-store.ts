import { ThreadsError } from '../core/errors.ts'
import type { Entry, KeyRange, Operation, OrderedStore, Snapshot } from './ordered-store.ts'

/**
 * A store that can be closed and opened again under its users. While it is closed they get STORE_FAILED, at the end
 * CLOSED.
 */
export class ReopenableStore implements OrderedStore {
  readonly #open: () => Promise<OrderedStore>
  #current: OrderedStore | undefined
  #closed = false

  constructor(open: () => Promise<OrderedStore>) {
    this.#open = open
  }

  /** Closes what is open, whatever state it is in, and opens again. */
  async reopen(): Promise<void> {
    await this.#closeCurrent()
    this.#current = await this.#open()
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#opened().get(key)
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#opened().getMany(keys)
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#opened().entries(range)
  }

  async batch(operations: readonly Operation[], options: { sync: boolean }): Promise<void> {
    await this.#opened().batch(operations, options)
  }

  snapshot(): Snapshot {
    return this.#opened().snapshot()
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#closeCurrent()
  }

  #opened(): OrderedStore {
    if (this.#closed) throw new ThreadsError('CLOSED', 'the store is closed')
    if (this.#current === undefined) {
      throw new ThreadsError('STORE_FAILED', 'the store is being opened again after a failed write', {
        hint: 'Try again later.',
      })
    }
    return this.#current
  }

  async #closeCurrent(): Promise<void> {
    const current = this.#current
    this.#current = undefined
    await current?.close()
  }
}
