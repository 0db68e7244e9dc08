/**
 * Finding where two hosts differ in the threads they share: hashes over ranges of thread ids are compared, and split where
 * they differ, until the threads of a range are few enough to be listed. What is sent grows with the differences, and with
 * the logarithm of the threads. Nothing here does anything.
 */
import { compareBytes, EMPTY_BYTES, equalBytes, joinBytes } from '../../core/bytes.ts'
import { sha256 } from '../../core/crypto.ts'
import { ThreadsError } from '../../core/errors.ts'
import { type ThreadId, threadIdToBytes } from '../../core/thread-id.ts'
import type { Edges } from '../replica.ts'

export const DIGEST_BYTES = 16
/** Parts that a range is split into. */
const PARTS = 16
/** Ranges with at most so many threads, of both sides together, are listed. */
const LISTED = 32
/** Ranges, and listed threads, in one frame. */
const MAX_RANGES = 1_000
const MAX_ITEMS = 10_000

/** A thread that is shared, and a digest of what a host holds of it. */
export interface Item {
  readonly id: Uint8Array
  readonly digest: Uint8Array
}

export interface Range {
  readonly from: Uint8Array
  /** The first id that does not belong to it; absent for the end. */
  readonly to: Uint8Array | undefined
  readonly count: number
  /** Absent from a list. */
  readonly hash?: Uint8Array
  readonly items?: readonly Item[]
  /** This list answers one. */
  readonly answers: boolean
}

export interface Shared extends Item {
  readonly threadId: ThreadId
}

/** What is shared, in the order of ids. */
export function sharedItems(threads: Iterable<{ threadId: ThreadId; edges: Edges }>): Shared[] {
  const items = [...threads].map(({ threadId, edges }) => {
    return { threadId, id: threadIdToBytes(threadId), digest: digestOf(edges) }
  })
  return items.toSorted((a, b) => compareBytes(a.id, b.id))
}

function digestOf({ addresses, heads, chains }: Edges): Uint8Array {
  const digest = new Uint8Array(DIGEST_BYTES)
  const view = new DataView(digest.buffer)
  view.setBigUint64(0, addresses)
  view.setBigUint64(8, chains ?? heads)
  return digest
}

/** All threads as one range: how a comparison begins. */
export function wholeRange(mine: readonly Shared[]): Range {
  return hashed(mine, { from: EMPTY_BYTES, to: undefined })
}

export interface Comparison {
  /** What to send back. */
  readonly ranges: readonly Range[]
  /** Threads of ours that the other side must be told of. */
  readonly differing: readonly ThreadId[]
}

/** Compares what the other side says of a range. */
export function compareRange(mine: readonly Shared[], range: Range): Comparison {
  const own = within(mine, range)
  if (range.items !== undefined) return compareList(own, range, range.items)
  if (range.hash !== undefined && range.count === own.length && equalBytes(range.hash, hashOf(own))) return NOTHING
  if (own.length === 0 || own.length + range.count <= LISTED)
    return { ranges: [listed(own, range, false)], differing: [] }
  return { ranges: split(own, range), differing: [] }
}

const NOTHING: Comparison = { ranges: [], differing: [] }

/** Who answers a list tells what the other side lacks; who gets the answer, all that differs. So each is told once. */
function compareList(own: readonly Shared[], range: Range, items: readonly Item[]): Comparison {
  const listedThere = new Map(items.map(({ id, digest }) => [Buffer.from(id).toString('latin1'), digest]))
  const differing = own.filter(({ id, digest }) => {
    const there = listedThere.get(Buffer.from(id).toString('latin1'))
    return there === undefined || (range.answers && !equalBytes(there, digest))
  })
  const ranges = range.answers || items.length === 0 ? [] : answerTo(own, range)
  return { ranges, differing: differing.map(({ threadId }) => threadId) }
}

/** A list of much more than was asked for would be no list that a frame holds. */
function answerTo(own: readonly Shared[], range: Range): Range[] {
  return own.length > 2 * LISTED ? split(own, range) : [listed(own, range, true)]
}

function split(own: readonly Shared[], { from, to }: Pick<Range, 'from' | 'to'>): Range[] {
  const size = Math.ceil(own.length / PARTS)
  const ranges: Range[] = []
  for (let at = 0; at < own.length; at += size) {
    const begin = at === 0 ? from : own[at]?.id
    const end = at + size < own.length ? own[at + size]?.id : to
    ranges.push(hashed(own.slice(at, at + size), { from: begin ?? from, to: end }))
  }
  return ranges
}

function hashed(own: readonly Shared[], bounds: Pick<Range, 'from' | 'to'>): Range {
  return { ...bounds, count: own.length, hash: hashOf(own), answers: false }
}

function listed(own: readonly Shared[], { from, to }: Pick<Range, 'from' | 'to'>, answers: boolean): Range {
  return { from, to, count: own.length, items: own.map(({ id, digest }) => ({ id, digest })), answers }
}

function hashOf(items: readonly Item[]): Uint8Array {
  return sha256(joinBytes(items.flatMap(({ id, digest }) => [id, digest]))).slice(0, DIGEST_BYTES)
}

function within(mine: readonly Shared[], { from, to }: Pick<Range, 'from' | 'to'>): readonly Shared[] {
  return mine.slice(firstAt(mine, from), to === undefined ? mine.length : firstAt(mine, to))
}

/** Index of the first thread that does not come before `bound`. */
function firstAt(mine: readonly Shared[], bound: Uint8Array): number {
  let low = 0
  for (let high = mine.length; low < high; ) {
    const middle = (low + high) >> 1
    if (compareBytes(mine[middle]?.id ?? bound, bound) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Ranges in order and without overlap cost one pass over what is shared. Throws BAD_MESSAGE. */
export function checkRanges(ranges: readonly Range[]): readonly Range[] {
  let items = 0
  for (const [index, { from, to, items: list = [] }] of ranges.entries()) {
    items += list.length
    const next = ranges[index + 1]
    if (to !== undefined && compareBytes(from, to) >= 0) throw badRanges('a range is empty')
    if (next !== undefined && (to === undefined || compareBytes(to, next.from) > 0)) throw badRanges('ranges overlap')
  }
  if (ranges.length > MAX_RANGES || items > MAX_ITEMS) throw badRanges('too many ranges')
  return ranges
}

function badRanges(message: string): ThreadsError {
  return new ThreadsError('BAD_MESSAGE', message)
}
