import { utf8 } from '../src/core/bytes.ts'
import type { Random } from '../src/core/clock.ts'
import { sha256 } from '../src/core/crypto.ts'

/** Random numbers that follow from a seed (sfc32). */
export class SeededRandom {
  readonly #seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: string) {
    const digest = sha256(utf8(seed))
    const words = new DataView(digest.buffer, digest.byteOffset)
    this.#seed = seed
    this.#a = words.getInt32(0)
    this.#b = words.getInt32(4)
    this.#c = words.getInt32(8)
  }

  /** Another source, which takes nothing from this one. */
  fork(name: string): SeededRandom {
    return new SeededRandom(`${this.#seed}/${name}`)
  }

  readonly bytes: Random = (length) => Uint8Array.from({ length }, () => this.#next() & 0xff)

  /** From 0 up to, not including, 1. */
  unit(): number {
    return (this.#next() >>> 0) / 2 ** 32
  }

  /** An integer, both ends included. */
  between(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1))
  }

  chance(probability: number): boolean {
    return this.unit() < probability
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.between(0, list.length - 1)]
    if (picked === undefined) throw new RangeError('nothing to pick from')
    return picked
  }

  #next(): number {
    const sum = (this.#a + this.#b + this.#counter++) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum
  }
}
