import type { CollectionWriter } from '../../db/index.ts'
import type { DeleteReply, DeleteRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function deleteInstances(request: DeleteRequest, context: RpcContext): Promise<DeleteReply> {
  return deleteIn(await openCollection(request, context), request)
}

export async function deleteIn(collection: CollectionWriter, request: DeleteRequest): Promise<DeleteReply> {
  await collection.delete(request.instanceIDs)
  return { transactionError: '' }
}
