import { headsEdge } from '../../../core/edge.ts'
import type { LogId, PeerId } from '../../../core/peer-id.ts'
import type { RecordBlocks } from '../../../core/record.ts'
import type { ThreadId } from '../../../core/thread-id.ts'
import type { PeerLog } from '../../replica.ts'
import type { GetRecordsReply, GetRecordsRequest, LogOffset, LogRecords } from '../messages.ts'
import { checkServiceKey, type HandlerContext, type HandlerState } from './context.ts'

/** Ids, key, head and counter of a log, and the frame around them. */
const MAX_LOG_BYTES = 256

/** Records of one log that the caller lacks. */
interface Missing {
  readonly log: PeerLog
  /** Position after which to send. */
  readonly after: number
  readonly limit: number
}

/**
 * Records directly after the caller's, oldest first, up to the limits of a reply. The caller comes back for the rest.
 * (go-threads sends the newest instead and leaves a gap, which its receivers close by other means.)
 */
export async function getRecords(
  state: HandlerState,
  request: GetRecordsRequest,
  caller: PeerId,
): Promise<GetRecordsReply> {
  checkServiceKey(state, request, caller)
  const { replica, pageSizes } = state
  const { threadId } = request
  const offsets = new Map(request.logs.map((entry) => [entry.logId, entry]))
  const logs = replica.logs(threadId)
  learn(state, { caller, threadId, logs, offsets })
  const has = headsOf(offsets)
  if (has === replica.edges(threadId).heads) return { logs: [], unreadable: 0 }
  const missing: Missing[] = []
  for (const log of logs) {
    const lacks = await missingOf(state, threadId, { log, offset: offsets.get(log.id) })
    if (lacks !== undefined) missing.push(lacks)
  }
  const maxBytes = pageSizes.allowed(caller, threadId, has)
  const { entries, bytes } = await collect(state, missing, { threadId, maxBytes })
  if (entries.length > 0) pageSizes.sent(caller, threadId, { has, bytes })
  return { logs: entries, unreadable: 0 }
}

function headsOf(offsets: Map<LogId, LogOffset>): bigint {
  return headsEdge(
    [...offsets.values()].flatMap(({ logId, offset }) => (offset === undefined ? [] : { logId, head: offset })),
  )
}

async function missingOf(
  { replica, pullRecords }: HandlerContext,
  threadId: ThreadId,
  { log, offset: entry }: { log: PeerLog; offset: LogOffset | undefined },
): Promise<Missing | undefined> {
  const limit = entry === undefined ? pullRecords : entry.limit
  if (log.counter === 0 || limit <= 0) return undefined
  if (entry?.offset === undefined) return log.counter > (entry?.counter ?? 0) ? { log, after: 0, limit } : undefined
  if (entry.counter >= log.counter) return undefined
  const after = await replica.counterOf(threadId, log.id, entry.offset)
  // A record that is not here: of an old peer that does not count, it may be ahead of us. Else our chains part somewhere.
  if (after === undefined) return entry.counter === 0 ? undefined : { log, after: 0, limit }
  return after >= log.counter ? undefined : { log, after, limit }
}

/** Fills the reply, shortest log first, each with at most an even share of what is left: no log keeps others waiting. */
async function collect(
  { replica, pullRecords }: HandlerContext,
  missing: Missing[],
  { threadId, maxBytes }: { threadId: ThreadId; maxBytes: number },
): Promise<{ entries: LogRecords[]; bytes: number }> {
  missing.sort((a, b) => a.log.counter - a.after - (b.log.counter - b.after))
  const entries: LogRecords[] = []
  let bytes = maxBytes
  let count = pullRecords
  for (const [index, { log, after, limit }] of missing.entries()) {
    const waiting = missing.length - index
    const about = bytesAbout(log)
    const records = await replica.recordsAfter(threadId, log.id, {
      counter: after,
      maxRecords: Math.min(limit, Math.ceil(count / waiting)),
      maxBytes: Math.max(1, Math.ceil(bytes / waiting) - about),
    })
    const size = records.reduce((sum, record) => sum + bytesOf(record), about)
    const fits = size <= bytes || entries.length === 0
    if (records.length === 0 || !fits) continue
    entries.push({ logId: log.id, records, log })
    bytes -= size
    count -= records.length
    if (bytes <= 0 || count <= 0) break
  }
  return { entries, bytes: maxBytes - bytes }
}

/** At most what a reply says of a log besides its records; addresses are shorter in binary. */
function bytesAbout({ addresses }: PeerLog): number {
  return addresses.reduce((sum, address) => sum + address.length, MAX_LOG_BYTES)
}

function bytesOf({ recordNode, eventNode, headerNode, bodyNode }: RecordBlocks): number {
  return recordNode.length + eventNode.length + headerNode.length + bodyNode.length
}

/** What the caller asks for says what it has. */
function learn(
  { hints }: HandlerContext,
  asked: { caller: PeerId; threadId: ThreadId; logs: readonly PeerLog[]; offsets: Map<LogId, LogOffset> },
): void {
  const { caller, threadId, offsets } = asked
  const known = new Map(asked.logs.map((log) => [log.id, log]))
  let unknownLogs = false
  let newerRecords = false
  for (const { logId, counter } of offsets.values()) {
    const log = known.get(logId)
    if (log === undefined) unknownLogs = true
    else if (counter > log.counter) newerRecords = true
    else hints.has(caller, threadId, { id: logId, counter })
  }
  if (!unknownLogs && !newerRecords) return
  const cause = { kind: 'request' } as const
  hints.ahead({ peer: caller, threadId, logs: unknownLogs, records: newerRecords || unknownLogs, cause })
}
