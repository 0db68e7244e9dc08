import { peerIdToBytes } from '../../core/peer-id.ts'
import { addressOf, callOptions, threadIdOf } from '../decode.ts'
import type { AddReplicatorReply, AddReplicatorRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function addReplicator(request: AddReplicatorRequest, context: RpcContext): Promise<AddReplicatorReply> {
  const id = threadIdOf(request.threadID)
  const address = addressOf(request.addr)
  return { peerID: peerIdToBytes(await context.net.addReplicator(id, address, callOptions(context))) }
}
