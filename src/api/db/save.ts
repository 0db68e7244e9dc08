import type { CollectionWriter } from '../../db/index.ts'
import type { SaveReply, SaveRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function save(request: SaveRequest, context: RpcContext): Promise<SaveReply> {
  return saveIn(await openCollection(request, context), request)
}

export async function saveIn(collection: CollectionWriter, request: SaveRequest): Promise<SaveReply> {
  await collection.save(request.instances)
  return { transactionError: '' }
}
