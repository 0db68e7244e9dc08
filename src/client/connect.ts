import { APIDefinition } from '../api/gen/threads.ts'
import type { AbortOptions } from '../core/abort.ts'
import { ThreadsError } from '../core/errors.ts'
import { decodeMultibase } from '../core/multibase.ts'
import { newThreadId, parseThreadId, type ThreadId, threadIdFromBytes, threadIdToBytes } from '../core/thread-id.ts'
import {
  type Client,
  type CollectionConfig,
  type Database,
  DocumentDatabase,
  type DatabaseInfo,
  encodeConfig,
  type JoinDatabaseOptions,
  type NewDatabaseOptions,
} from '../documents/index.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import { configMessage, infoOf } from './convert.ts'
import { RemoteDriver } from './driver.ts'
import type { IdentityKey } from './identity.ts'
import { randomBytes } from './platform.ts'
import { anonymous, Rpc } from './rpc.ts'
import { TokenAuthorization } from './token.ts'
import { WebTransport } from './web/transport.ts'

const rpcs = APIDefinition.methods

export interface ConnectOptions {
  /** Who calls: the daemon asks for a signature once. Default: nobody; then writes are the daemon's own. */
  readonly identity?: IdentityKey
}

/**
 * The databases of a daemon. Nothing is sent before the first call.
 *
 * @param address of the daemon's gRPC-Web port: `http://127.0.0.1:6007`. Throws INVALID_ADDRESS.
 * @example
 * const client = connect('http://127.0.0.1:6007', { identity: generateIdentityKey() })
 * const db = await client.create({ name: 'zoo' })
 */
export function connect(address: string, { identity }: ConnectOptions = {}): Client {
  const transport = new WebTransport(address)
  const authorization = identity === undefined ? anonymous : new TokenAuthorization(identity, transport)
  return new RemoteClient(new Rpc(APIDefinition, transport, authorization))
}

class RemoteClient implements Client {
  readonly #rpc: Rpc
  readonly #closing = new AbortController()

  constructor(rpc: Rpc) {
    this.#rpc = rpc
  }

  async create({ id, name = '', key, collections = [], ...options }: NewDatabaseOptions = {}): Promise<Database> {
    const threadId = id === undefined ? newThreadId('raw', randomBytes) : parseThreadId(id)
    const members = {
      dbID: threadIdToBytes(threadId),
      name,
      ...(key === undefined ? {} : { key: decodeMultibase(key, 'INVALID_KEY') }),
      collections: collections.map(messageOf),
    }
    await this.#call(options, (call) => this.#rpc.unary(rpcs.newDB, members, call))
    return this.#open(threadId)
  }

  async join(address: string, joining: JoinDatabaseOptions): Promise<Database> {
    const { key, name = '', collections = [], block = false, ...options } = joining
    const members = {
      address,
      key: decodeMultibase(key, 'INVALID_KEY'),
      name,
      collections: collections.map(messageOf),
      block,
    }
    const id = threadIdIn(address)
    await this.#call(options, (call) => this.#rpc.unary(rpcs.newDBFromAddr, members, call))
    return this.#open(id)
  }

  async get(id: string, options: AbortOptions = {}): Promise<Database> {
    const threadId = parseThreadId(id)
    const members = { dbID: threadIdToBytes(threadId) }
    await this.#call(options, (call) => this.#rpc.unary(rpcs.getDBInfo, members, call))
    return this.#open(threadId)
  }

  async list(options: AbortOptions = {}): Promise<DatabaseInfo[]> {
    const { dbs } = await this.#call(options, (call) => this.#rpc.unary(rpcs.listDBs, {}, call))
    return dbs.flatMap(({ dbID, info }) => (info === undefined ? [] : [infoOf(threadIdFromBytes(dbID), info)]))
  }

  async delete(id: string, options: AbortOptions = {}): Promise<void> {
    const members = { dbID: threadIdToBytes(parseThreadId(id)) }
    await this.#call(options, (call) => this.#rpc.unary(rpcs.deleteDB, members, call))
  }

  async close(): Promise<void> {
    this.#closing.abort(new ThreadsError('CLOSED', 'the client is closed'))
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #open(id: ThreadId): Database {
    const signalOf = (options: AbortOptions) => this.#signalOf(options)
    return new DocumentDatabase(new RemoteDriver({ id, rpc: this.#rpc, signalOf }))
  }

  #call<Reply>(options: AbortOptions, call: (options: AbortOptions) => Promise<Reply>): Promise<Reply> {
    const signal = this.#signalOf(options)
    return unlessAborted(() => call({ signal }), signal)
  }

  #signalOf({ signal }: AbortOptions): AbortSignal {
    const closing = this.#closing.signal
    closing.throwIfAborted()
    return signal === undefined ? closing : AbortSignal.any([closing, signal])
  }
}

function messageOf(config: CollectionConfig): ReturnType<typeof configMessage> {
  return configMessage(encodeConfig(config))
}

/** The daemon reads the address; here only the thread in it is of interest. Throws INVALID_ADDRESS. */
function threadIdIn(address: string): ThreadId {
  const [, id] = /\/thread\/([^/]+)/.exec(address) ?? []
  if (id === undefined) throw new ThreadsError('INVALID_ADDRESS', `${address} names no thread`)
  return parseThreadId(id)
}
