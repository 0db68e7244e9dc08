/** Keeps the first items of an order, in no more than twice the memory they need. */
export class Ranking<T> {
  readonly #size: number
  readonly #compare: (a: T, b: T) => number
  #items: T[] = []

  /** `size` may be infinite. */
  constructor(size: number, compare: (a: T, b: T) => number) {
    this.#size = size
    this.#compare = compare
  }

  add(item: T): void {
    this.#items.push(item)
    if (this.#items.length > 2 * this.#size) this.#trim()
  }

  /** The last item that counts, once there are as many as wanted. Only items before it can still change the result. */
  get last(): T | undefined {
    if (this.#items.length < this.#size) return undefined
    this.#trim()
    return this.#items.at(-1)
  }

  sorted(): T[] {
    this.#trim()
    return this.#items
  }

  #trim(): void {
    this.#items.sort(this.#compare)
    if (this.#items.length > this.#size) this.#items.length = this.#size
  }
}
