import { status } from '@grpc/grpc-js'
import { ThreadsError } from '../../core/errors.ts'
import type { CollectionReader } from '../../db/index.ts'
import { RpcError, sendableText, transactionErrorOf } from '../errors.ts'
import {
  type FindByIDRequest,
  FindByIDReply,
  FindReply,
  type FindRequest,
  HasReply,
  type HasRequest,
  type ReadTransactionReply,
  type StartTransactionRequest,
} from '../gen/threads.ts'
import { inTime } from '../in-time.ts'
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

/**
 * The start with which a transaction must begin. It must come in the time for which a transaction may be idle. Throws
 * TRANSACTION_TIMEOUT.
 */
export async function startOf(
  name: TransactionRequestName,
  messages: AsyncIterator<{ option: Start | { readonly $case: string } | undefined }>,
  { clock, databases }: RpcContext,
): Promise<StartTransactionRequest> {
  const ms = databases.transactionIdleMs
  const text = `the transaction was not started for ${ms} ms; it is aborted`
  const late = (): ThreadsError => new ThreadsError('TRANSACTION_TIMEOUT', text)
  const first = await inTime(() => messages.next(), { clock, ms, late })
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

export async function answerRead(
  reader: CollectionReader,
  option: Read,
  context: RpcContext,
): Promise<ReadTransactionReply> {
  if (option.$case === 'hasRequest') return replyOf('hasReply', HasReply, hasIn(reader, option.value))
  if (option.$case === 'findRequest') return replyOf('findReply', FindReply, findIn(reader, option.value, context))
  return replyOf('findByIDReply', FindByIDReply, findByIdIn(reader, option.value))
}

/** A reply of a transaction. */
interface TransactionReply<Case extends string, Value> {
  option: { $case: Case; value: Value }
  threadsErrorCode: string
  threadsErrorHint: string
}

/** What an operation answers; if it failed, an empty reply that says why: the stream goes on. */
export async function replyOf<Case extends string, Value>(
  $case: Case,
  values: { create(members: { transactionError: string }): Value },
  operation: Promise<Value>,
): Promise<TransactionReply<Case, Value>> {
  try {
    return { option: { $case, value: await operation }, threadsErrorCode: '', threadsErrorHint: '' }
  } catch (error) {
    const { message, code, hint = '' } = transactionErrorOf(error)
    const value = values.create({ transactionError: message })
    return { option: { $case, value }, threadsErrorCode: code, threadsErrorHint: sendableText(hint) }
  }
}

function isStart(option: Start | { readonly $case: string }): option is Start {
  return option.$case === 'startTransactionRequest'
}
