import type { ThreadsError } from '../../core/errors.ts'

/** Messages that came and were not asked for yet. What is kept is told before the end. */
export class Inbox {
  readonly #messages: Uint8Array[] = []
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
    this.#messages.push(message)
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
    while (this.#messages.length === 0 && !this.#over) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const message = this.#messages.shift()
    if (message === undefined && this.#failure !== undefined) throw this.#failure
    this.#bytes -= message?.length ?? 0
    return message
  }
}
