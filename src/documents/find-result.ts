import type { FindResult, Stored } from './index.ts'
import { decodeDocument } from './json.ts'

/** Documents of a query, which is asked when somebody wants them. */
export class LazyFind<T> implements FindResult<T> {
  readonly #pages: () => AsyncIterable<readonly Uint8Array[]>
  #all: Promise<Stored<T>[]> | undefined

  constructor(pages: () => AsyncIterable<readonly Uint8Array[]>) {
    this.#pages = pages
  }

  // oxlint-disable-next-line unicorn/no-thenable -- awaiting it is how it is used
  then<Result = Stored<T>[], Failure = never>(
    onfulfilled?: ((documents: Stored<T>[]) => Result | PromiseLike<Result>) | null,
    onrejected?: ((reason: unknown) => Failure | PromiseLike<Failure>) | null,
  ): Promise<Result | Failure> {
    this.#all ??= Array.fromAsync(this)
    return this.#all.then(onfulfilled, onrejected)
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Stored<T>, void, undefined> {
    for await (const page of this.#pages()) {
      for (const document of page) yield decodeDocument<T>(document)
    }
  }
}
