import type { LogId, PeerId } from '../../../core/peer-id.ts'
import type { ThreadId } from '../../../core/thread-id.ts'
import type { ChainStatus, PeerLog } from '../../replica.ts'
import type { GetRecordsReply, LogOffset } from '../messages.ts'
import type { HandlerContext } from './context.ts'
import { addParted, collect, type Entry, lackOf, type Missing, replyOf } from './get-records.ts'

/** Of one frame with records: two of them fit into what a host takes ahead. One record alone may be larger. */
const PAGE_BYTES: number = 480 * 1024
const PAGE_RECORDS = 1_000

export interface WantedRecords {
  readonly threadId: ThreadId
  /** Others are not sent. */
  readonly logs: readonly LogOffset[]
}

/**
 * Answers a want: records directly after those of a caller who belongs to the thread, oldest first, page after page until
 * nothing is missing or the limits that the caller gave are reached. Last it tells of the heads of chains of which it is
 * not known what the caller lacks.
 */
export async function* answerWant(
  context: HandlerContext,
  { threadId, logs }: WantedRecords,
  caller: PeerId,
): AsyncGenerator<GetRecordsReply> {
  const { replica, hints } = context
  const parted = new Map<PeerLog, readonly ChainStatus[]>()
  let missing: Missing[] = []
  for (const offset of logs) {
    const log = replica.log(threadId, offset.logId)
    if (log === undefined) continue
    if (offset.counter <= log.counter) hints.has(caller, threadId, { id: offset.logId, counter: offset.counter })
    const lack = await lackOf(context, threadId, { log, offset })
    missing.push(...lack.missing)
    if (lack.parted.length > 0) parted.set(log, lack.parted)
  }
  while (missing.length > 0) {
    const limits = { threadId, maxBytes: PAGE_BYTES }
    const { entries, counts } = await collect({ replica, pullRecords: PAGE_RECORDS }, missing, limits)
    if (counts.size === 0) break
    yield replyOf(replica, threadId, entries)
    missing = missing.map((chain) => sent(chain, counts.get(chain) ?? 0)).filter(isMissing)
  }
  if (parted.size === 0) return
  const heads = new Map<LogId, Entry>()
  addParted(heads, parted)
  yield replyOf(replica, threadId, heads)
}

function sent(chain: Missing, count: number): Missing {
  if (count === 0) return chain
  return { ...chain, after: chain.after + count, limit: chain.limit - count, parts: false }
}

function isMissing({ after, counter, limit }: Missing): boolean {
  return after < counter && limit > 0
}
