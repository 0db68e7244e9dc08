import { callOptions, threadIdOf } from '../decode.ts'
import type { DeleteThreadReply, DeleteThreadRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function deleteThread(request: DeleteThreadRequest, context: RpcContext): Promise<DeleteThreadReply> {
  const id = threadIdOf(request.threadID)
  await context.net.deleteThread(id, callOptions(context))
  return {}
}
