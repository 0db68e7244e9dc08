/** Something in a store that is not as it must be. */
export interface Finding {
  /** Ids of the thread and the log, where it is of one. */
  readonly thread?: string
  readonly log?: string
  readonly counter?: number
  /** What is wrong, in a few words. */
  readonly what: string
}

/** What a verification found. Keeps the first of them; of the others it counts how many there are. */
export class Findings {
  readonly list: Finding[] = []
  readonly #max: number
  #count = 0

  constructor(options: { max: number }) {
    this.#max = options.max
  }

  get count(): number {
    return this.#count
  }

  /** How many are not kept. */
  get more(): number {
    return this.#count - this.list.length
  }

  add(finding: Finding): void {
    this.#count++
    if (this.list.length < this.#max) this.list.push(finding)
  }
}
