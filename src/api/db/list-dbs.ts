import { threadIdToBytes } from '../../core/thread-id.ts'
import type { ListDBsReply, ListDBsRequest } from '../gen/threads.ts'
import { callOptions } from '../decode.ts'
import type { RpcContext } from '../service.ts'
import { dbInfoReply } from './get-db-info.ts'

/** Without databases nobody is asked who the caller is, as existing clients know it. */
export async function listDbs(_request: ListDBsRequest, context: RpcContext): Promise<ListDBsReply> {
  const databases = await context.databases.list({ signal: context.signal })
  const dbs = databases.map(async (database) => ({
    dbID: threadIdToBytes(database.id),
    info: dbInfoReply(await database.info(callOptions(context))),
  }))
  return { dbs: await Promise.all(dbs) }
}
