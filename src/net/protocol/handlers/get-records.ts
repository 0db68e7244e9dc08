import { headsEdge } from '../../../core/edge.ts'
import type { LogId, PeerId } from '../../../core/peer-id.ts'
import type { RecordBlocks } from '../../../core/record.ts'
import type { ThreadId } from '../../../core/thread-id.ts'
import type { ChainStatus, PeerLog, Replica } from '../../replica.ts'
import type { ChainRecords, GetRecordsReply, GetRecordsRequest, LogOffset, LogRecords } from '../messages.ts'
import { checkServiceKey, type HandlerContext, type HandlerState } from './context.ts'

/** Ids, key, head and counter of a log, and the frame around them. */
const MAX_LOG_BYTES = 256

/** Logs of which a reply tells heads only, and chains of each. */
const MAX_PARTED = 1_000
const MAX_PARTED_CHAINS = 100

/** Records of one chain that the caller lacks. */
export interface Missing {
  readonly log: PeerLog
  /** Absent for the main chain. */
  readonly branch?: ChainStatus
  /** Position after which to send. */
  readonly after: number
  readonly counter: number
  /** It parts from what the caller has: the first record may need the next, which vouches for it. */
  readonly parts?: boolean
  readonly limit: number
}

/** What the caller lacks of a log. */
export interface Lack {
  readonly missing: readonly Missing[]
  /** Chains of which it is not known what the caller lacks. */
  readonly parted: readonly ChainStatus[]
}

/**
 * Records directly after the caller's, oldest first, up to the limits of a reply. The caller comes back for the rest.
 * (go-threads sends the newest instead and leaves a gap, which its receivers close by other means.) To callers that take
 * all chains of a log the others are sent too, each from where it parts from those they have; if that is not known they
 * are told of the head, and come again with more of what they have.
 */
export async function getRecords(
  state: HandlerState,
  request: GetRecordsRequest,
  caller: PeerId,
): Promise<GetRecordsReply> {
  checkServiceKey(state, request, caller)
  const { hints, pageSizes, replica } = state
  const { threadId, chains = false } = request
  const offsets = new Map(request.logs.map((entry) => [entry.logId, entry]))
  const logs = replica.logs(threadId)
  learn(state, { caller, threadId, logs, offsets })
  const has = headsOf(offsets)
  const edges = replica.edges(threadId)
  if (has === (chains ? edges.chains : edges.heads)) return { logs: [], unreadable: 0 }
  const missing: Missing[] = []
  const parted = new Map<PeerLog, readonly ChainStatus[]>()
  for (const log of logs) {
    const asked = { log, offset: offsets.get(log.id) }
    const lack = await (chains ? lackOf : lackOfMain)(state, threadId, asked)
    missing.push(...lack.missing)
    if (lack.parted.length > 0) parted.set(log, lack.parted)
  }
  if (parted.size > 0) {
    hints.ahead({ peer: caller, threadId, logs: false, records: true, cause: { kind: 'request' } })
  }
  const maxBytes = pageSizes.allowed(caller, threadId, has)
  const { entries, bytes } = await collect(state, missing, { threadId, maxBytes })
  if (entries.size > 0) pageSizes.sent(caller, threadId, { has, bytes })
  addParted(entries, parted)
  return replyOf(replica, threadId, entries)
}

/** Tells of the heads of chains of which it is not known what the caller lacks. */
export function addParted(entries: Map<LogId, Entry>, parted: ReadonlyMap<PeerLog, readonly ChainStatus[]>): void {
  for (const [log, heads] of [...parted].slice(0, MAX_PARTED)) addHeads(entries, log, heads)
}

export function replyOf(replica: Replica, threadId: ThreadId, entries: ReadonlyMap<LogId, Entry>): GetRecordsReply {
  return { logs: [...entries.values()].map((entry) => withAttestation(replica, threadId, entry)), unreadable: 0 }
}

/** Edge over all that the caller names. */
function headsOf(offsets: Map<LogId, LogOffset>): bigint {
  return headsEdge(
    [...offsets.values()].flatMap(({ logId, offset, held = [] }) =>
      [...(offset === undefined ? [] : [offset]), ...held].map((head) => ({ logId, head })),
    ),
  )
}

/** For callers that take the main chain only. */
async function lackOfMain(
  { replica, pullRecords }: HandlerContext,
  threadId: ThreadId,
  { log, offset: entry }: { log: PeerLog; offset: LogOffset | undefined },
): Promise<Lack> {
  const limit = entry === undefined ? pullRecords : entry.limit
  const { counter } = log
  if (counter === 0 || limit <= 0) return NOTHING
  const fromStart = { missing: [{ log, after: 0, counter, limit }], parted: [] }
  if (entry?.offset === undefined) return counter > (entry?.counter ?? 0) ? fromStart : NOTHING
  if (entry.counter >= counter) return NOTHING
  const after = await replica.counterOf(threadId, log.id, entry.offset)
  // A record that is not here: of an old peer that does not count, it may be ahead of us. Else our chains part somewhere.
  if (after === undefined) return entry.counter === 0 ? NOTHING : fromStart
  return after >= counter ? NOTHING : { missing: [{ log, after, counter, limit }], parted: [] }
}

