import { type CollectionReader, parseQuery } from '../../db/index.ts'
import type { FindReply, FindRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function find(request: FindRequest, context: RpcContext): Promise<FindReply> {
  return findIn(await openCollection(request, context), request, context)
}

export async function findIn(
  collection: CollectionReader,
  request: FindRequest,
  context: RpcContext,
): Promise<FindReply> {
  const query = parseQuery(request.queryJSON)
  return { instances: await context.inTurn(() => collection.find(query)), transactionError: '' }
}
