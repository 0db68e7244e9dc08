/**
 * The components of keys as bytes: self-delimiting, and in the order of their values.
 *
 * Numbers up to 247 are one byte. Larger ones are a byte 247 + n and n bytes, most significant first.
 * Byte strings and texts end with 00 01; a 00 inside is written 00 FF, so that a prefix sorts before what it begins.
 * Texts are UTF-8, where a lone surrogate keeps its three bytes: two different strings never share a key.
 */
import { toHex } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'

const LARGEST_BYTE_NUMBER = 247
const TWO_32 = 2 ** 32
const MAX_UINT64 = 2n ** 64n - 1n

/** Bytes that any number fits in. */
export const MAX_NUMBER_BYTES = 9

/** Writes a non-negative integer up to 2^64 - 1 and returns the offset behind it. */
export function appendNumber(target: Uint8Array, offset: number, value: number | bigint): number {
  if (typeof value === 'number') {
    if (value >= 0 && value <= LARGEST_BYTE_NUMBER && Number.isInteger(value)) {
      target[offset] = value
      return offset + 1
    }
    if (!Number.isSafeInteger(value) || value < 0) throw new TypeError(`a key cannot hold the number ${value}`)
    return appendHalves(target, offset, [Math.floor(value / TWO_32), value % TWO_32])
  }
  if (value < 0n || value > MAX_UINT64) throw new TypeError(`a key cannot hold the number ${value}`)
  if (value <= BigInt(Number.MAX_SAFE_INTEGER)) return appendNumber(target, offset, Number(value))
  return appendHalves(target, offset, [Number(value >> 32n), Number(value & 0xffffffffn)])
}

function appendHalves(target: Uint8Array, offset: number, [high, low]: [number, number]): number {
  const length = high > 0 ? 4 + significantBytes(high) : significantBytes(low)
  target[offset] = LARGEST_BYTE_NUMBER + length
  for (let i = 0; i < length; i++) {
    const shift = length - 1 - i
    target[offset + 1 + i] = shift >= 4 ? high >>> ((shift - 4) * 8) : low >>> (shift * 8)
  }
  return offset + 1 + length
}

function significantBytes(uint32: number): number {
  return uint32 > 0xffffff ? 4 : uint32 > 0xffff ? 3 : uint32 > 0xff ? 2 : 1
}

/** Reads what {@link appendNumber} wrote. Numbers above 2^53 - 1 come as bigint. */
export function readNumber(key: Uint8Array, offset: number): { value: number | bigint; next: number } {
  const lead = key[offset]
  if (lead === undefined) throw malformedKey(key)
  if (lead <= LARGEST_BYTE_NUMBER) return { value: lead, next: offset + 1 }
  const length = lead - LARGEST_BYTE_NUMBER
  const next = offset + 1 + length
  if (next > key.length) throw malformedKey(key)
  let high = 0
  let low = 0
  for (let i = offset + 1; i < next; i++) {
    if (next - i > 4) high = high * 256 + (key[i] ?? 0)
    else low = low * 256 + (key[i] ?? 0)
  }
  const value = high * TWO_32 + low
  return { value: Number.isSafeInteger(value) ? value : (BigInt(high) << 32n) | BigInt(low), next }
}

/** Bytes that {@link appendEscaped} needs at most. */
export function escapedBound(value: string | Uint8Array): number {
  return value.length * (typeof value === 'string' ? 3 : 2) + 2
}

/** Writes a byte string, or a text as UTF-8, and returns the offset behind it. */
export function appendEscaped(target: Uint8Array, offset: number, value: string | Uint8Array): number {
  let end = typeof value === 'string' ? appendText(target, offset, value) : appendBytes(target, offset, value)
  target[end++] = 0
  target[end++] = 1
  return end
}

function appendBytes(target: Uint8Array, offset: number, bytes: Uint8Array): number {
  let end = offset
  for (const byte of bytes) {
    target[end++] = byte
    if (byte === 0) target[end++] = 0xff
  }
  return end
}

function appendText(target: Uint8Array, offset: number, text: string): number {
  let end = offset
  for (let i = 0; i < text.length; i++) {
    const code = text.codePointAt(i) ?? 0
    if (code < 0x80) {
      target[end++] = code
      if (code === 0) target[end++] = 0xff
    } else if (code < 0x800) {
      target[end++] = 0xc0 | (code >> 6)
      target[end++] = 0x80 | (code & 0x3f)
    } else if (code < 0x10000) {
      target[end++] = 0xe0 | (code >> 12)
      target[end++] = 0x80 | ((code >> 6) & 0x3f)
      target[end++] = 0x80 | (code & 0x3f)
    } else {
      target[end++] = 0xf0 | (code >> 18)
      target[end++] = 0x80 | ((code >> 12) & 0x3f)
      target[end++] = 0x80 | ((code >> 6) & 0x3f)
      target[end++] = 0x80 | (code & 0x3f)
      i++
    }
  }
  return end
}

/** Reads what {@link appendEscaped} wrote. The bytes may be a part of the key. */
export function readEscaped(key: Uint8Array, offset: number): { bytes: Uint8Array; next: number } {
  let escapes = 0
  let end = key.indexOf(0, offset)
  while (end !== -1 && key[end + 1] === 0xff) {
    escapes++
    end = key.indexOf(0, end + 2)
  }
  if (end === -1 || key[end + 1] !== 1) throw malformedKey(key)
  if (escapes === 0) return { bytes: key.subarray(offset, end), next: end + 2 }
  const bytes = new Uint8Array(end - offset - escapes)
  for (let from = offset, to = 0; from < end; from++, to++) {
    const byte = key[from] ?? 0
    bytes[to] = byte
    if (byte === 0) from++
  }
  return { bytes, next: end + 2 }
}

/** The text of bytes that {@link appendEscaped} made of a string: UTF-8 with lone surrogates. */
export function decodeText(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const lead = bytes[i] ?? 0
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    let code = length === 1 ? lead : lead & (0x7f >> length)
    for (let k = 1; k < length; k++) code = (code << 6) | ((bytes[i + k] ?? 0) & 0x3f)
    if (code > 0x10ffff) throw malformedKey(bytes)
    text += String.fromCodePoint(code)
    i += length
  }
  return text
}

export function malformedKey(key: Uint8Array): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', `the store holds a malformed key: ${toHex(key.subarray(0, 64))}`)
}
