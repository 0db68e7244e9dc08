/** Unsigned LEB128 as protobuf and multiformats use it. Non-minimal forms are read, as the Go libraries read them. */

export interface Varint {
  readonly value: bigint
  /** Offset of the byte after it. */
  readonly end: number
}

/** The varint at `offset`; 'short' if the bytes end before it does, 'long' if it is over 64 bits. */
export function readVarint(bytes: Uint8Array, offset: number): Varint | 'short' | 'long' {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[offset + i]
    if (byte === undefined) return 'short'
    if (i === 9 && byte > 1) return 'long'
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) return { value, end: offset + i + 1 }
  }
  return 'long'
}

/** Minimal varint of a number below 2^32. */
export function encodeVarint(value: number): Uint8Array {
  const bytes: number[] = []
  let rest = value
  while (rest >= 0x80) {
    bytes.push((rest & 0x7f) | 0x80)
    rest >>>= 7
  }
  bytes.push(rest)
  return Uint8Array.from(bytes)
}
