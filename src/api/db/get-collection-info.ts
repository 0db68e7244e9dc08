import { utf8 } from '../../core/bytes.ts'
import type { CollectionInfo } from '../../db/index.ts'
import { callOptions } from '../decode.ts'
import type { GetCollectionInfoReply, GetCollectionInfoRequest, Index } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function getCollectionInfo(
  request: GetCollectionInfoRequest,
  context: RpcContext,
): Promise<GetCollectionInfoReply> {
  const database = await openDatabase(request, context)
  return collectionInfoReply(await database.collectionInfo(request.name, callOptions(context)))
}

export function collectionInfoReply(info: CollectionInfo): GetCollectionInfoReply {
  const { name, schema, writeValidator, readFilter } = info
  return { name, schema: utf8(schema), indexes: indexReplies(info), writeValidator, readFilter }
}

export function indexReplies({ indexes }: CollectionInfo): Index[] {
  return indexes.map(({ path, unique = false }) => ({ path, unique }))
}
