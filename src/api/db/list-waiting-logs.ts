import { EMPTY_BYTES, textOfUtf8, utf8 } from '../../core/bytes.ts'
import { peerIdToBytes } from '../../core/peer-id.ts'
import type { WaitingRecord } from '../../db/index.ts'
import { optionalBytesOf, pageLimitOf } from '../decode.ts'
import { int64 } from '../encode.ts'
import type * as pb from '../gen/threads.ts'
import type { RpcContext } from '../service.ts'
import { openDatabase } from './open.ts'

export async function listWaitingLogs(
  request: pb.ListWaitingLogsRequest,
  context: RpcContext,
): Promise<pb.ListWaitingLogsReply> {
  const limit = pageLimitOf(request.limit)
  const after = optionalBytesOf(request.after)
  const database = await openDatabase(request, context)
  const { signal } = context
  const logs = await database.waiting({ limit, signal, ...(after === undefined ? {} : { after: textOfUtf8(after) }) })
  return { logs: logs.map(waitingLog) }
}

function waitingLog({ logId, counter, recordId, records, ...wait }: WaitingRecord): pb.WaitingLog {
  const { reason, sinceMs, position } = wait
  return {
    logID: peerIdToBytes(logId),
    counter: int64(counter),
    recordID: recordId?.bytes ?? EMPTY_BYTES,
    records: int64(records),
    reason: reason.kind,
    sinceMs: int64(sinceMs),
    untilMs: reason.kind === 'clock' ? int64(reason.untilMs) : 0n,
    skippable: 'alone' in reason && reason.alone,
    position: utf8(position),
  }
}
