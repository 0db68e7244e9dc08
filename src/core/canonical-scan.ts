import { compareBytes } from './bytes.ts'
import { CBOR_ARRAY, CBOR_BYTES, CBOR_LINK_TAG, CBOR_NEGATIVE, CBOR_TAG, CBOR_TEXT } from './cbor-head.ts'
import { isBlockLink } from './link.ts'

const UNKNOWN = -1
const FALSE = 20
const NULL = 22
const FLOAT64 = 27

/**
 * Where the first CBOR item ends, if it is seen at a glance to be canonical; `undefined` if not. Blocks are nearly always,
 * and then nothing need be written.
 */
export function canonicalEnd(bytes: Uint8Array, maxDepth: number): number | undefined {
  const end = new CanonicalScan(bytes, maxDepth).item(0, 0)
  return end === UNKNOWN ? undefined : end
}

/** Methods take an offset and answer the one behind what they passed; UNKNOWN ends the scan. */
class CanonicalScan {
  readonly #bytes: Uint8Array
  readonly #maxDepth: number
  /** Of the head passed last. */
  #argument = 0

  constructor(bytes: Uint8Array, maxDepth: number) {
    this.#bytes = bytes
    this.#maxDepth = maxDepth
  }

  item(at: number, depth: number): number {
    if (depth > this.#maxDepth) return UNKNOWN
    const initial = this.#bytes[at]
    if (initial === undefined) return UNKNOWN
    const major = initial >>> 5
    if (major > CBOR_TAG) return this.#simple(at, initial & 0x1f)
    const next = this.#head(at)
    if (next === UNKNOWN || major <= CBOR_NEGATIVE) return next
    if (major <= CBOR_TEXT) return this.#within(next + this.#argument)
    if (major === CBOR_TAG) return this.#link(next)
    return major === CBOR_ARRAY ? this.#array(next, depth) : this.#map(next, depth)
  }

  /** Larger integers than 32 bits are left to the slow way. */
  #head(at: number): number {
    const bytes = this.#bytes
    const info = (bytes[at] ?? 0) & 0x1f
    if (info < 24) {
      this.#argument = info
      return at + 1
    }
    if (info > 26) return UNKNOWN
    const length = 1 << (info - 24)
    const end = at + 1 + length
    if (end > bytes.length) return UNKNOWN
    let argument = 0
    for (let i = at + 1; i < end; i++) argument = argument * 256 + (bytes[i] ?? 0)
    const least = info === 24 ? 24 : info === 25 ? 0x100 : 0x1_0000
    this.#argument = argument
    return argument < least ? UNKNOWN : end
  }

  #within(end: number): number {
    return end > this.#bytes.length ? UNKNOWN : end
  }

  #simple(at: number, info: number): number {
    if (info >= FALSE && info <= NULL) return at + 1
    return info === FLOAT64 ? this.#within(at + 9) : UNKNOWN
  }

  #link(at: number): number {
    if (this.#argument !== CBOR_LINK_TAG || (this.#bytes[at] ?? 0) >>> 5 !== CBOR_BYTES) return UNKNOWN
    const content = this.#head(at)
    if (content === UNKNOWN) return UNKNOWN
    const end = this.#within(content + this.#argument)
    return end !== UNKNOWN && isBlockLink(this.#bytes, content, end) ? end : UNKNOWN
  }

  #array(at: number, depth: number): number {
    let end = at
    for (let left = this.#argument; left > 0 && end !== UNKNOWN; left--) end = this.item(end, depth + 1)
    return end
  }

  #map(at: number, depth: number): number {
    let end = at
    let [keyBefore, endBefore] = [at, at]
    for (let left = this.#argument; left > 0; left--) {
      const key = end
      if ((this.#bytes[key] ?? 0) >>> 5 !== CBOR_TEXT) return UNKNOWN
      const value = this.item(key, depth)
      if (value === UNKNOWN || !this.#follows(key, value, { from: keyBefore, to: endBefore })) return UNKNOWN
      ;[keyBefore, endBefore] = [key, value]
      end = this.item(value, depth + 1)
      if (end === UNKNOWN) return UNKNOWN
    }
    return end
  }

  #follows(from: number, to: number, before: { from: number; to: number }): boolean {
    const bytes = this.#bytes
    // Keys of other lengths differ in their first bytes: the head, as far as it is one byte.
    const [first = 0, firstBefore = 0] = [bytes[from], bytes[before.from]]
    if (before.to === before.from || first > firstBefore) return true
    return compareBytes(bytes.subarray(before.from, before.to), bytes.subarray(from, to)) < 0
  }
}
