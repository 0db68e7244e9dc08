import { ThreadsError } from '../../../core/errors.ts'
import type { PeerId } from '../../../core/peer-id.ts'
import { openRecord } from '../../../core/record.ts'
import type { Empty, PushRecordRequest } from '../messages.ts'
import type { HandlerContext } from './context.ts'

/** Takes one record. After a gap it is not taken, and what is missing is pulled from the caller. */
export async function pushRecord(context: HandlerContext, request: PushRecordRequest, caller: PeerId): Promise<Empty> {
  const { replica, hints } = context
  const { threadId, logId, record, counter } = request
  if (!belongs(context, request, caller)) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
  const log = replica.log(threadId, logId)
  if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
  hints.has(caller, threadId, { id: logId, counter: Math.min(counter, log.counter) })
  if (counter > 0 && counter <= log.counter) return {}
  const position = counter > 0 ? { firstCounter: counter } : {}
  const receipt = await replica.receive({ threadId, logId, records: [record], from: caller, ...position })
  if (receipt.gap) hints.ahead({ peer: caller, threadId, logs: false, records: true, cause: { kind: 'push' } })
  else hints.has(caller, threadId, { id: logId, counter: receipt.counter })
  return {}
}

/**
 * A caller not known to belong to the thread shows it by a record that the service key opens. Where records are also
 * published, such a record is taken, and shows no more than that.
 */
function belongs(
  { published = false, replica }: HandlerContext,
  { threadId, record }: PushRecordRequest,
  caller: PeerId,
): boolean {
  if (replica.isProven(threadId, caller)) return true
  const serviceKey = replica.serviceKey(threadId)
  if (serviceKey === undefined) return false
  try {
    openRecord(record.recordNode, serviceKey)
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
  if (!published) replica.prove(threadId, caller)
  return true
}
