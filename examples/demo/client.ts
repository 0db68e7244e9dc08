/** A gRPC client of the daemon, made from the published proto file as in any other language. */
import { join } from 'node:path'
import {
  type ClientReadableStream,
  credentials,
  loadPackageDefinition,
  type ServiceClientConstructor,
} from '@grpc/grpc-js'
import { loadSync } from '@grpc/proto-loader'

const PROTO = join(import.meta.dirname, '../../proto/threads.proto')
const MAX_REPLY_BYTES = 256 * 1024 * 1024

interface ThreadsPackage {
  threads: { pb: { API: ServiceClientConstructor } }
}

export interface Update {
  action: string
  instanceID: string
}

export interface Config {
  name: string
  schema: object
  indexes?: { path: string; unique?: boolean }[]
}

/** The calls that the demo needs. */
export class Client {
  readonly #stub: InstanceType<ServiceClientConstructor>

  constructor(address: string) {
    const loaded = loadPackageDefinition(loadSync(PROTO, { keepCase: true, enums: String, defaults: true }))
    const { API } = (loaded as unknown as ThreadsPackage).threads.pb
    this.#stub = new API(address, credentials.createInsecure(), { 'grpc.max_receive_message_length': MAX_REPLY_BYTES })
  }

  async newDb(dbID: Uint8Array, name: string, collections: Config[]): Promise<void> {
    await this.#call('NewDB', { dbID, name, collections: collections.map(encodeConfig) })
  }

  /** Joins a database of another daemon. */
  async joinDb(addr: Uint8Array, key: Uint8Array, collections: Config[]): Promise<void> {
    await this.#call('NewDBFromAddr', { addr, key, collections: collections.map(encodeConfig) })
  }

  info(dbID: Uint8Array): Promise<{ addrs: Uint8Array[]; key: Uint8Array }> {
    return this.#call('GetDBInfo', { dbID })
  }

  async create(dbID: Uint8Array, collectionName: string, documents: object[]): Promise<void> {
    await this.#call('Create', { dbID, collectionName, instances: documents.map(encodeJson) })
  }

  async save(dbID: Uint8Array, collectionName: string, documents: object[]): Promise<void> {
    await this.#call('Save', { dbID, collectionName, instances: documents.map(encodeJson) })
  }

  /** The stored documents as JSON texts. */
  async find(dbID: Uint8Array, collectionName: string, query: object): Promise<string[]> {
    const request = { dbID, collectionName, queryJSON: encodeJson(query) }
    const { instances } = await this.#call<{ instances: Uint8Array[] }>('Find', request)
    return instances.map((each) => Buffer.from(each).toString())
  }

  listen(dbID: Uint8Array, onUpdate: (update: Update) => void): { cancel: () => void } {
    const stream = this.#stub['Listen']?.({ dbID }) as ClientReadableStream<Update>
    stream.on('data', onUpdate)
    stream.on('error', () => {})
    return stream
  }

  close(): void {
    this.#stub.close()
  }

  #call<Reply>(method: string, request: object): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#stub[method]?.(request, (error: Error | null, reply: Reply & { transactionError?: string }) => {
        if (error !== null) reject(error)
        else if (reply.transactionError) reject(new Error(reply.transactionError))
        else resolve(reply)
      })
    })
  }
}

function encodeConfig({ name, schema, indexes = [] }: Config): object {
  return { name, schema: encodeJson(schema), indexes }
}

function encodeJson(value: object): Buffer {
  return Buffer.from(JSON.stringify(value))
}
