import type { ReadTransaction } from '../../db/index.ts'
import { unlessAborted } from '../../util/unless-aborted.ts'
import { callOptions } from '../decode.ts'
import type { ReadTransactionReply, ReadTransactionRequest, StartTransactionRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'
import { answerRead, optionOf, startOf, unexpectedOption } from './transaction.ts'

const NAME = 'ReadTransactionRequest'

export async function* readTransaction(
  requests: AsyncIterable<ReadTransactionRequest>,
  context: RpcContext,
): AsyncGenerator<ReadTransactionReply> {
  const messages = requests[Symbol.asyncIterator]()
  const transaction = await begin(await startOf(NAME, messages, context), context)
  const nextMessage = () => unlessAborted(() => messages.next(), transaction.expired)
  try {
    for (let next = await nextMessage(); next.done !== true; next = await nextMessage()) {
      const option = optionOf(NAME, next.value)
      if (option.$case === 'startTransactionRequest') throw unexpectedOption(NAME, option)
      yield await answerRead(transaction, option, context)
    }
  } finally {
    await transaction.close()
  }
}

async function begin(start: StartTransactionRequest, context: RpcContext): Promise<ReadTransaction> {
  const database = await openDatabase(start, context)
  return database.readTransaction(start.collectionName, callOptions(context))
}
