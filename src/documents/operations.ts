import type { AbortOptions } from '../core/abort.ts'
import { hasCode } from '../core/errors.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import type { ReaderDriver, WriterDriver } from './driver.ts'
import { encodeQuery, type Filter, type FindOptions } from './filter.ts'
import { LazyFind } from './find-result.ts'
import type { CollectionReader, CollectionWriter, FindResult, Identified, NewDocument, Stored } from './index.ts'
import { decodeDocument, encodeJson, listOf } from './json.ts'

/** Runs one call, no longer than its signal allows. */
export type Run = <Result>(call: () => Promise<Result>, options: AbortOptions) => Promise<Result>

export const untilAborted: Run = (call, { signal }) => (signal === undefined ? call() : unlessAborted(call, signal))

export class DocumentReader<T> implements CollectionReader<T> {
  readonly #driver: ReaderDriver
  readonly #run: Run

  constructor(driver: ReaderDriver, run: Run) {
    this.#driver = driver
    this.#run = run
  }

  get(id: string, options: AbortOptions = {}): Promise<Stored<T> | undefined> {
    return this.#run(async () => {
      try {
        return decodeDocument<T>(await this.#driver.get(id, options))
      } catch (error) {
        if (hasCode(error, 'INSTANCE_NOT_FOUND')) return undefined
        throw error
      }
    }, options)
  }

  has(ids: string | readonly string[], options: AbortOptions = {}): Promise<boolean> {
    return this.#run(() => this.#driver.has(listOf(ids), options), options)
  }

  find(filter?: Filter<T>, options: FindOptions<T> = {}): FindResult<T> {
    return new LazyFind<T>(() => this.#pages(filter ?? {}, options))
  }

  async *#pages(filter: object, options: FindOptions<T>): AsyncGenerator<readonly Uint8Array[]> {
    const pages = this.#driver.find(encodeQuery(filter, options), options)[Symbol.asyncIterator]()
    try {
      for (;;) {
        const page = await this.#run(() => pages.next(), options)
        if (page.done === true) return
        yield page.value
      }
    } finally {
      // Not awaited: where a page is still waited for, it would wait too.
      pages.return?.().catch(() => {})
    }
  }
}

export class DocumentWriter<T> extends DocumentReader<T> implements CollectionWriter<T> {
  readonly #driver: WriterDriver
  readonly #run: Run

  constructor(driver: WriterDriver, run: Run) {
    super(driver, run)
    this.#driver = driver
    this.#run = run
  }

  create(document: NewDocument<T>, options?: AbortOptions): Promise<string>
  create(documents: readonly NewDocument<T>[], options?: AbortOptions): Promise<string[]>
  create(
    documents: NewDocument<T> | readonly NewDocument<T>[],
    options: AbortOptions = {},
  ): Promise<string | string[] | undefined> {
    return this.#run(async () => {
      const ids = await this.#driver.create(listOf(documents).map(encodeJson), options)
      return Array.isArray(documents) ? ids : ids[0]
    }, options)
  }

  save(documents: Identified<T> | readonly Identified<T>[], options: AbortOptions = {}): Promise<void> {
    return this.#run(async () => this.#driver.save(listOf(documents).map(encodeJson), options), options)
  }

  verify(documents: Identified<T> | readonly Identified<T>[], options: AbortOptions = {}): Promise<void> {
    return this.#run(async () => this.#driver.verify(listOf(documents).map(encodeJson), options), options)
  }

  delete(ids: string | readonly string[], options: AbortOptions = {}): Promise<void> {
    return this.#run(() => this.#driver.delete(listOf(ids), options), options)
  }
}
