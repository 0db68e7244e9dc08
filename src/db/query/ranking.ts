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

  sorted(): T[] {
    this.#trim()
    return this.#items
  }

  #trim(): void {
    this.#items.sort(this.#compare)
    if (this.#items.length > this.#size) this.#items.length = this.#size
  }
}
