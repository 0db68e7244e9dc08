import { callOptions, threadIdOf } from '../decode.ts'
import type { GetThreadRequest, ThreadInfoReply } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { threadInfoReply } from './thread-info.ts'

export async function getThread(request: GetThreadRequest, context: RpcContext): Promise<ThreadInfoReply> {
  const id = threadIdOf(request.threadID)
  return threadInfoReply(await context.net.getThread(id, callOptions(context)))
}
