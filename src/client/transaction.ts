import {
  APIDefinition,
  type CreateReply,
  type DeleteReply,
  type FindByIDReply,
  type FindReply,
  type HasReply,
  type ReadTransactionReply,
  type ReadTransactionRequest,
  type SaveReply,
  type StartTransactionRequest,
  type VerifyReply,
  type WriteTransactionReply,
  type WriteTransactionRequest,
} from '../api/gen/threads.ts'
import type { AbortOptions } from '../core/abort.ts'
import { ThreadsError } from '../core/errors.ts'
import type { ReadTransactionDriver, WriterDriver, WriteTransactionDriver } from '../documents/index.ts'
import { Mutex } from '../util/mutex.ts'
import { refusal } from './failure.ts'
import type { Rpc, RpcStream } from './rpc.ts'

type ReadOption = NonNullable<ReadTransactionRequest['option']>
type WriteOption = NonNullable<WriteTransactionRequest['option']>
type Reply = ReadTransactionReply | WriteTransactionReply

interface ReplyValues {
  readonly createReply: CreateReply
  readonly saveReply: SaveReply
  readonly verifyReply: VerifyReply
  readonly deleteReply: DeleteReply
  readonly hasReply: HasReply
  readonly findReply: FindReply
  readonly findByIDReply: FindByIDReply
}

/** Members of requests that the start has said for all of them. */
const SAID = { dbID: new Uint8Array(), collectionName: '' }

/** Requests and replies of one transaction, one after the other. */
class Exchange<Option> {
  readonly #stream: RpcStream<{ option: Option }, Reply>
  readonly #turn = new Mutex()

  constructor(stream: RpcStream<{ option: Option }, Reply>) {
    this.#stream = stream
  }

  /** What is in the reply of this case. Throws why the operation failed, or the whole transaction. */
  ask<Case extends keyof ReplyValues>(option: Option, $case: Case): Promise<ReplyValues[Case]> {
    return this.#turn.run(async () => {
      this.#stream.send({ option })
      const reply = await this.#stream.receive()
      if (reply === undefined) throw new ThreadsError('TRANSACTION_CLOSED', 'the daemon has ended the transaction')
      if (reply.option?.$case !== $case) throw new ThreadsError('BAD_MESSAGE', `the daemon did not send ${$case}`)
      const value = reply.option.value as ReplyValues[Case]
      const { threadsErrorCode: code, threadsErrorHint: hint } = reply
      if (value.transactionError === '') return value
      throw refusal({ text: value.transactionError, code, ...(hint === '' ? {} : { hint }) })
    })
  }

  /** Says that nothing more is asked, and waits until the host is done. */
  finish(): Promise<void> {
    return this.#turn.run(async () => {
      this.#stream.halfClose()
      await this.#stream.receive()
    })
  }

  cancel(): void {
    this.#stream.cancel()
  }
}

export async function readTransaction(
  rpc: Rpc,
  start: StartTransactionRequest,
  options: AbortOptions,
): Promise<ReadTransactionDriver> {
  const stream = await rpc.open(APIDefinition.methods.readTransaction, options)
  stream.send({ option: { $case: 'startTransactionRequest', value: start } })
  const exchange = new Exchange<ReadOption>(stream)
  await begun(exchange)
  return { ...readsOf(exchange), close: async () => exchange.cancel() }
}

export async function writeTransaction(
  rpc: Rpc,
  start: StartTransactionRequest,
  options: AbortOptions,
): Promise<WriteTransactionDriver> {
  const stream = await rpc.open(APIDefinition.methods.writeTransaction, options)
  stream.send({ option: { $case: 'startTransactionRequest', value: start } })
  const exchange = new Exchange<WriteOption>(stream)
  await begun(exchange)
  return {
    ...readsOf(exchange),
    async create(instances) {
      const value = { ...SAID, instances: [...instances] }
      return (await exchange.ask({ $case: 'createRequest', value }, 'createReply')).instanceIDs
    },
    async save(instances) {
      await exchange.ask({ $case: 'saveRequest', value: { ...SAID, instances: [...instances] } }, 'saveReply')
    },
    async verify(instances) {
      await exchange.ask({ $case: 'verifyRequest', value: { ...SAID, instances: [...instances] } }, 'verifyReply')
    },
    async delete(ids) {
      await exchange.ask({ $case: 'deleteRequest', value: { ...SAID, instanceIDs: [...ids] } }, 'deleteReply')
    },
    commit: () => exchange.finish(),
    close: async () => exchange.cancel(),
  }
}

/** Waits until the transaction has begun. A start alone is not answered, so the host is asked whether it has nothing. */
async function begun(exchange: Exchange<ReadOption>): Promise<void> {
  try {
    await exchange.ask({ $case: 'hasRequest', value: { ...SAID, instanceIDs: [] } }, 'hasReply')
  } catch (error) {
    exchange.cancel()
    throw error
  }
}

function readsOf(exchange: Exchange<ReadOption>): Pick<WriterDriver, 'get' | 'has' | 'find'> {
  return {
    async get(instanceID) {
      const value = { ...SAID, instanceID }
      return (await exchange.ask({ $case: 'findByIDRequest', value }, 'findByIDReply')).instance
    },
    async has(ids) {
      const value = { ...SAID, instanceIDs: [...ids] }
      return (await exchange.ask({ $case: 'hasRequest', value }, 'hasReply')).exists
    },
    async *find(queryJSON) {
      const value = { ...SAID, queryJSON }
      yield (await exchange.ask({ $case: 'findRequest', value }, 'findReply')).instances
    },
  }
}
