import { callOptions, collectionConfigOf } from '../decode.ts'
import type { UpdateCollectionReply, UpdateCollectionRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function updateCollection(
  request: UpdateCollectionRequest,
  context: RpcContext,
): Promise<UpdateCollectionReply> {
  const database = await openDatabase(request, context)
  await database.updateCollection(collectionConfigOf(request.config), callOptions(context))
  return {}
}
