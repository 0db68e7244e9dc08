import { APIDefinition } from '../api/gen/threads.ts'
import type { AbortOptions } from '../core/abort.ts'
import { type ThreadId, threadIdToBytes } from '../core/thread-id.ts'
import type {
  CollectionDriver,
  DatabaseDriver,
  DatabaseInfo,
  DriverConfig,
  DriverUpdate,
  ListenFilter,
} from '../documents/index.ts'
import { configMessage, configOf, filterMessage, infoOf } from './convert.ts'
import { listen } from './listen.ts'
import { type Rpc, withGoodToken } from './rpc.ts'
import { readTransaction, writeTransaction } from './transaction.ts'

const rpcs = APIDefinition.methods

export interface RemoteDriverComponents {
  readonly id: ThreadId
  readonly rpc: Rpc
  /** The signal of a call and that of the client. Throws CLOSED. */
  readonly signalOf: (options: AbortOptions) => AbortSignal
}

/** A database of a daemon. */
export class RemoteDriver implements DatabaseDriver {
  readonly id: ThreadId
  readonly #rpc: Rpc
  readonly #signalOf: (options: AbortOptions) => AbortSignal
  readonly #dbID: Uint8Array

  constructor({ id, rpc, signalOf }: RemoteDriverComponents) {
    this.id = id
    this.#rpc = rpc
    this.#signalOf = signalOf
    this.#dbID = threadIdToBytes(id)
  }

  async info(options: AbortOptions): Promise<DatabaseInfo> {
    return infoOf(this.id, await this.#rpc.unary(rpcs.getDBInfo, { dbID: this.#dbID }, this.#with(options)))
  }

  async createCollection(config: DriverConfig, options: AbortOptions): Promise<void> {
    const members = { dbID: this.#dbID, config: configMessage(config) }
    await this.#rpc.unary(rpcs.newCollection, members, this.#with(options))
  }

  async updateCollection(config: DriverConfig, options: AbortOptions): Promise<void> {
    const members = { dbID: this.#dbID, config: configMessage(config) }
    await this.#rpc.unary(rpcs.updateCollection, members, this.#with(options))
  }

  async deleteCollection(name: string, options: AbortOptions): Promise<void> {
    await this.#rpc.unary(rpcs.deleteCollection, { dbID: this.#dbID, name }, this.#with(options))
  }

  async listCollections(options: AbortOptions): Promise<readonly DriverConfig[]> {
    const reply = await this.#rpc.unary(rpcs.listCollections, { dbID: this.#dbID }, this.#with(options))
    return reply.collections.map(configOf)
  }

  collection(collectionName: string): CollectionDriver {
    const place = { dbID: this.#dbID, collectionName }
    const rpc = this.#rpc
    return {
      get: async (instanceID, options) =>
        (await rpc.unary(rpcs.findByID, { ...place, instanceID }, this.#with(options))).instance,
      has: async (ids, options) =>
        (await rpc.unary(rpcs.has, { ...place, instanceIDs: [...ids] }, this.#with(options))).exists,
      find: (queryJSON, options) => this.#find({ ...place, queryJSON }, options),
      create: async (instances, options) =>
        (await rpc.unary(rpcs.create, { ...place, instances: [...instances] }, this.#with(options))).instanceIDs,
      save: async (instances, options) =>
        void (await rpc.unary(rpcs.save, { ...place, instances: [...instances] }, this.#with(options))),
      verify: async (instances, options) =>
        void (await rpc.unary(rpcs.verify, { ...place, instances: [...instances] }, this.#with(options))),
      delete: async (ids, options) =>
        void (await rpc.unary(rpcs.delete, { ...place, instanceIDs: [...ids] }, this.#with(options))),
      patch: async (instanceID, operations, options) =>
        void (await rpc.unary(rpcs.patch, { ...place, instanceID, operations }, this.#with(options))),
      readTransaction: (options) => withGoodToken(async () => readTransaction(rpc, place, this.#with(options))),
      writeTransaction: (options) => withGoodToken(async () => writeTransaction(rpc, place, this.#with(options))),
    }
  }

  async listen(filters: readonly ListenFilter[], options: AbortOptions): Promise<AsyncIterable<DriverUpdate>> {
    const listening = { rpc: this.#rpc, dbID: this.#dbID, filters: filters.map(filterMessage) }
    return withGoodToken(async () => listen(listening, this.#signalOf(options)))
  }

  async *#find(
    request: { dbID: Uint8Array; collectionName: string; queryJSON: Uint8Array },
    options: AbortOptions,
  ): AsyncGenerator<readonly Uint8Array[]> {
    for await (const { instances } of this.#rpc.replies(rpcs.findStream, request, this.#with(options))) yield instances
  }

  #with(options: AbortOptions): AbortOptions {
    return { signal: this.#signalOf(options) }
  }
}
