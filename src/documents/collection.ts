import type { AbortOptions } from '../core/abort.ts'
import type { CollectionDriver, DatabaseDriver } from './driver.ts'
import type { Collection, ListenFilter, PatchOperation, ReadTransaction, Updates, WriteTransaction } from './index.ts'
import { encodeJson } from './json.ts'
import { DocumentWriter, untilAborted } from './operations.ts'
import { OpenReadTransaction, OpenWriteTransaction } from './transaction.ts'
import { listen } from './updates.ts'

export class DocumentCollection<T> extends DocumentWriter<T> implements Collection<T> {
  readonly name: string
  readonly #database: DatabaseDriver
  readonly #driver: CollectionDriver

  constructor(database: DatabaseDriver, name: string) {
    const driver = database.collection(name)
    super(driver, untilAborted)
    this.name = name
    this.#database = database
    this.#driver = driver
  }

  patch(id: string, operations: readonly PatchOperation[], options: AbortOptions = {}): Promise<void> {
    return untilAborted(async () => this.#driver.patch(id, encodeJson(operations), options), options)
  }

  listen(filters: readonly Omit<ListenFilter, 'collection'>[] = [{}], options: AbortOptions = {}): Promise<Updates<T>> {
    return listen(
      this.#database,
      (filters.length === 0 ? [{}] : filters).map((filter) => ({ ...filter, collection: this.name })),
      options,
    )
  }

  async readTransaction(options: AbortOptions = {}): Promise<ReadTransaction<T>> {
    const driver = await startOf(() => this.#driver.readTransaction(options), options)
    return new OpenReadTransaction(driver, options)
  }

  async writeTransaction(options: AbortOptions = {}): Promise<WriteTransaction<T>> {
    const driver = await startOf(() => this.#driver.writeTransaction(options), options)
    return new OpenWriteTransaction(driver, options)
  }
}

/** A transaction that begins after its caller has given up is closed at once: it may hold a lock. */
async function startOf<Driver extends { close(): Promise<void> }>(
  start: () => Promise<Driver>,
  { signal }: AbortOptions,
): Promise<Driver> {
  let begun: Promise<Driver> | undefined
  try {
    return await untilAborted(() => (begun = start()), signal === undefined ? {} : { signal })
  } catch (error) {
    begun?.then((driver) => driver.close()).catch(() => {})
    throw error
  }
}
