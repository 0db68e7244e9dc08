import { ThreadsError } from '../../../core/errors.ts'
import type { PeerId } from '../../../core/peer-id.ts'
import type { Empty, PushLogRequest } from '../messages.ts'
import { checkServiceKey, type HandlerContext } from './context.ts'

/**
 * Takes a log, and with it the thread if the caller sends its key and this host keeps threads for others. The head is not
 * taken: the records are pulled from the caller.
 */
export async function pushLog(context: HandlerContext, request: PushLogRequest, caller: PeerId): Promise<Empty> {
  const { replica, hints } = context
  const { threadId, serviceKey, readKey } = request
  if (serviceKey === undefined) {
    if (!replica.isProven(threadId, caller)) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
  } else {
    if (replica.has(threadId)) checkServiceKey(context, request, caller)
    if (!replica.has(threadId) || readKey !== undefined) {
      await replica.adopt(threadId, { service: serviceKey, read: readKey }, caller)
    }
  }
  await replica.addLogs(threadId, [request.log], caller)
  hints.ahead({ peer: caller, threadId, logs: false, records: true, cause: { kind: 'push' } })
  return {}
}
