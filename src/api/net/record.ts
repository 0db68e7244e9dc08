import { peerIdToBytes } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import { threadIdToBytes } from '../../core/thread-id.ts'
import type { ThreadRecord } from '../../net/index.ts'
import type { NewRecordReply, Record } from '../gen/threadsnet.ts'

export function newRecordReply({ threadId, logId, blocks }: ThreadRecord): NewRecordReply {
  return { threadID: threadIdToBytes(threadId), logID: peerIdToBytes(logId), record: recordMessage(blocks) }
}

export function recordMessage({ recordNode, eventNode, headerNode, bodyNode }: RecordBlocks): Record {
  return { recordNode, eventNode, headerNode, bodyNode }
}
