import type { CollectionReader } from '../../db/index.ts'
import type { FindByIDReply, FindByIDRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function findById(request: FindByIDRequest, context: RpcContext): Promise<FindByIDReply> {
  return findByIdIn(await openCollection(request, context), request)
}

export async function findByIdIn(collection: CollectionReader, request: FindByIDRequest): Promise<FindByIDReply> {
  return { instance: await collection.findById(request.instanceID), transactionError: '' }
}
