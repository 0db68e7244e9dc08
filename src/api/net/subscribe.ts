import { anonymous } from '../../core/caller.ts'
import { threadIdOf } from '../decode.ts'
import type { NewRecordReply, SubscribeRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { newRecordReply } from './record.ts'

export async function* subscribe(request: SubscribeRequest, context: RpcContext): AsyncGenerator<NewRecordReply> {
  const threads = request.threadIDs.map(threadIdOf)
  // Who the caller is matters only for threads he names, as existing clients know it.
  const caller = context.token === '' || threads.length === 0 ? anonymous : context.caller
  const options = { caller, signal: context.signal, ...(threads.length === 0 ? {} : { threads }) }
  for await (const record of context.net.subscribe(options)) yield newRecordReply(record)
}
