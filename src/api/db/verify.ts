import type { CollectionWriter } from '../../db/index.ts'
import type { VerifyReply, VerifyRequest } from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openCollection } from './open.ts'

export async function verify(request: VerifyRequest, context: RpcContext): Promise<VerifyReply> {
  return verifyIn(await openCollection(request, context), request)
}

export async function verifyIn(collection: CollectionWriter, request: VerifyRequest): Promise<VerifyReply> {
  await collection.verify(request.instances)
  return { transactionError: '' }
}