/** For callers that take all chains. */
export async function lackOf(
  { replica, pullRecords }: HandlerContext,
  threadId: ThreadId,
  { log, offset: entry }: { log: PeerLog; offset: LogOffset | undefined },
): Promise<Lack> {
  const { offset, held = [], located = false, limit = pullRecords } = entry ?? {}
  if (limit <= 0) return NOTHING
  const chains = await replica.chains(threadId, log.id, offset === undefined ? held : [offset, ...held])
  const missing: Missing[] = []
  const parted: ChainStatus[] = []
  for (const chain of chains) {
    const { counter } = chain
    // Who has nothing, or names records back to the start, lacks what has none of them.
    const after = chain.after ?? (offset === undefined || located ? 0 : undefined)
    if (after === undefined) parted.push(chain)
    if (after === undefined || after >= counter) continue
    const isMain = chain.chain === log.id
    const parts = !isMain || after < (entry?.counter ?? 0)
    missing.push({ log, ...(isMain ? {} : { branch: chain }), after, counter, limit, parts })
  }
  return { missing, parted }
}

const NOTHING: Lack = { missing: [], parted: [] }

interface Page {
  readonly entries: Map<LogId, Entry>
  readonly bytes: number
  /** Records of each chain that are in it. */
  readonly counts: ReadonlyMap<Missing, number>
}

/** Fills the reply, shortest chain first, each with at most an even share of what is left: none keeps others waiting. */
export async function collect(
  { replica, pullRecords }: Pick<HandlerContext, 'replica' | 'pullRecords'>,
  missing: Missing[],
  { threadId, maxBytes }: { threadId: ThreadId; maxBytes: number },
): Promise<Page> {
  missing.sort((a, b) => a.counter - a.after - (b.counter - b.after))
  const counts = new Map<Missing, number>()
  const entries = new Map<LogId, Entry>()
  let bytes = maxBytes
  let count = pullRecords
  for (const [index, chain] of missing.entries()) {
    const { log, branch, after, parts, limit } = chain
    const waiting = missing.length - index
    const about = bytesAbout(log)
    const read = (most: { records: number; bytes: number }): Promise<RecordBlocks[]> =>
      replica.recordsAfter(threadId, branch?.chain ?? log.id, {
        counter: after,
        maxRecords: Math.min(limit, most.records),
        maxBytes: Math.max(1, most.bytes - about),
      })
    let records = await read({ records: Math.ceil(count / waiting), bytes: Math.ceil(bytes / waiting) })
    if (parts && records.length === 1) records = await read({ records: 2, bytes })
    const size = records.reduce((sum, record) => sum + bytesOf(record), about)
    const fits = size <= bytes || entries.size === 0
    if (records.length === 0 || !fits) continue
    const entry = entries.get(log.id) ?? { logId: log.id, log, records: [], chains: [] }
    if (branch === undefined) entries.set(log.id, { ...entry, records })
    else entries.set(log.id, { ...entry, chains: [...entry.chains, chainRecords(branch, records)] })
    counts.set(chain, records.length)
    bytes -= size
    count -= records.length
    if (bytes <= 0 || count <= 0) break
  }
  return { entries, bytes: maxBytes - bytes, counts }
}

export type Entry = LogRecords & { readonly log: PeerLog; readonly chains: readonly ChainRecords[] }

function chainRecords({ head, counter, attestation }: ChainStatus, records: readonly RecordBlocks[]): ChainRecords {
  return { head, counter, attestation, records }
}

function addHeads(entries: Map<LogId, Entry>, log: PeerLog, heads: readonly ChainStatus[]): void {
  const entry = entries.get(log.id) ?? { logId: log.id, log: { ...log, addresses: [] }, records: [], chains: [] }
  entries.set(log.id, {
    ...entry,
    chains: [...entry.chains, ...heads.slice(0, MAX_PARTED_CHAINS).map((head) => chainRecords(head, []))],
  })
}

/** The head may be all that the caller gets, and then nothing else vouches for it. */
function withAttestation(replica: Replica, threadId: ThreadId, entry: Entry): LogRecords {
  const log = replica.attested(threadId, entry.log)
  const { attestation } = log
  const chains = entry.chains.map((chain) => (chain.head === log.head ? { ...chain, attestation } : chain))
  return { ...entry, log, chains }
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
