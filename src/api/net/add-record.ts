import { ThreadsError } from '../../core/errors.ts'
import { peerIdFromBytes } from '../../core/peer-id.ts'
import { callOptions, threadIdOf } from '../decode.ts'
import { invalid } from '../errors.ts'
import type { AddRecordReply, AddRecordRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function addRecord(request: AddRecordRequest, context: RpcContext): Promise<AddRecordReply> {
  const id = threadIdOf(request.threadID)
  const logId = invalid(() => peerIdFromBytes(request.logID))
  if (request.record === undefined) throw new ThreadsError('INVALID_ARGUMENT', 'record is required')
  await context.net.addRecord(id, logId, request.record, callOptions(context))
  return {}
}
