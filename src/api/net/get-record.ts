import { cidFromBytes } from '../../core/cbor.ts'
import { callOptions, threadIdOf } from '../decode.ts'
import { invalid } from '../errors.ts'
import type { GetRecordReply, GetRecordRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { recordMessage } from './record.ts'

export async function getRecord(request: GetRecordRequest, context: RpcContext): Promise<GetRecordReply> {
  const id = threadIdOf(request.threadID)
  const cid = invalid(() => cidFromBytes(request.recordID))
  const { blocks } = await context.net.getRecord(id, cid, callOptions(context))
  return { record: recordMessage(blocks) }
}
