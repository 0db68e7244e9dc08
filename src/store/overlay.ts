import { bytesKey, compareBytes } from '../core/bytes.ts'
import type { Entry, KeyRange, Operation, ReadView } from './ordered-store.ts'

/** A pending write of a key. `value` is absent for a deletion. */
interface Pending {
  readonly key: Uint8Array
  readonly value: Uint8Array | undefined
  readonly seq: number
}

/**
 * The operations of the batches of one thread that are queued and not stored yet.
 * Keys are held as strings of one character per byte: these hash, and compare as the bytes do.
 */
export class Overlay {
  readonly #pending = new Map<string, Pending>()

  /** Adds a batch and returns the names of its keys, by which {@link remove} forgets it. */
  add(seq: number, operations: readonly Operation[]): string[] {
    return operations.map((operation) => {
      const name = bytesKey(operation.key)
      const value = operation.type === 'put' ? operation.value : undefined
      this.#pending.set(name, { key: operation.key, value, seq })
      return name
    })
  }

  /** Forgets a stored batch. Keys that a later batch wrote again stay. */
  remove(seq: number, names: readonly string[]): void {
    for (const name of names) {
      if (this.#pending.get(name)?.seq === seq) this.#pending.delete(name)
    }
  }

  get(key: Uint8Array): Pending | undefined {
    return this.#pending.get(bytesKey(key))
  }

  /** The pending writes in a range, in the order of the range. */
  inRange(range: KeyRange): Pending[] {
    const from = bytesKey(range.gte)
    const to = bytesKey(range.lt)
    const names: string[] = []
    for (const name of this.#pending.keys()) {
      if (name >= from && name < to) names.push(name)
    }
    names.sort()
    if (range.reverse === true) names.reverse()
    return names.flatMap((name) => this.#pending.get(name) ?? [])
  }
}

/** What is stored, with the pending writes of an overlay on top. */
export class OverlayView implements ReadView {
  readonly #stored: ReadView
  readonly #overlay: () => Overlay | undefined

  /** `overlay` tells the one in force at each read. */
  constructor(stored: ReadView, overlay: () => Overlay | undefined) {
    this.#stored = stored
    this.#overlay = overlay
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    const pending = this.#overlay()?.get(key)
    return pending === undefined ? this.#stored.get(key) : pending.value
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    const overlay = this.#overlay()
    if (overlay === undefined) return this.#stored.getMany(keys)
    const pending = keys.map((key) => overlay.get(key))
    const missing = keys.filter((_, i) => pending[i] === undefined)
    const stored = missing.length === 0 ? [] : await this.#stored.getMany(missing)
    let next = 0
    return pending.map((write) => (write === undefined ? stored[next++] : write.value))
  }

  /** The overlay and the stored entries are taken at the same moment: when the first entry is asked for. */
  async *entries(range: KeyRange): AsyncGenerator<Entry> {
    const pending = this.#overlay()?.inRange(range) ?? []
    if (pending.length === 0) {
      yield* this.#stored.entries(range)
      return
    }
    const { limit = Number.POSITIVE_INFINITY } = range
    let left = limit
    for await (const entry of merge(this.#stored.entries(withSpare(range, pending)), pending, range.reverse === true)) {
      if (left-- <= 0) return
      yield entry
    }
  }
}

/** Each pending write may hide one stored entry, so that many more are read than the limit says. */
function withSpare(range: KeyRange, pending: readonly Pending[]): KeyRange {
  return range.limit === undefined ? range : { ...range, limit: range.limit + pending.length }
}

async function* merge(
  stored: AsyncIterable<Entry>,
  pending: readonly Pending[],
  reverse: boolean,
): AsyncGenerator<Entry> {
  let next = 0
  for await (const entry of stored) {
    let hidden = false
    for (let write = pending[next]; write !== undefined; write = pending[next]) {
      const order = reverse ? compareBytes(entry[0], write.key) : compareBytes(write.key, entry[0])
      if (order > 0) break
      next++
      hidden = order === 0
      if (write.value !== undefined) yield [write.key, write.value]
      if (hidden) break
    }
    if (!hidden) yield entry
  }
  for (const write of pending.slice(next)) {
    if (write.value !== undefined) yield [write.key, write.value]
  }
}
