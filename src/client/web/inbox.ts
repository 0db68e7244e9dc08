import type { ThreadsError } from '../../core/errors.ts'

/** Messages that came and were not asked for yet. What is kept is told before the end. */
export class Inbox {
  #arrived: Uint8Array[] = []
  /** Those that arrived before, the next one last: to take from the front of a long list is slow. */
  #next: Uint8Array[] = []
  #bytes = 0
  #over = false
  #failure: ThreadsError | undefined
  #wake: () => void = () => {}

  /** Of the messages kept. */
  get bytes(): number {
    return this.#bytes
  }

  push(message: Uint8Array): void {
    if (this.#over) return
    this.#arrived.push(message)
    this.#bytes += message.length
    this.#wake()
  }

  /** Nothing more comes. The first call counts. */
  end(failure?: ThreadsError): void {
    if (this.#over) return
    this.#over = true
    this.#failure = failure
    this.#wake()
  }

  /** For one caller at a time. */
  async next(): Promise<Uint8Array | undefined> {
    while (this.#next.length === 0 && this.#arrived.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    if (this.#next.length === 0) {
      this.#next = this.#arrived.toReversed()
      this.#arrived = []
    }
    const message = this.#next.pop()
    if (message === undefined && this.#failure !== undefined) throw this.#failure
    this.#bytes -= message?.length ?? 0
    return message
  }
}
