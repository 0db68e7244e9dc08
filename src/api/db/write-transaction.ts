import type { WriteTransaction } from '../../db/index.ts'
import { unlessAborted } from '../../util/unless-aborted.ts'
import { callOptions } from '../decode.ts'
import {
  CreateReply,
  DeleteReply,
  SaveReply,
  type StartTransactionRequest,
  VerifyReply,
  WriteTransactionReply,
  type WriteTransactionRequest,
} from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { createIn } from './create.ts'
import { deleteIn } from './delete.ts'
import { openDatabase } from './open.ts'
import { saveIn } from './save.ts'
import { answerRead, optionOf, replyOf, startOf, unexpectedOption } from './transaction.ts'
import { verifyIn } from './verify.ts'

const NAME = 'WriteTransactionRequest'

/** Commits when the caller half-closes, and only then. */
export async function* writeTransaction(
  requests: AsyncIterable<WriteTransactionRequest>,
  context: RpcContext,
): AsyncGenerator<WriteTransactionReply> {
  const messages = requests[Symbol.asyncIterator]()
  const transaction = await begin(await startOf(NAME, messages, context), context)
  const nextMessage = () => unlessAborted(() => messages.next(), transaction.expired)
  try {
    for (let next = await nextMessage(); next.done !== true; next = await nextMessage()) {
      yield await answer(transaction, optionOf(NAME, next.value), context)
    }
    await transaction.commit()
  } finally {
    await transaction.close()
  }
}

async function begin(start: StartTransactionRequest, context: RpcContext): Promise<WriteTransaction> {
  const database = await openDatabase(start, context)
  return database.writeTransaction(start.collectionName, callOptions(context))
}

async function answer(
  transaction: WriteTransaction,
  option: NonNullable<WriteTransactionRequest['option']>,
  context: RpcContext,
): Promise<WriteTransactionReply> {
  switch (option.$case) {
    case 'startTransactionRequest':
      throw unexpectedOption(NAME, option)
    case 'createRequest':
      return replyOf('createReply', CreateReply, createIn(transaction, option.value))
    case 'saveRequest':
      return replyOf('saveReply', SaveReply, saveIn(transaction, option.value))
    case 'verifyRequest':
      return replyOf('verifyReply', VerifyReply, verifyIn(transaction, option.value))
    case 'deleteRequest':
      return replyOf('deleteReply', DeleteReply, deleteIn(transaction, option.value))
    case 'discardRequest':
      transaction.discard()
      return WriteTransactionReply.create({ option: { $case: 'discardReply', value: {} } })
    case 'hasRequest':
    case 'findRequest':
    case 'findByIDRequest':
      break
  }
  return answerRead(transaction, option, context)
}
