import type { AbortOptions } from '../core/abort.ts'
import { ThreadsError } from '../core/errors.ts'
import type { ReadTransactionDriver, WriteTransactionDriver } from './driver.ts'
import type { ReadTransaction, WriteTransaction } from './index.ts'
import { DocumentReader, DocumentWriter, type Run, untilAborted } from './operations.ts'

/** The life of a transaction: it ends once, by its owner or by a signal. */
class Life {
  readonly #close: () => Promise<void>
  readonly #signal: AbortSignal | undefined
  #closed: Promise<void> | undefined

  constructor(driver: { close(): Promise<void> }, { signal }: AbortOptions) {
    this.#close = () => driver.close()
    this.#signal = signal
    signal?.addEventListener('abort', this.#onAbort, { once: true })
  }

  readonly run: Run = async (call, { signal }) => {
    this.#signal?.throwIfAborted()
    if (this.#closed !== undefined) throw new ThreadsError('TRANSACTION_CLOSED', 'the transaction has ended')
    const signals = [this.#signal, signal].filter((each) => each !== undefined)
    const either = AbortSignal.any(signals)
    try {
      return await untilAborted(call, { signal: either })
    } catch (error) {
      // What the host has made of the call is not known.
      if (either.aborted) this.#onAbort()
      throw error
    }
  }

  end(): Promise<void> {
    this.#signal?.removeEventListener('abort', this.#onAbort)
    this.#closed ??= this.#close()
    return this.#closed
  }

  readonly #onAbort = (): void => {
    this.end().catch(() => {})
  }
}

export class OpenReadTransaction<T> extends DocumentReader<T> implements ReadTransaction<T> {
  readonly #life: Life

  constructor(driver: ReadTransactionDriver, options: AbortOptions) {
    const life = new Life(driver, options)
    super(driver, life.run)
    this.#life = life
  }

  close(): Promise<void> {
    return this.#life.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

export class OpenWriteTransaction<T> extends DocumentWriter<T> implements WriteTransaction<T> {
  readonly #life: Life
  readonly #driver: WriteTransactionDriver

  constructor(driver: WriteTransactionDriver, options: AbortOptions) {
    const life = new Life(driver, options)
    super(driver, life.run)
    this.#life = life
    this.#driver = driver
  }

  async commit(): Promise<void> {
    await this.#life.run(() => this.#driver.commit(), {})
    await this.#life.end()
  }

  discard(): Promise<void> {
    return this.#life.end()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.discard()
  }
}
