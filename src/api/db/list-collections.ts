import { callOptions } from '../decode.ts'
import type { ListCollectionsReply, ListCollectionsRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { collectionInfoReply } from './get-collection-info.ts'
import { openDatabase } from './open.ts'

export async function listCollections(
  request: ListCollectionsRequest,
  context: RpcContext,
): Promise<ListCollectionsReply> {
  const database = await openDatabase(request, context)
  const infos = await database.listCollections(callOptions(context))
  return { collections: infos.map(collectionInfoReply) }
}
