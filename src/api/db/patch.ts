import type { PatchReply, PatchRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function patch(request: PatchRequest, context: RpcContext): Promise<PatchReply> {
  const collection = await openCollection(request, context)
  await collection.patch(request.instanceID, request.operations)
  return {}
}
