import type { PeerId } from '../../../core/peer-id.ts'
import type { GetLogsReply, GetLogsRequest } from '../messages.ts'
import { checkServiceKey, type HandlerContext } from './context.ts'

/** All logs of a thread. */
export async function getLogs(context: HandlerContext, request: GetLogsRequest, caller: PeerId): Promise<GetLogsReply> {
  checkServiceKey(context, request, caller)
  return { logs: context.replica.logs(request.threadId), unreadable: 0 }
}
