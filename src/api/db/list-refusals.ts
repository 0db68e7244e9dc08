import { ThreadsError } from '../../core/errors.ts'
import { peerIdToBytes } from '../../core/peer-id.ts'
import type { Refusal } from '../../db/index.ts'
import { optionalBytesOf, pageLimitOf } from '../decode.ts'
import { int64 } from '../encode.ts'
import type * as pb from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

/** A record may name 10,000. */
const MAX_INSTANCES = 100

export async function listRefusals(
  request: pb.ListRefusalsRequest,
  context: RpcContext,
): Promise<pb.ListRefusalsReply> {
  const limit = pageLimitOf(request.limit)
  const before = optionalBytesOf(request.before)
  const after = optionalBytesOf(request.after)
  if (before !== undefined && after !== undefined) {
    throw new ThreadsError('INVALID_ARGUMENT', 'a page is before a position or after one')
  }
  const database = await openDatabase(request, context)
  const { signal } = context
  const refusals = await database.refusals({
    limit,
    signal,
    ...(before === undefined ? {} : { before }),
    ...(after === undefined ? {} : { after }),
  })
  return { refusals: refusals.map(refusalMessage) }
}

function refusalMessage({ logId, counter, recordId, documents, ...refusal }: Refusal): pb.Refusal {
  const { time, code, reason, position } = refusal
  return {
    logID: peerIdToBytes(logId),
    counter: int64(counter),
    recordID: recordId.bytes,
    time,
    code,
    reason,
    instances: documents.slice(0, MAX_INSTANCES).map(({ collection, id }) => ({
      collectionName: collection,
      instanceID: id,
    })),
    instanceCount: int64(documents.length),
    position,
  }
}
