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

  add(seq: number, operations: readonly Operation[]): void {
    for (const operation of operations) {
      const value = operation.type === 'put' ? operation.value : undefined
      this.#pending.set(byteString(operation.key), { key: operation.key, value, seq })
    }
  }

  /** Forgets a stored batch. Keys that a later batch wrote again stay. */
  remove(seq: number, operations: readonly Operation[]): void {
    for (const operation of operations) {
      const name = byteString(operation.key)
      if (this.#pending.get(name)?.seq === seq) this.#pending.delete(name)
    }
  }

  get(key: Uint8Array): Pending | undefined {
    return this.#pending.get(byteString(key))
  }

  /** The pending writes in a range, in the order of the range. */
  inRange(range: KeyRange): Pending[] {
    const from = byteString(range.gte)
    const to = byteString(range.lt)
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

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const difference = (a[i] ?? 0) - (b[i] ?? 0)
    if (difference !== 0) return difference
  }
  return a.length - b.length
}

function byteString(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return text
}
