import { callOptions } from '../decode.ts'
import type { ResetClockReply, ResetClockRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function resetClock(request: ResetClockRequest, context: RpcContext): Promise<ResetClockReply> {
  const database = await openDatabase(request, context)
  await database.resetClock(callOptions(context))
  return {}
}
