import type { PeerId } from '../../../core/peer-id.ts'
import type { GetLogsReply, GetLogsRequest } from '../messages.ts'
import { checkServiceKey, type HandlerContext } from './context.ts'

/** All logs of a thread. */
export async function getLogs(context: HandlerContext, request: GetLogsRequest, caller: PeerId): Promise<GetLogsReply> {
  checkServiceKey(context, request, caller)
  const { replica } = context
  const { threadId } = request
  return { logs: replica.logs(threadId).map((log) => replica.attested(threadId, log)), unreadable: 0 }
}
