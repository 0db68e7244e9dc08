/**
 * The contract of an ordered key-value store: the only thing the rest of the project knows of its disk.
 * Keys are byte strings, ordered bytewise. All methods are asynchronous, so that a backend may live elsewhere.
 * Arrays, passed or returned, must not be changed afterwards: neither side copies them.
 */
export interface ReadView {
  /** The value, or `undefined` if the key is absent. */
  get(key: Uint8Array): Promise<Uint8Array | undefined>
  /** One value or `undefined` per key, in the order of `keys`. */
  getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]>
  /** Entries of a range in key order. Leaving the loop early frees what it holds. */
  entries(range: KeyRange): AsyncIterable<Entry>
}

export type Entry = readonly [key: Uint8Array, value: Uint8Array]

export interface KeyRange {
  /** First key, inclusive. */
  gte: Uint8Array
  /** End of the range, exclusive. */
  lt: Uint8Array
  /** Highest key first. Default false. */
  reverse?: boolean
  /** At most this many entries. Default: no limit. */
  limit?: number
  /** Values are not read: they may be empty. Default false. */
  keysOnly?: boolean
  /** Entries fetched at first, where so many may do; more follow at once. Default: as many as are fetched at once. */
  first?: number
}

export type Operation =
  | { readonly type: 'put'; readonly key: Uint8Array; readonly value: Uint8Array }
  | { readonly type: 'del'; readonly key: Uint8Array }

/** A view that does not change. Must be closed. */
export interface Snapshot extends ReadView {
  close(): Promise<void>
}

export interface OrderedStore extends ReadView {
  /** Applies all operations or none. With `sync` it resolves when they survive a power loss. */
  batch(operations: readonly Operation[], options: { sync: boolean }): Promise<void>
  snapshot(): Snapshot
  close(): Promise<void>
}
