/** Filters as callers write them, and the queries they become on the wire: alternatives of criteria that all must hold. */
import type { AbortOptions } from '../core/abort.ts'
import { utf8 } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Stored } from './index.ts'

/** What can be compared. */
export type Scalar = string | number | boolean

/** Comparisons that all must hold. None holds where the member is missing, null or of another type, `$ne` neither. */
export interface Comparison<Value extends Scalar> {
  readonly $eq?: Value
  readonly $ne?: Value
  readonly $lt?: Exclude<Value, boolean>
  readonly $lte?: Exclude<Value, boolean>
  readonly $gt?: Exclude<Value, boolean>
  readonly $gte?: Exclude<Value, boolean>
}

/** A value stands for `{ $eq: value }`. */
export type Condition<Value extends Scalar> = Value | Comparison<Value>

/**
 * Which documents are wanted: all conditions must hold. Members of objects are named with dots; paths do not lead into
 * lists. Strings compare by their UTF-8 bytes.
 *
 * @example
 * { 'address.city': 'Graz', age: { $gte: 18 }, $or: [{ role: 'cook' }, { role: 'baker' }] }
 */
export type Filter<T> = [MemberOf<T>] extends [never] ? AnyFilter : Conditions<T> & Combinations<T>

/** Of documents of which nothing is known. Lists are those of `$and` and `$or`. */
export interface AnyFilter {
  readonly [path: string]: Condition<Scalar> | readonly AnyFilter[]
}

type Conditions<T> = { readonly [P in Path<Stored<T>>]?: Condition<ScalarOf<ValueAt<Stored<T>, P>>> }

interface Combinations<T> {
  readonly $and?: readonly Filter<T>[]
  readonly $or?: readonly Filter<T>[]
}

export interface FindOptions<T> extends AbortOptions {
  /** One path: 1 for ascending, -1 for descending order. Ties are in order of `_id`. Default: by `_id`. */
  readonly sort?: Sort<T>
  /** Documents left out at the beginning. @default 0 */
  readonly skip?: number
  /** At most so many documents; 0 for all. @default 0 */
  readonly limit?: number
}

export type Sort<T> = [MemberOf<T>] extends [never]
  ? { readonly [path: string]: 1 | -1 }
  : { readonly [P in Path<Stored<T>>]?: 1 | -1 }

/** Declared members of T. An index signature declares none. */
type MemberOf<T> = keyof { [K in keyof T as string extends K ? never : K extends string ? K : never]: unknown } & string

/** Levels of objects that types of paths go down. */
type Levels = readonly [unknown, unknown, unknown, unknown, unknown]
type Below<L extends readonly unknown[]> = L extends readonly [unknown, ...infer Rest] ? Rest : never

/** Paths of declared members that hold scalars. */
export type Path<T, L extends readonly unknown[] = Levels> = [L] extends [never]
  ? never
  : { [K in MemberOf<T>]: PathFrom<K, NonNullable<T[K & keyof T]>, L> }[MemberOf<T>]

type PathFrom<K extends string, V, L extends readonly unknown[]> =
  | ([ScalarOf<V>] extends [never] ? never : K)
  | (V extends Scalar | readonly unknown[] ? never : V extends object ? `${K}.${Path<V, Below<L>>}` : never)

type ValueAt<T, P extends string> = P extends keyof T
  ? T[P]
  : P extends `${infer K}.${infer Rest}`
    ? K extends keyof T
      ? ValueAt<NonNullable<T[K]>, Rest>
      : never
    : never

type ScalarOf<V> = unknown extends V ? Scalar : Extract<V, Scalar>

/** By their numbers on the wire. */
const OPERATIONS: Readonly<Record<string, number>> = { $eq: 0, $ne: 1, $gt: 2, $lt: 3, $gte: 4, $lte: 5 }
/** A filter with alternatives inside of others may stand for very many. */
const MAX_ALTERNATIVES = 1_000
const MAX_DEPTH = 32

interface Criterion {
  readonly fieldPath: string
  readonly operation: number
  readonly value: { readonly string?: string; readonly bool?: boolean; readonly float?: number }
}

interface QueryOptions {
  readonly sort?: object
  readonly skip?: number
  readonly limit?: number
}

