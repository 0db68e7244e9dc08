import type { AbortOptions } from '../core/abort.ts'
import type { ThreadId } from '../core/thread-id.ts'
import { threadKeyToString } from '../core/thread-key.ts'
import type {
  CollectionDriver,
  DatabaseDriver,
  DatabaseInfo,
  DriverConfig,
  DriverUpdate,
  ListenFilter,
  WriterDriver,
} from '../documents/index.ts'
import type {
  CallOptions,
  Collection,
  CollectionReader,
  CollectionWriter,
  Database,
  DbInfo,
  ReadTransaction,
  WriteTransaction,
} from './index.ts'
import { parseQuery } from './query/parse.ts'

export interface LocalDriverComponents {
  readonly id: ThreadId
  /** Throws DB_NOT_FOUND once the database is deleted. */
  open(options: CallOptions): Promise<Database>
  /** Who calls, with a signal that also aborts when the client closes. Throws CLOSED. */
  callOptions(options: AbortOptions): CallOptions & { readonly signal: AbortSignal }
}

/** A database of this process, in the eyes of one caller. */
export class LocalDriver implements DatabaseDriver {
  readonly id: ThreadId
  readonly #components: LocalDriverComponents

  constructor(components: LocalDriverComponents) {
    this.id = components.id
    this.#components = components
  }

  info(options: AbortOptions): Promise<DatabaseInfo> {
    return this.#call(options, async (database, call) => infoOf(await database.info(call)))
  }

  createCollection(config: DriverConfig, options: AbortOptions): Promise<void> {
    return this.#call(options, (database, call) => database.createCollection(config, call))
  }

  updateCollection(config: DriverConfig, options: AbortOptions): Promise<void> {
    return this.#call(options, (database, call) => database.updateCollection(config, call))
  }

  deleteCollection(name: string, options: AbortOptions): Promise<void> {
    return this.#call(options, (database, call) => database.deleteCollection(name, call))
  }

  listCollections(options: AbortOptions): Promise<readonly DriverConfig[]> {
    return this.#call(options, async (database, call) => {
      const collections = await database.listCollections(call)
      return collections.map((info) => ({
        ...info,
        indexes: info.indexes.map(({ path, unique = false }) => ({ path, unique })),
      }))
    })
  }

  collection(name: string): CollectionDriver {
    const use: Use<Collection> = (options, work) =>
      this.#call(options, (database, call) => work(database.collection(name, call)))
    return {
      ...operationsOf(use),
      patch: (id, operations, options) => use(options, (collection) => collection.patch(id, operations)),
      readTransaction: (options) =>
        this.#call(options, async (database, call) => {
          const transaction = await database.readTransaction(name, call)
          return { ...readsOf(only(transaction)), close: closing(transaction, call.signal) }
        }),
      writeTransaction: (options) =>
        this.#call(options, async (database, call) => {
          const transaction = await database.writeTransaction(name, call)
          return {
            ...operationsOf(only(transaction)),
            commit: () => transaction.commit(),
            close: closing(transaction, call.signal),
          }
        }),
    }
  }

  listen(filters: readonly ListenFilter[], options: AbortOptions): Promise<AsyncIterable<DriverUpdate>> {
    return this.#call(options, async (database, call) => database.listen(filters, call))
  }

  async #call<Result>(
    options: AbortOptions,
    work: (database: Database, call: CallOptions & { readonly signal: AbortSignal }) => Promise<Result>,
  ): Promise<Result> {
    const call = this.#components.callOptions(options)
    return work(await this.#components.open(call), call)
  }
}

export function infoOf({ id, name, key, addresses }: DbInfo): DatabaseInfo {
  return { id, name, key: threadKeyToString(key), addresses }
}

/** Who gives a collection or transaction to work on, at each call. */
type Use<Target> = <Result>(options: AbortOptions, work: (target: Target) => Promise<Result>) => Promise<Result>

function operationsOf(use: Use<CollectionWriter>): WriterDriver {
  return {
    ...readsOf(use),
    create: (documents, options) => use(options, (target) => target.create(documents)),
    save: (documents, options) => use(options, (target) => target.save(documents)),
    verify: (documents, options) => use(options, (target) => target.verify(documents)),
    delete: (ids, options) => use(options, (target) => target.delete(ids)),
  }
}

function readsOf(use: Use<CollectionReader>): Pick<WriterDriver, 'get' | 'has' | 'find'> {
  return {
    get: (id, options) => use(options, (target) => target.findById(id)),
    has: (ids, options) => use(options, (target) => target.has(ids)),
    async *find(query, options) {
      yield await use(options, (target) => target.find(parseQuery(query)))
    },
  }
}

function only<Target>(target: Target): Use<Target> {
  return (_options, work) => work(target)
}

/** Closes a transaction, also when its caller gives up or the client closes. */
function closing(transaction: ReadTransaction | WriteTransaction, signal: AbortSignal): () => Promise<void> {
  const onAbort = () => void transaction.close().catch(() => {})
  signal.addEventListener('abort', onAbort, { once: true })
  return () => {
    signal.removeEventListener('abort', onAbort)
    return transaction.close()
  }
}
