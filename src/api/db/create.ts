import type { CollectionWriter } from '../../db/index.ts'
import type { CreateReply, CreateRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function create(request: CreateRequest, context: RpcContext): Promise<CreateReply> {
  return createIn(await openCollection(request, context), request)
}

export async function createIn(collection: CollectionWriter, request: CreateRequest): Promise<CreateReply> {
  return { instanceIDs: await collection.create(request.instances), transactionError: '' }
}
