import { status } from '@grpc/grpc-js'
import type { CollectionReader } from '../../db/index.ts'
import { RpcError, transactionErrorOf } from '../errors.ts'
import {
  type FindByIDRequest,
  FindByIDReply,
  FindReply,
  type FindRequest,
  HasReply,
  type HasRequest,
  type StartTransactionRequest,
} from '../gen/threads.ts'
import { endOfRequests, type RpcContext } from '../service.ts'
import { findIn } from './find.ts'
import { findByIdIn } from './find-by-id.ts'
import { hasIn } from './has.ts'

/** Names a request message in the texts of errors. */
export type TransactionRequestName = 'ReadTransactionRequest' | 'WriteTransactionRequest'

type Start = { readonly $case: 'startTransactionRequest'; readonly value: StartTransactionRequest }

type Read =
  | { readonly $case: 'hasRequest'; readonly value: HasRequest }
  | { readonly $case: 'findRequest'; readonly value: FindRequest }
  | { readonly $case: 'findByIDRequest'; readonly value: FindByIDRequest }

type ReadReply =
  | { $case: 'hasReply'; value: HasReply }
  | { $case: 'findReply'; value: FindReply }
  | { $case: 'findByIDReply'; value: FindByIDReply }

/** The start with which a transaction must begin. */
export function startOf(
  name: TransactionRequestName,
  first: IteratorResult<{ option: Start | { readonly $case: string } | undefined }>,
): StartTransactionRequest {
  if (first.done === true) throw endOfRequests()
  const option = optionOf(name, first.value)
  if (!isStart(option)) throw unexpectedOption(name, option)
  return option.value
}

export function optionOf<Option>(name: TransactionRequestName, message: { option: Option | undefined }): Option {
  if (message.option === undefined) throw new RpcError(status.UNKNOWN, `no ${name} type set`)
  return message.option
}

export function unexpectedOption(name: TransactionRequestName, { $case }: { readonly $case: string }): RpcError {
  const type = `*threads_pb.${name.replace('Request', '')}Request_${$case.charAt(0).toUpperCase()}${$case.slice(1)}`
  return new RpcError(status.UNKNOWN, `${name}.Option has unexpected type ${type}`)
}

export async function answerRead(reader: CollectionReader, option: Read, context: RpcContext): Promise<ReadReply> {
  if (option.$case === 'hasRequest') {
    return { $case: 'hasReply', value: await replyOf(HasReply, hasIn(reader, option.value)) }
  }
  if (option.$case === 'findRequest') {
    return { $case: 'findReply', value: await replyOf(FindReply, findIn(reader, option.value, context)) }
  }
  return { $case: 'findByIDReply', value: await replyOf(FindByIDReply, findByIdIn(reader, option.value)) }
}

/** What an operation answers; if it failed, an empty reply with the text of the failure: the stream goes on. */
export async function replyOf<Reply>(
  replies: { create(members: { transactionError: string }): Reply },
  operation: Promise<Reply>,
): Promise<Reply> {
  try {
    return await operation
  } catch (error) {
    return replies.create({ transactionError: transactionErrorOf(error) })
  }
}

function isStart(option: Start | { readonly $case: string }): option is Start {
  return option.$case === 'startTransactionRequest'
}
