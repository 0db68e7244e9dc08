import { callOptions, threadIdOf } from '../decode.ts'
import type { CreateThreadRequest, ThreadInfoReply } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { keysOf } from './keys.ts'
import { threadInfoReply } from './thread-info.ts'

export async function createThread(request: CreateThreadRequest, context: RpcContext): Promise<ThreadInfoReply> {
  const id = threadIdOf(request.threadID)
  const keys = keysOf(request.keys)
  return threadInfoReply(await context.net.createThread(id, { ...keys, ...callOptions(context) }))
}
