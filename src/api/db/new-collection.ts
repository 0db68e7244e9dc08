import { callOptions, collectionConfigOf } from '../decode.ts'
import type { NewCollectionReply, NewCollectionRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function newCollection(request: NewCollectionRequest, context: RpcContext): Promise<NewCollectionReply> {
  const database = await openDatabase(request, context)
  await database.createCollection(collectionConfigOf(request.config), callOptions(context))
  return {}
}
