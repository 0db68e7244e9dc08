/** A priority queue: `pop` takes the item that compares lowest. Items must not change their order while inside. */
export class Heap<T> {
  readonly #items: T[] = []
  readonly #compare: (a: T, b: T) => number

  constructor(compare: (a: T, b: T) => number) {
    this.#compare = compare
  }

  peek(): T | undefined {
    return this.#items[0]
  }

  push(item: T): void {
    const items = this.#items
    let index = items.push(item) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (!this.#comesBefore(index, parent)) return
      this.#swap(index, parent)
      index = parent
    }
  }

  pop(): T | undefined {
    const items = this.#items
    this.#swap(0, items.length - 1)
    const lowest = items.pop()
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      let next = index
      if (this.#comesBefore(left, next)) next = left
      if (this.#comesBefore(left + 1, next)) next = left + 1
      if (next === index) return lowest
      this.#swap(index, next)
      index = next
    }
  }

  #comesBefore(a: number, b: number): boolean {
    const first = this.#items[a]
    const second = this.#items[b]
    return first !== undefined && second !== undefined && this.#compare(first, second) < 0
  }

  #swap(a: number, b: number): void {
    const items = this.#items
    const first = items[a]
    const second = items[b]
    if (first === undefined || second === undefined) return
    items[a] = second
    items[b] = first
  }
}
