import { callOptions, threadIdOf } from '../decode.ts'
import type { BackupReply, BackupRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function* backup(request: BackupRequest, context: RpcContext): AsyncGenerator<BackupReply> {
  const thread = request.threadID.length === 0 ? {} : { thread: threadIdOf(request.threadID) }
  const options = { ...callOptions(context), ...thread, known: request.known }
  for await (const frame of context.net.backup(options)) yield { frame }
}
