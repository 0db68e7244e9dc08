import { EMPTY_BYTES } from '../../core/bytes.ts'
import { peerIdToBytes } from '../../core/peer-id.ts'
import type { WaitingRecord } from '../../db/index.ts'
import { optionalPeerIdOf, pageLimitOf } from '../decode.ts'
import { int64 } from '../encode.ts'
import type * as pb from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function listWaitingLogs(
  request: pb.ListWaitingLogsRequest,
  context: RpcContext,
): Promise<pb.ListWaitingLogsReply> {
  const limit = pageLimitOf(request.limit)
  const after = optionalPeerIdOf(request.after)
  const database = await openDatabase(request, context)
  const { signal } = context
  const logs = await database.waiting({ limit, signal, ...(after === undefined ? {} : { after }) })
  return { logs: logs.map(waitingLog) }
}

function waitingLog({ logId, counter, recordId, records, reason, sinceMs }: WaitingRecord): pb.WaitingLog {
  return {
    logID: peerIdToBytes(logId),
    counter: int64(counter),
    recordID: recordId?.bytes ?? EMPTY_BYTES,
    records: int64(records),
    reason: reason.kind,
    sinceMs: int64(sinceMs),
    untilMs: reason.kind === 'clock' ? int64(reason.untilMs) : 0n,
    skippable: 'alone' in reason && reason.alone,
  }
}
