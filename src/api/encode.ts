/** A whole number for a field of 64 bits. Times in ms may come with a fraction: they are rounded up. */
export function int64(value: number): bigint {
  return BigInt(Math.ceil(value))
}
