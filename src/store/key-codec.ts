import { appendEscaped, appendNumber, decodeText, escapedBound, malformedKey, MAX_NUMBER_BYTES } from './key-bytes.ts'
import { readEscaped, readNumber } from './key-bytes.ts'
import type { KeyRange } from './ordered-store.ts'

export { appendEscaped, decodeText, escapedBound, readEscaped } from './key-bytes.ts'

/** What the rows of a letter are. Deletion, backup, verification and sizes go by this table. */
export interface KeyLetterInfo {
  readonly holds: string
  /** The first component is the number of a thread: the rows are deleted with it. */
  readonly byThread: boolean
  /** The rows can be rebuilt from records. */
  readonly derived: boolean
}

/** The first byte of every key. */
export type KeyLetter = 's' | 't' | 'l' | 'r' | 'c' | 'f' | 'v' | 'd' | 'e' | 'x' | 'p' | 'a' | 'k' | 'q' | 'h'

export const KEY_LETTERS: Readonly<Record<KeyLetter, KeyLetterInfo>> = {
  s: { holds: 'format and fold version, store id, clean-shutdown mark', byThread: false, derived: false },
  t: { holds: 'thread#: thread, its keys, state, edges and collections', byThread: true, derived: false },
  l: { holds: 'thread# log#: log, its keys, addresses, head and cursor', byThread: true, derived: false },
  r: { holds: 'thread# log# counter: record as received', byThread: true, derived: false },
  c: { holds: 'cid[0..8] thread# log# counter: record by id', byThread: false, derived: false },
  f: { holds: 'seq: commit journal', byThread: false, derived: false },
  v: { holds: 'thread# generation position: refused record with the reason', byThread: true, derived: true },
  d: { holds: 'thread# generation collection id: instance', byThread: true, derived: true },
  e: { holds: 'thread# generation collection id position: verdict and document hash', byThread: true, derived: true },
  x: { holds: 'thread# generation index# value id: index entry', byThread: true, derived: true },
  p: { holds: 'peer id: transport addresses of a peer', byThread: false, derived: false },
  a: { holds: 'reserved: access, by thread', byThread: true, derived: false },
  k: { holds: 'reserved: key rings, by thread', byThread: true, derived: false },
  q: { holds: 'reserved: access requests, by thread', byThread: true, derived: false },
  h: { holds: 'reserved: rows of the host committed with a write', byThread: false, derived: false },
}

/** A component: a non-negative integer up to 2^64 - 1, a text or a byte string. */
export type KeyPart = number | bigint | string | Uint8Array

/** Longest key. Longer ones are a mistake of the caller. */
export const MAX_KEY_BYTES = 65_536

/** Where keys are put together before they are copied out: keys are built on the write path. */
const scratch = new Uint8Array(4096)

/**
 * The key of a row. Keys order as their components do: numbers by value, texts and byte strings bytewise, and a key
 * before the longer keys that begin with it.
 */
export function rowKey(letter: KeyLetter, ...parts: readonly KeyPart[]): Uint8Array<ArrayBuffer> {
  const bound = keyBound(parts)
  const target = bound <= scratch.length ? scratch : new Uint8Array(bound)
  target[0] = letter.charCodeAt(0)
  let end = 1
  for (const part of parts) {
    end = isNumber(part) ? appendNumber(target, end, part) : appendEscaped(target, end, part)
  }
  if (end > MAX_KEY_BYTES) throw new RangeError(`a key is at most ${MAX_KEY_BYTES} bytes`)
  return target.slice(0, end)
}

function keyBound(parts: readonly KeyPart[]): number {
  let bound = 1
  for (const part of parts) {
    if (isNumber(part)) bound += MAX_NUMBER_BYTES
    else if (part.length > MAX_KEY_BYTES) throw new RangeError(`a key is at most ${MAX_KEY_BYTES} bytes`)
    else bound += escapedBound(part)
  }
  return bound
}

function isNumber(part: KeyPart): part is number | bigint {
  return typeof part === 'number' || typeof part === 'bigint'
}

/** All keys that begin with these components, as whole components: `["AA"]` does not cover `["AAB"]`. */
export function rowRange(letter: KeyLetter, ...parts: readonly KeyPart[]): KeyRange {
  return prefixRange(rowKey(letter, ...parts))
}

/** All keys that begin with these bytes. The first byte is a letter, so there is always a key behind them. */
export function prefixRange(prefix: Uint8Array): KeyRange {
  let length = prefix.length
  while (length > 0 && prefix[length - 1] === 0xff) length--
  const lt = prefix.slice(0, length)
  if (length === 0) throw new TypeError('a key prefix begins with a letter')
  lt[length - 1] = (lt[length - 1] ?? 0) + 1
  return { gte: prefix, lt }
}

/** Every range with rows of a thread, other than the rows of `c` that point into it. */
export function threadRanges(thread: number): KeyRange[] {
  const ranges: KeyRange[] = []
  for (const [letter, info] of Object.entries(KEY_LETTERS)) {
    if (info.byThread) ranges.push(rowRange(letter as KeyLetter, thread))
  }
  return ranges
}

/** Reads the components of a key from left to right. A key that does not hold them is STORE_CORRUPT. */
export class KeyReader {
  readonly letter: KeyLetter
  readonly #key: Uint8Array
  #offset = 1

  constructor(key: Uint8Array) {
    const letter = String.fromCharCode(key[0] ?? 0)
    if (!isKeyLetter(letter)) throw malformedKey(key)
    this.letter = letter
    this.#key = key
  }

  get atEnd(): boolean {
    return this.#offset === this.#key.length
  }

  /** A number up to 2^53 - 1. */
  number(): number {
    const value = this.bigint()
    if (typeof value === 'bigint') throw malformedKey(this.#key)
    return value
  }

  /** A number up to 2^64 - 1, as bigint where it is above 2^53 - 1. */
  bigint(): number | bigint {
    const { value, next } = readNumber(this.#key, this.#offset)
    this.#offset = next
    return value
  }

  bytes(): Uint8Array {
    const { bytes, next } = readEscaped(this.#key, this.#offset)
    this.#offset = next
    return bytes
  }

  text(): string {
    return decodeText(this.bytes())
  }

  /** What is left of the key, as it is. */
  rest(): Uint8Array {
    const rest = this.#key.subarray(this.#offset)
    this.#offset = this.#key.length
    return rest
  }
}

export function parseKey(key: Uint8Array): KeyReader {
  return new KeyReader(key)
}

function isKeyLetter(text: string): text is KeyLetter {
  return Object.hasOwn(KEY_LETTERS, text)
}
