import { callOptions, threadIdOf } from '../decode.ts'
import type { PullThreadReply, PullThreadRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function pullThread(request: PullThreadRequest, context: RpcContext): Promise<PullThreadReply> {
  const id = threadIdOf(request.threadID)
  await context.net.pullThread(id, callOptions(context))
  return {}
}
