import { callOptions, threadIdOf } from '../decode.ts'
import type { DeleteDBReply, DeleteDBRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'

export async function deleteDb(request: DeleteDBRequest, context: RpcContext): Promise<DeleteDBReply> {
  const id = threadIdOf(request.dbID)
  await context.databases.delete(id, callOptions(context))
  return {}
}
