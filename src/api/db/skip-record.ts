import { callOptions, cidOf, peerIdOf } from '../decode.ts'
import type { SkipRecordReply, SkipRecordRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function skipRecord(request: SkipRecordRequest, context: RpcContext): Promise<SkipRecordReply> {
  const logId = peerIdOf(request.logID)
  const recordId = cidOf(request.recordID)
  const database = await openDatabase(request, context)
  await database.skip(logId, recordId, callOptions(context))
  return {}
}