/** The query of a filter, as it is sent. Throws INVALID_QUERY. */
export function encodeQuery(filter: object, { sort, skip = 0, limit = 0 }: QueryOptions): Uint8Array {
  const [ands = [], ...others] = alternativesOf(filter, 1)
  const query = {
    ...(ands.length > 0 && { ands }),
    ...(others.length > 0 && { ors: others.map((alternative) => ({ ands: alternative })) }),
    ...(sort !== undefined && { sort: readSort(sort) }),
    skip: count('skip', skip),
    limit: count('limit', limit),
  }
  return utf8(JSON.stringify(query))
}

/** The filter as criteria that all must hold, in several alternatives. */
function alternativesOf(filter: unknown, depth: number): Criterion[][] {
  if (typeof filter !== 'object' || filter === null || Array.isArray(filter))
    throw invalid('a filter must be an object')
  if (depth > MAX_DEPTH) throw invalid(`the filter is nested more than ${MAX_DEPTH} levels deep`)
  let alternatives: Criterion[][] = [[]]
  for (const [name, condition] of Object.entries(filter)) {
    if (name === '$and') {
      for (const part of filtersOf(name, condition)) alternatives = both(alternatives, alternativesOf(part, depth + 1))
    } else if (name === '$or') {
      const parts = filtersOf(name, condition).flatMap((part) => alternativesOf(part, depth + 1))
      // An alternative without criteria holds for every document, and so do all together.
      alternatives = parts.some((part) => part.length === 0) ? alternatives : both(alternatives, parts)
    } else {
      const criteria = criteriaOf(name, condition)
      alternatives = alternatives.map((alternative) => [...alternative, ...criteria])
    }
  }
  return alternatives
}

function both(left: readonly Criterion[][], right: readonly Criterion[][]): Criterion[][] {
  if (left.length * right.length > MAX_ALTERNATIVES) {
    throw invalid(`the filter has more than ${MAX_ALTERNATIVES} alternatives`)
  }
  return left.flatMap((one) => right.map((other) => [...one, ...other]))
}

function filtersOf(name: string, filters: unknown): readonly unknown[] {
  if (!Array.isArray(filters) || filters.length === 0) throw invalid(`${name} must be a list with at least one filter`)
  return filters
}

function criteriaOf(path: string, condition: unknown): Criterion[] {
  if (path.startsWith('$')) throw invalid(`there is no operator ${path}`)
  if (typeof condition !== 'object' || condition === null) return [criterion(path, '$eq', condition)]
  const comparisons = Object.entries(condition)
  if (comparisons.length === 0) throw invalid(`the condition of ${path} is empty`)
  return comparisons.map(([operator, value]) => criterion(path, operator, value))
}

function criterion(fieldPath: string, operator: string, value: unknown): Criterion {
  const operation = Object.hasOwn(OPERATIONS, operator) ? OPERATIONS[operator] : undefined
  if (operation === undefined) {
    const hint = 'Name members of objects with dots, as in { "address.city": "Graz" }.'
    throw invalid(`${fieldPath} is compared by ${operator}, which is no operator`, hint)
  }
  if (typeof value === 'string') return { fieldPath, operation, value: { string: value } }
  if (typeof value === 'boolean') return { fieldPath, operation, value: { bool: value } }
  if (typeof value === 'number' && Number.isFinite(value)) return { fieldPath, operation, value: { float: value } }
  throw invalid(`${fieldPath} is compared with what is no string, number or boolean`)
}

function readSort(sort: object): { fieldPath: string; desc: boolean } {
  const [entry, ...others] = Object.entries(sort)
  if (entry === undefined || others.length > 0) throw invalid('sort must name one path')
  const [fieldPath, direction] = entry
  if (direction !== 1 && direction !== -1) throw invalid(`sort by ${fieldPath} must be 1 or -1`)
  return { fieldPath, desc: direction === -1 }
}

function count(name: string, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) throw invalid(`${name} must be a whole number from 0 up`)
  return value
}

function invalid(message: string, hint?: string): ThreadsError {
  return new ThreadsError('INVALID_QUERY', message, hint === undefined ? {} : { hint })
}
