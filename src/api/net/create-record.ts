import { canonicalise } from '../../core/cbor.ts'
import { callOptions, threadIdOf } from '../decode.ts'
import { invalid } from '../errors.ts'
import type { CreateRecordRequest, NewRecordReply } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { newRecordReply } from './record.ts'

export async function createRecord(request: CreateRecordRequest, context: RpcContext): Promise<NewRecordReply> {
  const id = threadIdOf(request.threadID)
  const body = invalid(() => canonicalise(request.body))
  return newRecordReply(await context.net.createRecord(id, body, callOptions(context)))
}
