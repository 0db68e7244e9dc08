import type { CallAccount } from './call-ledger.ts'

export interface RequestQueueOptions {
  /** Bytes that may wait; from there on `onFull` asks the sender to stop. A message counts with what it takes itself. */
  readonly maxBytes: number
  /** Where what waits counts. */
  readonly account: Pick<CallAccount, 'add'>
  onFull(): void
  /** Everything was taken. */
  onEmpty(): void
}

/** What a message takes besides its bytes: empty ones must not be free. */
export const MESSAGE_OVERHEAD_BYTES = 128

/** Messages on their way from a transport that pushes to a handler that pulls. For one reader. */
export class RequestQueue implements AsyncIterable<Uint8Array> {
  readonly #options: RequestQueueOptions
  readonly #messages: Uint8Array[] = []
  #bytes = 0
  #outcome: 'open' | 'ended' | { readonly error: unknown } = 'open'
  #wake: () => void = () => {}

  constructor(options: RequestQueueOptions) {
    this.#options = options
  }

  push(message: Uint8Array): void {
    if (this.#outcome !== 'open') return
    this.#messages.push(message)
    this.#count(message.length + MESSAGE_OVERHEAD_BYTES)
    if (this.#bytes >= this.#options.maxBytes) this.#options.onFull()
    this.#wake()
  }

  /** The reader ends after what was pushed. */
  end(): void {
    if (this.#outcome === 'open') this.#outcome = 'ended'
    this.#wake()
  }

  /** The reader throws at once: what still waits is dropped. The first failure counts. */
  fail(error: unknown): void {
    if (typeof this.#outcome === 'object') return
    this.#outcome = { error }
    this.#messages.length = 0
    this.#count(-this.#bytes)
    this.#wake()
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    this.#options.account.add(bytes)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#messages.shift()
      if (message !== undefined) {
        this.#count(-(message.length + MESSAGE_OVERHEAD_BYTES))
        if (this.#bytes === 0) this.#options.onEmpty()
        yield message
      } else if (this.#outcome === 'ended') {
        return
      } else if (this.#outcome !== 'open') {
        throw this.#outcome.error
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
  }
}
