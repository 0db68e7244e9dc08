import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { ClientDuplexStream } from '@grpc/grpc-js'
import { Client, credentials } from '@grpc/grpc-js'
import { APIDefinition } from '../src/api/gen/threads.ts'
import { newThreadId, threadIdToBytes } from '../src/core/thread-id.ts'
import { COLLECTION, INDEX_PATH, SCHEMA } from './document.ts'
import type { Target, TargetDatabase } from './target.ts'

const { methods } = APIDefinition
const collections = [
  {
    name: COLLECTION,
    schema: Buffer.from(SCHEMA),
    indexes: [{ path: INDEX_PATH, unique: false }],
    writeValidator: '',
    readFilter: '',
  },
]

interface Codec<Message, Members> {
  encode(message: Message): { finish(): Uint8Array }
  decode(bytes: Uint8Array): Message
  fromPartial(members: Members): Message
}

interface Method<Request, Members, Reply> {
  readonly name: string
  readonly requestType: Codec<Request, Members>
  readonly responseType: Codec<Reply, never>
}

export interface ApiTarget extends Target {
  /** A database that is there. */
  open(id: Uint8Array): TargetDatabase
}

/** Any daemon with the API of go-threads. */
export function connect(address: string, pid: number): ApiTarget {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  })
  const api = new Api(client)
  const open = (id: Uint8Array): TargetDatabase => new ApiDatabase(api, id)
  return {
    name: 'gRPC',
    pid,
    open,
    async newDatabase() {
      const dbID = threadIdToBytes(newThreadId('raw', randomBytes))
      await api.unary(methods.newDB, { dbID, collections })
      return open(dbID)
    },
    async join({ address: addr, key }) {
      await api.unary(methods.newDBFromAddr, { addr, key, collections })
      return open(addr.subarray(-THREAD_ID_BYTES))
    },
    async [Symbol.asyncDispose]() {
      client.close()
    },
  }
}

/** The last component of an address is the thread: version, variant and 32 random bytes. */
const THREAD_ID_BYTES = threadIdToBytes(newThreadId('raw', randomBytes)).length

class Api {
  readonly #client: Client

  constructor(client: Client) {
    this.#client = client
  }

  unary<Request, Members, Reply>(method: Method<Request, Members, Reply>, members: Members): Promise<Reply> {
    const { requestType, responseType } = method
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        pathOf(method),
        (request: Request) => Buffer.from(requestType.encode(request).finish()),
        (bytes: Buffer) => responseType.decode(bytes),
        requestType.fromPartial(members),
        (error, reply) => {
          const reason = error ?? failureOf(reply)
          if (reply === undefined || reason !== undefined) reject(reason ?? new Error('no reply'))
          else resolve(reply)
        },
      )
    })
  }

  bidi<Request, Members, Reply>(method: Method<Request, Members, Reply>): ClientDuplexStream<Members, Reply> {
    const { requestType, responseType } = method
    return this.#client.makeBidiStreamRequest(
      pathOf(method),
      (members: Members) => Buffer.from(requestType.encode(requestType.fromPartial(members)).finish()),
      (bytes: Buffer) => responseType.decode(bytes),
    )
  }
}

/** go-threads answers some errors as replies. */
function failureOf(reply: unknown): Error | undefined {
  const { transactionError } = reply as { transactionError?: string }
  return transactionError ? new Error(transactionError) : undefined
}

function pathOf({ name }: { readonly name: string }): string {
  return `/${APIDefinition.fullName}/${name}`
}

class ApiDatabase implements TargetDatabase {
  readonly id: Uint8Array
  readonly #api: Api
  readonly #place: { dbID: Uint8Array; collectionName: string }

  constructor(api: Api, id: Uint8Array) {
    this.id = id
    this.#api = api
    this.#place = { dbID: id, collectionName: COLLECTION }
  }

  async create(instances: readonly Uint8Array[]): Promise<void> {
    await this.#api.unary(methods.create, { ...this.#place, instances: [...instances] })
  }

  async save(instances: readonly Uint8Array[]): Promise<void> {
    await this.#api.unary(methods.save, { ...this.#place, instances: [...instances] })
  }

  async delete(instanceIDs: readonly string[]): Promise<void> {
    await this.#api.unary(methods.delete, { ...this.#place, instanceIDs: [...instanceIDs] })
  }

  async get(instanceID: string): Promise<Uint8Array> {
    return (await this.#api.unary(methods.findByID, { ...this.#place, instanceID })).instance
  }

  async find(queryJSON: Uint8Array): Promise<readonly Uint8Array[]> {
    return (await this.#api.unary(methods.find, { ...this.#place, queryJSON })).instances
  }

  async transaction(documents: readonly Uint8Array[]): Promise<void> {
    const stream = this.#api.bidi(methods.writeTransaction)
    const failed = once(stream, 'error').then(([error]) => Promise.reject(error))
    failed.catch(() => {})
    const answered = async (): Promise<unknown> => Promise.race([once(stream, 'data'), failed])
    stream.write({ option: { $case: 'startTransactionRequest', value: this.#place } })
    for (const document of documents) {
      stream.write({ option: { $case: 'saveRequest', value: { ...this.#place, instances: [document] } } })
      await answered()
    }
    const ended = once(stream, 'end')
    stream.end()
    stream.resume()
    await Promise.race([ended, failed])
  }

  async *listen(signal: AbortSignal): AsyncGenerator<Uint8Array> {
    const stream = this.#api.bidi(methods.listen)
    signal.addEventListener('abort', () => stream.cancel(), { once: true })
    stream.write({ dbID: this.#place.dbID, filters: [] })
    stream.end()
    try {
      for await (const { instance } of stream) yield instance
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async invitation(): Promise<{ address: Uint8Array; key: Uint8Array }> {
    const { addrs, key } = await this.#api.unary(methods.getDBInfo, { dbID: this.#place.dbID })
    const [address] = addrs
    if (address === undefined) throw new Error('the host has no address')
    return { address, key }
  }
}
