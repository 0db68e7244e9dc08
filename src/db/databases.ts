import { type Address, threadIdOfAddress } from '../core/address.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Net } from '../net/index.ts'
import type { HostStore } from '../store/host-store.ts'
import { checkCollection, invalidName } from './collections.ts'
import { ThreadDatabase } from './database.ts'
import { newDefinition, readDefinition } from './definition.ts'
import { COLLECTION_NAME } from './fold/constants.ts'
import type { CallOptions, CollectionConfig, Databases, JoinDbOptions, NewDbOptions } from './index.ts'
import { type DbOptions, type ResolvedDbOptions, resolveDbOptions } from './options.ts'
import { createSandbox, type Sandbox } from './sandbox/index.ts'

export interface DbComponents {
  readonly net: Net
  readonly store: HostStore
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** What runs validators and read filters. Default: QuickJS on worker threads. It is closed with the databases. */
  readonly sandbox?: Sandbox
}

const DEFAULT_NAME = 'unnamed'

/** Opens the databases of a host. One that cannot be opened is logged and left out; the others serve. */
export async function createDb(components: DbComponents, options: DbOptions = {}): Promise<Databases> {
  const resolved = resolveDbOptions(options)
  const logger = components.logger.child('db')
  const { sandbox = createSandbox({ logger, clock: components.clock }) } = components
  const databases = new HostDatabases({ ...components, logger, sandbox }, resolved)
  await databases.open()
  return databases
}

interface HostDatabasesComponents extends DbComponents {
  readonly sandbox: Sandbox
}

class HostDatabases implements Databases {
  readonly #components: HostDatabasesComponents
  readonly #options: ResolvedDbOptions
  /** In order of creation. */
  readonly #databases = new Map<ThreadId, ThreadDatabase>()

  constructor(components: HostDatabasesComponents, options: ResolvedDbOptions) {
    this.#components = components
    this.#options = options
  }

  async open(): Promise<void> {
    const { net, logger } = this.#components
    for (const { id, appData } of net.ownedThreads()) {
      if (readDefinition(appData) === undefined) continue
      try {
        await this.#attach(id)
      } catch (error) {
        logger.error({ thread: id, error }, 'a database cannot be opened; it is not served')
      }
    }
  }

  async create(id: ThreadId, options: NewDbOptions = {}): Promise<ThreadDatabase> {
    await this.#check(id, options)
    const { key, logKey, caller } = options
    await this.#components.net.createThread(id, {
      appData: newDefinition(options.name ?? DEFAULT_NAME),
      ...(key === undefined ? {} : { key }),
      ...(logKey === undefined ? {} : { logKey }),
      ...(caller === undefined ? {} : { caller }),
    })
    return this.#attachWith(id, options.collections ?? [])
  }

  async join(address: Address, options: JoinDbOptions): Promise<ThreadDatabase> {
    const id = threadIdOfAddress(address)
    await this.#check(id, options)
    const { key, logKey, caller, signal } = options
    await this.#components.net.addThread(address, {
      key,
      appData: newDefinition(options.name ?? DEFAULT_NAME),
      ...(logKey === undefined ? {} : { logKey }),
      ...(caller === undefined ? {} : { caller }),
      ...(signal === undefined ? {} : { signal }),
    })
    const database = await this.#attachWith(id, options.collections ?? [])
    if (options.block === true) await this.#components.net.pullThread(id, signal === undefined ? {} : { signal })
    return database
  }

  async get(id: ThreadId, options: CallOptions = {}): Promise<ThreadDatabase> {
    await this.#components.net.getThread(id, options)
    const database = this.#databases.get(id)
    if (database === undefined) throw new ThreadsError('DB_NOT_FOUND', 'db not found')
    return database
  }

  async list(_options: CallOptions = {}): Promise<ThreadDatabase[]> {
    return [...this.#databases.values()]
  }

  async delete(id: ThreadId, options: CallOptions = {}): Promise<void> {
    const database = await this.get(id, options)
    this.#databases.delete(id)
    database.close()
    await this.#components.net.deleteThread(id, { ...options, owner: database.thread })
  }

  async close(): Promise<void> {
    for (const database of this.#databases.values()) database.close()
    this.#databases.clear()
    await this.#components.sandbox.close()
  }

  /** Checks everything that can be checked before anything is written. */
  async #check(id: ThreadId, options: NewDbOptions): Promise<void> {
    if (this.#databases.has(id)) throw new ThreadsError('DB_EXISTS', 'db already exists')
    if (options.name !== undefined && options.name !== '' && !COLLECTION_NAME.test(options.name)) throw invalidName()
    if (options.key !== undefined && options.key.read === undefined) {
      throw new ThreadsError('READ_KEY_REQUIRED', 'thread read key is required')
    }
    const definition = newDefinition(DEFAULT_NAME)
    const names = new Set<string>()
    for (const config of options.collections ?? []) {
      if (names.has(config.name)) throw new ThreadsError('COLLECTION_EXISTS', 'collection already registered')
      names.add(config.name)
      await checkCollection(config, { sandbox: this.#components.sandbox, definition, known: undefined })
    }
  }

  async #attachWith(id: ThreadId, collections: readonly CollectionConfig[]): Promise<ThreadDatabase> {
    const database = await this.#attach(id)
    for (const config of collections) await database.createCollection(config)
    return database
  }

  async #attach(id: ThreadId): Promise<ThreadDatabase> {
    const { store, ...shared } = this.#components
    const database = await shared.net.attach(id, (thread) => {
      const { reads } = store
      return new ThreadDatabase({ ...shared, thread, reads, options: this.#options })
    })
    this.#databases.set(id, database)
    await database.open()
    return database
  }
}
