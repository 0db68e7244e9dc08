import { callOptions } from '../decode.ts'
import type { DeleteCollectionReply, DeleteCollectionRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function deleteCollection(
  request: DeleteCollectionRequest,
  context: RpcContext,
): Promise<DeleteCollectionReply> {
  const database = await openDatabase(request, context)
  await database.deleteCollection(request.name, callOptions(context))
  return {}
}
