/** What a caller asks of a collection. An empty query answers every instance, by ascending id. */
export interface Query {
  /** All must hold. */
  ands?: readonly Criterion[]
  /** Alternatives to all of `ands` together: `a and b or c` is `(a and b) or c`. Only their criteria count. */
  ors?: readonly Query[]
  sort?: Sort
  /** First id, inclusive: lower ids are left out. With a descending sort by `_id` the last one: higher ids are. */
  seek?: string
  /** At most this many results; 0, the default, for all. */
  limit?: number
  /** Results left out at the beginning. Default 0. */
  skip?: number
  /** Path of an index to prefer. Without an index of that path the query answers nothing. */
  index?: string
}

/** Instances whose values are equal follow each other by ascending id. */
export interface Sort {
  /** Members joined by dots, through objects only. */
  path: string
  /** Highest value first. Default false. */
  desc?: boolean
}

/**
 * A comparison of one member. It does not hold where the member is missing, null or of another type than `value`.
 * Strings compare by their UTF-8 bytes; a boolean is equal to the value or less.
 */
export interface Criterion {
  /** Members joined by dots, through objects only. */
  path: string
  operation: Comparison
  value: string | number | boolean
}

export type Comparison = 'eq' | 'ne' | 'gt' | 'lt' | 'ge' | 'le'
