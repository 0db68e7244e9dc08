/**
 * Puts one CBOR item into the canonical form whose hash is its CID, byte for byte as go-ipld-cbor 0.0.5 on refmt does when
 * it decodes an item generically and encodes it again. General decoders will not do: they lose the difference between
 * 1 and 1.0, refuse text that is not UTF-8, and refuse strings in chunks, all of which circulates and is hashed.
 */
import { compareBytes, plainBytes } from './bytes.ts'
import { canonicalEnd } from './canonical-scan.ts'
import {
  CBOR_ARRAY,
  CBOR_BYTES,
  CBOR_LINK_TAG,
  CBOR_MAP,
  CBOR_NEGATIVE,
  CBOR_NULL,
  CBOR_TAG,
  CBOR_TEXT,
  CBOR_UNSIGNED,
  headLength,
  malformedCbor,
  putHead,
} from './cbor-head.ts'
import { checkLink } from './link.ts'

/** Deepest nesting of arrays and maps. */
export const MAX_CBOR_DEPTH = 128
/** Longest input. */
export const MAX_CBOR_BYTES: number = 8 * 1024 * 1024

const INDEFINITE = 31
const BREAK = 0xff
/** Initial byte and 64-bit argument. */
const LONGEST_HEAD = 9

/**
 * The canonical form of the first item; bytes after it are dropped. Lengths are definite, integers in their shortest
 * form, floats in 64 bits, map keys ordered by length and then bytewise, undefined is null. Refused: repeated keys, keys
 * other than text, tags other than links, integers below -2^63. Throws INVALID_RECORD. What is canonical already is not
 * copied: neither must be changed later.
 */
export function canonicalise(bytes: Uint8Array): Uint8Array {
  if (bytes.length > MAX_CBOR_BYTES) throw malformedCbor(`more than ${MAX_CBOR_BYTES} bytes`)
  const end = canonicalEnd(bytes, MAX_CBOR_DEPTH)
  if (end !== undefined) return plainBytes(bytes, end)
  const writer = new CanonicalWriter(bytes)
  writer.item(0)
  return writer.finish()
}

/** Where a map entry stands in the output. */
interface Entry {
  readonly key: number
  readonly value: number
  readonly end: number
}

/** Copies items from the input to the output, rewriting what is not canonical. */
class CanonicalWriter {
  readonly #in: Uint8Array
  readonly #view: DataView
  #pos = 0
  #out: Uint8Array
  #end = 0
  // The head read last. Above 2^53 the argument is rounded, which is enough for lengths.
  #major = 0
  #info = 0
  #argument = 0

  constructor(bytes: Uint8Array) {
    this.#in = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.#out = new Uint8Array(bytes.length + LONGEST_HEAD)
  }

  finish(): Uint8Array {
    return this.#out.subarray(0, this.#end)
  }

  item(depth: number): void {
    if (depth > MAX_CBOR_DEPTH) throw malformedCbor(`nested deeper than ${MAX_CBOR_DEPTH}`)
    this.#readHead()
    switch (this.#major) {
      case CBOR_UNSIGNED:
      case CBOR_NEGATIVE:
        return this.#integer()
      case CBOR_BYTES:
      case CBOR_TEXT:
        return this.#string()
      case CBOR_ARRAY:
        return this.#array(depth)
      case CBOR_MAP:
        return this.#map(depth)
      case CBOR_TAG:
        return this.#link()
      default:
        return this.#simple()
    }
  }

