import type { AbortOptions } from '../core/abort.ts'
import { DocumentCollection } from './collection.ts'
import type { DatabaseDriver } from './driver.ts'
import type {
  AnyDocument,
  Collection,
  CollectionConfig,
  CollectionInfo,
  Database,
  DatabaseInfo,
  DocumentOf,
  ListenFilter,
  Updates,
} from './index.ts'
import { untilAborted } from './operations.ts'
import { decodeConfig, encodeConfig } from './schema.ts'
import { listen } from './updates.ts'

/** A database of typed documents over one of bytes. */
export class DocumentDatabase implements Database {
  readonly id: string
  readonly #driver: DatabaseDriver

  constructor(driver: DatabaseDriver) {
    this.id = driver.id
    this.#driver = driver
  }

  info(options: AbortOptions = {}): Promise<DatabaseInfo> {
    return untilAborted(() => this.#driver.info(options), options)
  }

  async createCollection<const Schema>(
    config: CollectionConfig<Schema>,
    options: AbortOptions = {},
  ): Promise<Collection<DocumentOf<Schema>>> {
    await untilAborted(() => this.#driver.createCollection(encodeConfig(config), options), options)
    return this.collection(config)
  }

  updateCollection(config: CollectionConfig, options: AbortOptions = {}): Promise<void> {
    return untilAborted(async () => this.#driver.updateCollection(encodeConfig(config), options), options)
  }

  deleteCollection(name: string, options: AbortOptions = {}): Promise<void> {
    return untilAborted(() => this.#driver.deleteCollection(name, options), options)
  }

  listCollections(options: AbortOptions = {}): Promise<CollectionInfo[]> {
    return untilAborted(async () => (await this.#driver.listCollections(options)).map(decodeConfig), options)
  }

  collection<T = AnyDocument>(name: string): Collection<T>
  collection<const Schema>(config: CollectionConfig<Schema>): Collection<DocumentOf<Schema>>
  collection<T>(collection: string | { readonly name: string }): Collection<T> {
    return new DocumentCollection<T>(this.#driver, typeof collection === 'string' ? collection : collection.name)
  }

  listen(filters: readonly ListenFilter[] = [], options: AbortOptions = {}): Promise<Updates<AnyDocument>> {
    return listen(this.#driver, filters, options)
  }
}
