import { ThreadsError } from '../../core/errors.ts'
import { addressOf, callOptions } from '../decode.ts'
import type { AddThreadRequest, ThreadInfoReply } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'
import { keysOf } from './keys.ts'
import { threadInfoReply } from './thread-info.ts'

export async function addThread(request: AddThreadRequest, context: RpcContext): Promise<ThreadInfoReply> {
  const address = addressOf(request.addr)
  const { key, ...logKey } = keysOf(request.keys)
  const options = callOptions(context)
  if (key === undefined) {
    throw new ThreadsError('SERVICE_KEY_REQUIRED', 'a service-key is required to add a thread')
  }
  return threadInfoReply(await context.net.addThread(address, { ...options, ...logKey, key }))
}