  #readHead(): void {
    const initial = this.#in[this.#take(1)] ?? 0
    this.#major = initial >>> 5
    this.#info = initial & 0x1f
    if (this.#info < 24) this.#argument = this.#info
    else if (this.#info === 24) this.#argument = this.#view.getUint8(this.#take(1))
    else if (this.#info === 25) this.#argument = this.#view.getUint16(this.#take(2))
    else if (this.#info === 26) this.#argument = this.#view.getUint32(this.#take(4))
    else if (this.#info === 27) this.#argument = Number(this.#view.getBigUint64(this.#take(8)))
    else if (this.#info !== INDEFINITE || initial === BREAK) throw malformedCbor(`unexpected byte ${initial}`)
  }

  #integer(): void {
    if (this.#info === INDEFINITE) throw malformedCbor('integer of indefinite length')
    if (this.#argument <= 0xffff_ffff) return this.#writeHead(this.#major, this.#argument)
    // All 64 bits are in use, so the form is canonical. The argument of -2^63 is 2^63 - 1.
    const start = this.#pos - LONGEST_HEAD
    if (this.#major === CBOR_NEGATIVE && this.#view.getUint8(start + 1) > 0x7f) {
      throw malformedCbor('integer below -2^63')
    }
    this.#write(this.#in.subarray(start, this.#pos))
  }

  #string(): void {
    const major = this.#major
    if (this.#info !== INDEFINITE) {
      const from = this.#take(this.#argument)
      this.#writeHead(major, this.#argument)
      return this.#write(this.#in.subarray(from, this.#pos))
    }
    const start = this.#end
    while (!this.#atBreak()) {
      this.#readHead()
      if (this.#major !== major || this.#info === INDEFINITE) throw malformedCbor('string with a chunk of another type')
      const from = this.#take(this.#argument)
      this.#write(this.#in.subarray(from, this.#pos))
    }
    this.#insertHead(start, major, this.#end - start)
  }

  #array(depth: number): void {
    if (this.#info !== INDEFINITE) {
      const length = this.#argument
      this.#writeHead(CBOR_ARRAY, length)
      for (let i = 0; i < length; i++) this.item(depth + 1)
      return
    }
    const start = this.#end
    let length = 0
    for (; !this.#atBreak(); length++) this.item(depth + 1)
    this.#insertHead(start, CBOR_ARRAY, length)
  }

  #map(depth: number): void {
    const start = this.#end
    const entries: Entry[] = []
    if (this.#info === INDEFINITE) {
      while (!this.#atBreak()) entries.push(this.#entry(depth))
      this.#sort(entries)
      return this.#insertHead(start, CBOR_MAP, entries.length)
    }
    const length = this.#argument
    this.#writeHead(CBOR_MAP, length)
    while (entries.length < length) entries.push(this.#entry(depth))
    this.#sort(entries)
  }

  #entry(depth: number): Entry {
    const key = this.#end
    this.#readHead()
    if (this.#major !== CBOR_TEXT) throw malformedCbor('map key that is no text')
    this.#string()
    const value = this.#end
    this.item(depth + 1)
    return { key, value, end: this.#end }
  }

  /** Orders the entries that were written last. Heads tell the length, so comparing encoded keys is enough. */
  #sort(entries: Entry[]): void {
    if (entries.every((entry, i) => i === 0 || this.#compare(entries[i - 1], entry) < 0)) return
    const start = entries[0]?.key ?? this.#end
    const ordered = entries.toSorted((a, b) => this.#compare(a, b))
    if (ordered.some((entry, i) => i > 0 && this.#compare(ordered[i - 1], entry) === 0)) {
      throw malformedCbor('repeated map key')
    }
    const written = this.#out.slice(start, this.#end)
    this.#end = start
    for (const { key, end } of ordered) this.#write(written.subarray(key - start, end - start))
  }

  #compare(a: Entry | undefined, b: Entry): number {
    if (a === undefined) return -1
    return compareBytes(this.#out.subarray(a.key, a.value), this.#out.subarray(b.key, b.value))
  }

  #link(): void {
    if (this.#argument !== CBOR_LINK_TAG || this.#info === INDEFINITE) throw malformedCbor('tag that is no link')
    this.#writeHead(CBOR_TAG, CBOR_LINK_TAG)
    this.#readHead()
    if (this.#major !== CBOR_BYTES) throw malformedCbor('link that is no byte string')
    const start = this.#end
    this.#string()
    checkLink(this.#out.subarray(start + stringHeadLength(this.#out[start]), this.#end))
  }

  #simple(): void {
    const start = this.#pos - 1
    switch (this.#info) {
      case 20:
      case 21:
      case 22:
        return this.#write(this.#in.subarray(start, this.#pos))
      case 23:
        return this.#write(CBOR_NULL)
      case 25:
        return this.#float(this.#view.getFloat16(this.#pos - 2))
      case 26:
        return this.#float(this.#view.getFloat32(this.#pos - 4))
      case 27:
        return this.#write(this.#in.subarray(this.#pos - LONGEST_HEAD, this.#pos))
      default:
        throw malformedCbor(`unknown simple value ${this.#info}`)
    }
  }

  #float(value: number): void {
    const item = new Uint8Array(LONGEST_HEAD)
    item[0] = 0xfb
    new DataView(item.buffer).setFloat64(1, value)
    this.#write(item)
  }

  /** Consumes the break that ends an item of indefinite length, if it is next. */
  #atBreak(): boolean {
    if (this.#in[this.#pos] !== BREAK) return false
    this.#pos++
    return true
  }

  /** Consumes `length` bytes of the input and tells where they begin. */
  #take(length: number): number {
    const from = this.#pos
    if (length > this.#in.length - from) throw malformedCbor('unexpected end')
    this.#pos += length
    return from
  }

  #write(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#out.set(bytes, this.#end)
    this.#end += bytes.length
  }

  #writeHead(major: number, argument: number): void {
    this.#reserve(LONGEST_HEAD)
    this.#end = putHead(this.#out, this.#end, { major, argument })
  }

  /** Puts a head in front of what was written since `start`. */
  #insertHead(start: number, major: number, argument: number): void {
    this.#reserve(LONGEST_HEAD)
    this.#out.copyWithin(start + headLength(argument), start, this.#end)
    this.#end += headLength(argument)
    putHead(this.#out, start, { major, argument })
  }

  #reserve(length: number): void {
    if (this.#end + length <= this.#out.length) return
    const grown = new Uint8Array(2 * this.#out.length + length)
    grown.set(this.#out.subarray(0, this.#end))
    this.#out = grown
  }
}

/** Length of the canonical head that begins with this byte. */
function stringHeadLength(initial = 0): number {
  const info = initial & 0x1f
  return info < 24 ? 1 : 1 + 2 ** (info - 24)
}
