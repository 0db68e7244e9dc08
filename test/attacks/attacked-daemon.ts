import { APIDefinition } from '../../src/api/gen/threads.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { newThreadId, threadIdToBytes } from '../../src/core/thread-id.ts'
import { RpcFailure, ServiceClient, type Transport } from '../support/grpc-client.ts'
import type { Attack } from './sandbox/attack.ts'

const rpc = APIDefinition.methods
const schema = utf8('{"properties":{"_id":{"type":"string"}}}')

/** A client of a daemon with a database whose collection has functions. */
export class AttackedDatabase {
  readonly #client: ServiceClient
  readonly #dbID = threadIdToBytes(newThreadId('raw', randomBytes))

  constructor(transport: Transport) {
    this.#client = new ServiceClient(transport, APIDefinition)
  }

  /** With the validator or filter of an attack, which is one only once it is called. */
  async make({ kind, source }: Pick<Attack, 'kind' | 'source'>): Promise<void> {
    const functions = kind === 'validator' ? { writeValidator: source } : { readFilter: source }
    await this.#client.unary(rpc.newDB, {
      dbID: this.#dbID,
      collections: [{ name: 'Things', schema, ...functions }],
    })
  }

  /** Answers the id, or why it was refused. */
  async create(instance: object = {}): Promise<string> {
    const request = { ...this.#place, instances: [utf8(JSON.stringify({ _id: '', ...instance }))] }
    return answerOf(async () => (await this.#client.unary(rpc.create, request)).instanceIDs.join())
  }

  /** Answers how many there are, or why it cannot be said. */
  async count(): Promise<string> {
    return answerOf(async () => {
      const reply = await this.#client.unary(rpc.find, { ...this.#place, queryJSON: utf8('{}') })
      return String(reply.instances.length)
    })
  }

  /** Whether there is one of an id that is not there: a read without a function of the collection. */
  async has(): Promise<boolean> {
    return (await this.#client.unary(rpc.has, { ...this.#place, instanceIDs: ['nobody'] })).exists
  }

  async listDatabases(): Promise<number> {
    return (await this.#client.unary(rpc.listDBs, {})).dbs.length
  }

  get #place(): { dbID: Uint8Array; collectionName: string } {
    return { dbID: this.#dbID, collectionName: 'Things' }
  }
}

async function answerOf(call: () => Promise<string>): Promise<string> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof RpcFailure) return `refused: ${error.message}`
    throw error
  }
}
