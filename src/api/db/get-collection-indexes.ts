import { callOptions } from '../decode.ts'
import type { GetCollectionIndexesReply, GetCollectionIndexesRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { indexReplies } from './get-collection-info.ts'
import { openDatabase } from './open.ts'

export async function getCollectionIndexes(
  request: GetCollectionIndexesRequest,
  context: RpcContext,
): Promise<GetCollectionIndexesReply> {
  const database = await openDatabase(request, context)
  return { indexes: indexReplies(await database.collectionInfo(request.name, callOptions(context))) }
}
