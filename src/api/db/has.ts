import type { CollectionReader } from '../../db/index.ts'
import type { HasReply, HasRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function has(request: HasRequest, context: RpcContext): Promise<HasReply> {
  return hasIn(await openCollection(request, context), request)
}

export async function hasIn(collection: CollectionReader, request: HasRequest): Promise<HasReply> {
  return { exists: await collection.has(request.instanceIDs), transactionError: '' }
}
