import type { AbortOptions } from '../core/abort.ts'
import { parseAddress } from '../core/address.ts'
import type { Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { newThreadId, parseThreadId, type ThreadId } from '../core/thread-id.ts'
import { parseThreadKey } from '../core/thread-key.ts'
import {
  type Client,
  DocumentDatabase,
  encodeConfig,
  type Database as TypedDatabase,
  type DatabaseInfo,
  type JoinDatabaseOptions,
  type NewDatabaseOptions,
} from '../documents/index.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import type { CallOptions, Databases, NewDbOptions } from './index.ts'
import { infoOf, LocalDriver } from './local-driver.ts'

export interface LocalClientOptions {
  /** Makes ids of new databases. */
  readonly random: Random
  /** Who reads and writes. Default: reads are anonymous, writes are the host's. */
  readonly identity?: Identity
}

/**
 * Typed databases of a host in this process: the interface of `threads-db/client`.
 *
 * @example
 * const client = localClient(databases, { random: randomBytes })
 * const db = await client.create({ name: 'zoo' })
 */
export function localClient(databases: Databases, options: LocalClientOptions): Client {
  return new LocalClient(databases, options)
}

type Signalled<Options> = Options & { signal: AbortSignal }

class LocalClient implements Client {
  readonly #databases: Databases
  readonly #options: LocalClientOptions
  readonly #closing = new AbortController()

  constructor(databases: Databases, options: LocalClientOptions) {
    this.#databases = databases
    this.#options = options
  }

  async create({ id, ...options }: NewDatabaseOptions = {}): Promise<TypedDatabase> {
    const threadId = id === undefined ? newThreadId('raw', this.#options.random) : parseThreadId(id)
    const newOptions = this.#newOptions(options)
    await unlessAborted(() => this.#databases.create(threadId, newOptions), newOptions.signal)
    return this.#open(threadId)
  }

  async join(address: string, { block = false, ...options }: JoinDatabaseOptions): Promise<TypedDatabase> {
    const joinOptions = { ...this.#newOptions(options), key: parseThreadKey(options.key), block }
    const to = parseAddress(address)
    const { id } = await unlessAborted(() => this.#databases.join(to, joinOptions), joinOptions.signal)
    return this.#open(id)
  }

  async get(id: string, options: AbortOptions = {}): Promise<TypedDatabase> {
    const callOptions = this.#callOptions(options)
    const threadId = parseThreadId(id)
    await unlessAborted(() => this.#databases.get(threadId, callOptions), callOptions.signal)
    return this.#open(threadId)
  }

  async list(options: AbortOptions = {}): Promise<DatabaseInfo[]> {
    const callOptions = this.#callOptions(options)
    const list = async () => {
      const databases = await this.#databases.list(callOptions)
      return Promise.all(databases.map(async (database) => infoOf(await database.info(callOptions))))
    }
    return unlessAborted(list, callOptions.signal)
  }

  async delete(id: string, options: AbortOptions = {}): Promise<void> {
    const callOptions = this.#callOptions(options)
    const threadId = parseThreadId(id)
    await unlessAborted(() => this.#databases.delete(threadId, callOptions), callOptions.signal)
  }

  async close(): Promise<void> {
    this.#closing.abort(new ThreadsError('CLOSED', 'the client is closed'))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(id: ThreadId): TypedDatabase {
    const open = (options: CallOptions) => this.#databases.get(id, options)
    return new DocumentDatabase(new LocalDriver({ id, open, callOptions: (options) => this.#callOptions(options) }))
  }

  #newOptions({ name, key, collections = [], signal }: Omit<NewDatabaseOptions, 'id'>): Signalled<NewDbOptions> {
    return {
      ...this.#callOptions(signal === undefined ? {} : { signal }),
      ...(name === undefined ? {} : { name }),
      ...(key === undefined ? {} : { key: parseThreadKey(key) }),
      collections: collections.map(encodeConfig),
    }
  }

  #callOptions({ signal }: AbortOptions): Signalled<CallOptions> {
    const { identity } = this.#options
    const closing = this.#closing.signal
    closing.throwIfAborted()
    return {
      caller: identity === undefined ? {} : { identity },
      signal: signal === undefined ? closing : AbortSignal.any([closing, signal]),
    }
  }
}
