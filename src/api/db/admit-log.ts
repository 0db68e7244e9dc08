import { callOptions, peerIdOf } from '../decode.ts'
import type { AdmitLogReply, AdmitLogRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function admitLog(request: AdmitLogRequest, context: RpcContext): Promise<AdmitLogReply> {
  const logId = peerIdOf(request.logID)
  const database = await openDatabase(request, context)
  await database.admit(logId, callOptions(context))
  return {}
}
