import { peerIdToBytes } from '../../core/peer-id.ts'
import type { GetHostIDReply, GetHostIDRequest } from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

export async function getHostId(_request: GetHostIDRequest, context: RpcContext): Promise<GetHostIDReply> {
  return { peerID: peerIdToBytes(context.net.hostId) }
}
