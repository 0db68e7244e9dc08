import type { CID } from 'multiformats/cid'
import type { Clock } from '../../core/clock.ts'
import { type ErrorCode, hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { openRecord } from '../../core/record.ts'
import type { BlockSource } from '../protocol/block-source.ts'
import type { PeerClient } from '../protocol/client.ts'
import type { GetRecordsReply } from '../protocol/messages.ts'
import { PeerRefusal, Status, StatusError } from '../protocol/status.ts'
import type { PeerLog, Receipt, Replica } from '../replica.ts'
import { walkLog } from './log-walk.ts'
import { LastingSession } from './lasting-session.ts'
import type { SyncStreams } from '../sync/sync-streams.ts'
import type { PeerBook } from './peer-book.ts'
import { PartedChains } from './parted-chains.ts'
import { freshLogs, planGap, planReply, planRequest, type Run, type Scope, splitScope } from './plan.ts'

/** Calls in a row that bring nothing, before a pull gives up for now. */
const MAX_FRUITLESS = 100

/** Calls of a pull that may end without an answer in time, 10 s each. */
const MAX_LATE = 20
/** Of a log that does not come in time, one record in so many is asked for. */
const LATE_SHARE = 4

/** Failures that say something about what a peer sent, not about this host. */
const PEER_FAULTS: ReadonlySet<ErrorCode> = new Set([
  ...(['BAD_SIGNATURE', 'BROKEN_CHAIN', 'INVALID_RECORD', 'INVALID_KEY', 'BAD_MESSAGE', 'TOO_LARGE'] as const),
  'LOG_NOT_FOUND',
])

export interface PullComponents {
  readonly replica: Replica
  readonly client: PeerClient
  /** Without it gaps that peers leave stay. */
  readonly blocks?: BlockSource | undefined
  readonly book: PeerBook
  /** Without it there are no streams of Sync. */
  readonly sync?: SyncStreams | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Ends all pulls. */
  readonly signal: AbortSignal
}

export interface PullTarget {
  readonly peer: PeerId
  readonly threadId: ThreadId
}

interface Taken {
  /** Something came. */
  readonly progress: boolean
  /** What to ask for next. */
  readonly next: readonly Scope[]
}

interface ReceivedPart {
  readonly stored: number
  /** Of the log's head here. */
  readonly counter: number
  readonly closeGap?: Scope
}

/** GetRecords of one thread from one peer, until nothing new comes. */
export class RecordPull {
  readonly #components: PullComponents
  readonly #target: PullTarget & { readonly serviceKey: Uint8Array }
  /** Logs of which nothing more is asked in this pull. */
  readonly #skip: Set<LogId>
  readonly #parted: PartedChains
  #late = 0

  constructor(components: PullComponents, target: PullTarget & { readonly serviceKey: Uint8Array }) {
    const { peer, threadId } = target
    this.#components = components
    this.#target = target
    this.#parted = new PartedChains(components.replica, threadId)
    this.#skip = components.book.stalledLogs(peer, threadId, logIds(components.replica.logs(threadId)))
  }

  /**
   * `limit`: of records of each log in one call. `only`: logs to ask for. `isTurnOver`: others wait. Answers whether there
   * is more to ask for, and asking brought something so far.
   */
  async run({ limit, only }: Pick<Scope, 'limit' | 'only'>, isTurnOver: () => boolean = () => false): Promise<boolean> {
    const scopes: Scope[] = [{ limit, ...(only && { only }) }]
    let fruitless = 0
    let fruitful = false
    for (let scope = scopes.pop(); scope !== undefined && fruitless < MAX_FRUITLESS; scope = scopes.pop()) {
      if (isTurnOver()) return fruitful
      const taken = await this.#ask(scope)
      if (taken instanceof ThreadsError) {
        scopes.push(...(await this.#smaller(scope, taken)))
        fruitless++
        continue
      }
      const { progress, next } = taken
      if (progress) scopes.push(scope)
      scopes.push(...next)
      fruitless = progress ? 0 : fruitless + 1
      if (progress) fruitful = true
    }
    return false
  }

  /** Answers whether something came and what to ask for next; or why there is no reply, if a smaller one may come. */
  async #ask(scope: Scope): Promise<Taken | ThreadsError> {
    const parted = new Map<LogId, CID>()
    const next: Scope[] = []
    let progress = false
    try {
      for await (const reply of this.#replies(scope)) {
        const taken = await this.#take(reply, scope, parted)
        if (taken.progress) progress = true
        next.push(...taken.next)
      }
    } catch (error) {
      if (error instanceof PeerRefusal && error.status === Status.resourceExhausted) return error
      if (isLate(error) && this.#late++ < MAX_LATE) return error
      throw error
    }
    const only = new Set<LogId>()
    for (const [logId, head] of parted) {
      // The records after may have come since.
      if (!this.#skip.has(logId) && (await this.#parted.isLacking(logId, head))) only.add(logId)
    }
    if (only.size > 0) next.push({ only, limit: scope.limit, locate: true })
    return { progress, next }
  }

  /** One reply to a call, or those that come over a stream. */
  async *#replies(scope: Scope): AsyncGenerator<GetRecordsReply> {
    const { client, replica, signal, sync } = this.#components
    const { peer, threadId, serviceKey } = this.#target
    const held = { skip: this.#skip, records: await this.#parted.held(scope) }
    const logs = planRequest(replica.logs(threadId), scope, held)
    const session = sync?.session(peer)
    if (session === undefined) {
      yield await client.call(peer, 'getRecords', { threadId, serviceKey, logs, chains: true }, { signal })
      return
    }
    const wanted = logs.filter(({ limit }) => limit > 0)
    if (wanted.length > 0) yield* session.records({ threadId, logs: wanted }, { signal })
  }

  /**
   * go-threads counts records, not bytes, and never answers while it waits for a block of one log. Logs that are not known
   * here cannot be left out, so they are fetched first.
   */
  async #smaller(scope: Scope, cause: ThreadsError): Promise<Scope[]> {
    const { book, client, replica, signal, logger } = this.#components
    const { peer, threadId, serviceKey } = this.#target
    if (scope.only === undefined) {
      const { logs } = await client.call(peer, 'getLogs', { threadId, serviceKey }, { signal })
      await addLogs(this.#components, this.#target, freshLogs(replica.logs(threadId), logs))
    }
    const asked = logIds(replica.logs(threadId)).filter((id) => !this.#skip.has(id))
    const smaller = splitScope(scope, asked, isLate(cause) ? LATE_SHARE : 2)
    if (smaller.length > 0) return smaller
    const reason = cause.message
    for (const logId of asked.filter((id) => scope.only?.has(id) !== false)) {
      this.#skip.add(logId)
      book.stalled({ peer, threadId, logId }, 'fault', cause)
      logger.warn({ peer, thread: threadId, log: logId, reason }, 'a peer has a record that cannot be pulled')
    }
    return []
  }

  /**
   * Takes a reply. Answers whether something came, and what to ask for to close gaps; adds to `parted` the logs whose chains
   * may part from those here, with the heads that are lacking.
   */
  async #take(reply: GetRecordsReply, scope: Scope, parted: Map<LogId, CID>): Promise<Taken> {
    const { replica, logger } = this.#components
    const { peer, threadId } = this.#target
    const { unreadable } = reply
    if (unreadable > 0) logger.warn({ peer, thread: threadId, logs: unreadable }, 'a peer sent unreadable logs')
    const local = replica.logs(threadId)
    const plan = planReply(local, reply)
    await addLogs(this.#components, this.#target, plan.logs)
    const counters = new Map(local.map(({ id, counter }) => [id, counter]))
    const next: Scope[] = []
    let progress = false
    for (const run of plan.runs) {
      this.#components.signal.throwIfAborted()
      // Of a log that was given up more may come over a stream.
      if (this.#skip.has(run.logId)) continue
      const taken = await this.#receive(run, scope)
      if (taken.stored > 0 || taken.counter > (counters.get(run.logId) ?? 0)) progress = true
      else if (run.head !== undefined && (await this.#isBehind(run))) parted.set(run.logId, run.head)
      if (taken.closeGap !== undefined) next.push(taken.closeGap)
    }
    for (const { logId, head } of plan.parted) parted.set(logId, head)
    return { progress, next }
  }

  /** Whether the peer goes on after a run of which all was here, and it can be told how far we are. */
  async #isBehind({ logId, head, records }: Run): Promise<boolean> {
    if (head === undefined || !(await this.#parted.isLacking(logId, head))) return false
    return this.#parted.pass(logId, records)
  }

  async #receive(run: Run, scope: Scope): Promise<ReceivedPart> {
    const { book, logger } = this.#components
    const { peer, threadId } = this.#target
    const { logId } = run
    const log = { peer, threadId, logId }
    try {
      const receipt = await this.#store(run)
      if (!receipt.gap) return receipt
      const closeGap = planGap(run, receipt, scope)
      if (closeGap !== undefined) return { ...receipt, closeGap }
      const walked = await this.#walkTo(run)
      if (walked === 'done') return { stored: 0, counter: this.#counter(logId) }
      this.#skip.add(logId)
      const { reason } = book.stalled(log, 'gap', walked)
      const have = this.#counter(logId)
      logger.warn({ peer, thread: threadId, log: logId, have, reason }, 'a peer leaves a gap in a log')
      return { stored: 0, counter: have }
    } catch (error) {
      if (!isPeerFault(error)) throw error
      this.#skip.add(logId)
      const { reason, times } = book.stalled(log, 'fault', error)
      logger.warn({ peer, thread: threadId, log: logId, reason, times }, 'a peer sent a record that is not valid')
      return { stored: 0, counter: this.#counter(logId) }
    }
  }

  async #store({ logId, records, attestation }: Pick<Run, 'logId' | 'records' | 'attestation'>): Promise<Receipt> {
    const { replica, book } = this.#components
    const { peer, threadId } = this.#target
    const receipt = await replica.receive({ threadId, logId, records, attestation, from: peer })
    if (receipt.stored > 0) book.advanced({ peer, threadId, logId })
    return receipt
  }

  /**
   * Takes a run after fetching the records before it, which go-threads hands out block by block. Answers why it did not, if
   * the peer does not hand them out; some may be stored all the same.
   */
  async #walkTo(run: Run): Promise<'done' | ThreadsError | undefined> {
    const { blocks, replica, signal } = this.#components
    const { peer, threadId, serviceKey } = this.#target
    const { logId, records } = run
    const [first] = records
    const from = first && openRecord(first.recordNode, serviceKey).prev
    if (blocks === undefined || from === undefined) return undefined
    try {
      const session = new LastingSession(() => blocks.open(peer, { signal }))
      try {
        const to = replica.log(threadId, logId)?.head
        for await (const older of walkLog(session, { from, to, serviceKey }))
          await this.#store({ logId, records: older, attestation: undefined })
      } finally {
        session.close()
      }
    } catch (error) {
      if (!(error instanceof ThreadsError) || isPeerFault(error) || signal.aborted) throw error
      return error
    }
    const { gap } = await this.#store(run)
    return gap ? undefined : 'done'
  }

  #counter(logId: LogId): number {
    const { replica } = this.#components
    return replica.log(this.#target.threadId, logId)?.counter ?? 0
  }
}

/**
 * Adds what can be added: one bad log keeps none of the others out. Answers whether there may be room for more, which is
 * not tried in vain for each log of a flood.
 */
export async function addLogs(
  components: Pick<PullComponents, 'replica' | 'logger'>,
  target: PullTarget,
  logs: readonly PeerLog[],
): Promise<boolean> {
  const { replica, logger } = components
  const { peer, threadId } = target
  if (logs.length === 0) return true
  try {
    await replica.addLogs(threadId, logs, peer)
    return true
  } catch (error) {
    if (!isPeerFault(error) && !hasCode(error, 'NO_SPACE')) throw error
    if (logs.length > 1) {
      const half = Math.ceil(logs.length / 2)
      for (const part of [logs.slice(0, half), logs.slice(half)]) {
        if (!(await addLogs(components, target, part))) return false
      }
      return true
    }
    logger.warn(
      { peer, thread: threadId, log: logs[0]?.id, reason: error.message },
      'a peer sent a log that is not valid',
    )
    return !hasCode(error, 'TOO_LARGE') && !hasCode(error, 'NO_SPACE')
  }
}

/** The peer is there, but the answer did not come in time. */
function isLate(error: unknown): error is ThreadsError {
  if (!hasCode(error, 'PEER_UNREACHABLE')) return false
  return error.cause instanceof StatusError && error.cause.code === Status.deadlineExceeded
}

function isPeerFault(error: unknown): error is ThreadsError {
  return error instanceof ThreadsError && PEER_FAULTS.has(error.code)
}

function logIds(logs: readonly PeerLog[]): LogId[] {
  return logs.map(({ id }) => id)
}
