import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { Entry, KeyRange, Operation, OrderedStore, Snapshot } from '../../src/store/ordered-store.ts'

interface Fault {
  /** Number of the batch it waits for. */
  readonly batch: number
  /** Runs in the place of the write. */
  readonly act: (write: () => Promise<void>) => Promise<void>
}

export interface Stall {
  /** Resolves when the batch has arrived. */
  readonly reached: Promise<void>
  /** Lets it be written. */
  release(): void
}

/**
 * A store whose nth batch fails or waits. After a failure it refuses everything that is written until it is opened
 * again, as LevelDB does. Closing it keeps what it holds.
 */
export class FaultyStore implements OrderedStore {
  /** Every batch that arrived, in order. */
  readonly batches: { readonly operations: readonly Operation[]; readonly sync: boolean; stored: boolean }[] = []
  #inner: OrderedStore
  #faults: Fault[] = []
  #broken = false
  #isOpen = false
  #opensToFail = 0

  constructor(inner: OrderedStore) {
    this.#inner = inner
  }

  /** To be handed in as the way the store is opened. */
  readonly open = async (): Promise<OrderedStore> => {
    if (this.#opensToFail > 0) {
      this.#opensToFail--
      throw new Error('the disk does not answer')
    }
    if (this.#isOpen) throw new Error('the store was not closed before it was opened again')
    this.#isOpen = true
    this.#broken = false
    return this
  }

  /** The nth batch from now (1: the next one) fails; `stored` says whether it is written all the same. */
  failBatch(nth: number, { stored }: { stored: boolean }): void {
    this.#onBatch(nth, async (write) => {
      this.#broken = true
      if (stored) await write()
      throw new Error('input/output error')
    })
  }

  /** The nth batch from now waits until it is released. */
  stallBatch(nth: number): Stall {
    const reached = Promise.withResolvers<void>()
    const released = Promise.withResolvers<void>()
    this.#onBatch(nth, async (write) => {
      reached.resolve()
      await released.promise
      await write()
    })
    return { reached: reached.promise, release: released.resolve }
  }

  /** Loses batches after they were stored, by their place in `batches`, as if the disk were damaged there. */
  async lose(lost: readonly number[]): Promise<void> {
    const inner = await openMemoryStore()
    for (const [at, { operations, stored }] of this.batches.entries()) {
      if (stored && !lost.includes(at)) await inner.batch(operations, { sync: false })
    }
    this.#inner = inner
  }

  failOpens(count: number): void {
    this.#opensToFail = count
  }

  get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.#inner.get(key)
  }

  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return this.#inner.getMany(keys)
  }

  entries(range: KeyRange): AsyncIterable<Entry> {
    return this.#inner.entries(range)
  }

  async batch(operations: readonly Operation[], options: { sync: boolean }): Promise<void> {
    const batch = { operations, sync: options.sync, stored: false }
    this.batches.push(batch)
    if (this.#broken || !this.#isOpen) throw new Error('the store takes no writes')
    const write = async (): Promise<void> => {
      await this.#inner.batch(operations, options)
      batch.stored = true
    }
    const fault = this.#faults.find((each) => each.batch === this.batches.length)
    await (fault === undefined ? write() : fault.act(write))
  }

  snapshot(): Snapshot {
    return this.#inner.snapshot()
  }

  async close(): Promise<void> {
    this.#isOpen = false
  }

  #onBatch(nth: number, act: Fault['act']): void {
    this.#faults.push({ batch: this.batches.length + nth, act })
  }
}
