import { APIDefinition as DbDefinition } from '../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../src/api/gen/threadsnet.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { identityOf } from '../../src/core/identity.ts'
import { generateKey } from '../../src/core/keys.ts'
import { newThreadId, threadIdToBytes } from '../../src/core/thread-id.ts'
import { type OpenOptions, type RpcCall, RpcFailure, ServiceClient, type Transport } from './grpc-client.ts'

const rpc = DbDefinition.methods
const netRpc = NetDefinition.methods
const COLLECTION = 'Dog'
const schema = utf8('{"properties":{"_id":{"type":"string"}}}')

/** A client of a database of dogs, whose calls can be left open. */
export class DogClient {
  readonly dbID: Uint8Array
  readonly #db: ServiceClient
  readonly #net: ServiceClient

  constructor(transport: Transport, dbID: Uint8Array) {
    this.dbID = dbID
    this.#db = new ServiceClient(transport, DbDefinition)
    this.#net = new ServiceClient(transport, NetDefinition)
  }

  /** With a new database. */
  static async create(transport: Transport): Promise<DogClient> {
    const client = new DogClient(transport, threadIdToBytes(newThreadId('raw', randomBytes)))
    await client.#db.unary(rpc.newDB, { dbID: client.dbID, collections: [{ name: COLLECTION, schema }] })
    return client
  }

  /** Without an id a new one is made. */
  async create(id = '', options?: OpenOptions): Promise<void> {
    await this.#db.unary(rpc.create, { ...this.#dogs, instances: [dog(id)] }, options)
  }

  async createLarge(id: string, bytes: number): Promise<void> {
    const instances = [utf8(JSON.stringify({ _id: id, text: 'x'.repeat(bytes) }))]
    await this.#db.unary(rpc.create, { ...this.#dogs, instances })
  }

  async has(id: string): Promise<boolean> {
    return (await this.#db.unary(rpc.has, { ...this.#dogs, instanceIDs: [id] })).exists
  }

  async token(): Promise<string> {
    const key = generateKey(randomBytes)
    const conversation = this.#db.open(rpc.getToken)
    conversation.send({ payload: { $case: 'key', value: identityOf(key.publicKey) } })
    const challenge = await conversation.receive()
    if (challenge?.payload?.$case !== 'challenge') throw new RpcFailure(await conversation.call.status)
    conversation.send({ payload: { $case: 'signature', value: key.sign(challenge.payload.value) } })
    const token = await conversation.receive()
    if (token?.payload?.$case !== 'token') throw new RpcFailure(await conversation.call.status)
    await conversation.end()
    return token.payload.value
  }

  /** A call that waits for the signature of its challenge. */
  async getToken(options?: OpenOptions): Promise<RpcCall> {
    const conversation = this.#db.open(rpc.getToken, options)
    conversation.send({ payload: { $case: 'key', value: identityOf(generateKey(randomBytes).publicKey) } })
    await conversation.receive()
    return conversation.call
  }

  /** The same of the other service. */
  async getNetToken(options?: OpenOptions): Promise<RpcCall> {
    const conversation = this.#net.open(netRpc.getToken, options)
    conversation.send({ payload: { $case: 'key', value: identityOf(generateKey(randomBytes).publicKey) } })
    await conversation.receive()
    return conversation.call
  }

  /** A transaction that has read. */
  async readTransaction(options?: OpenOptions): Promise<RpcCall> {
    const conversation = this.#db.open(rpc.readTransaction, options)
    conversation.send({ option: { $case: 'startTransactionRequest', value: this.#dogs } })
    conversation.send({ option: { $case: 'hasRequest', value: { instanceIDs: ['rex'] } } })
    await conversation.receive()
    return conversation.call
  }

  /** A transaction that is to create a dog and may still wait for its turn: the reply to the creation tells. */
  beginWrite(id: string, options?: OpenOptions): RpcCall {
    const conversation = this.#db.open(rpc.writeTransaction, options)
    conversation.send({ option: { $case: 'startTransactionRequest', value: this.#dogs } })
    conversation.send({ option: { $case: 'createRequest', value: { instances: [dog(id)] } } })
    return conversation.call
  }

  /** A transaction that has its turn and has created a dog. */
  async writeTransaction(id: string, options?: OpenOptions): Promise<RpcCall> {
    const call = this.beginWrite(id, options)
    await call.receive()
    return call
  }

  /** A listener that has heard of a dog. */
  listen(options?: OpenOptions): Promise<RpcCall> {
    const conversation = this.#db.open(rpc.listen, options)
    conversation.send({ dbID: this.dbID })
    return this.#heard(conversation.call)
  }

  /** A subscriber that has heard of a record. */
  subscribe(options?: OpenOptions): Promise<RpcCall> {
    const conversation = this.#net.open(netRpc.subscribe, options)
    conversation.send({ threadIDs: [this.dbID] })
    return this.#heard(conversation.call)
  }

  get #dogs(): { dbID: Uint8Array; collectionName: string } {
    return { dbID: this.dbID, collectionName: COLLECTION }
  }

  /** When a call has begun to listen cannot be seen: so write until it tells of it. */
  async #heard(call: RpcCall): Promise<RpcCall> {
    call.halfClose()
    const heard = call.receive().then(() => true)
    while (!(await Promise.race([heard, this.create().then(() => false)])));
    return call
  }
}

function dog(id: string): Uint8Array {
  return utf8(JSON.stringify({ _id: id }))
}
