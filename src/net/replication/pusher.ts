import type { Clock } from '../../core/clock.ts'
import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { PeerClient } from '../protocol/client.ts'
import { PeerRefusal, Status } from '../protocol/status.ts'
import type { PeerLog, Replica } from '../replica.ts'
import type { SyncSession } from '../sync/session.ts'
import type { SyncStreams } from '../sync/sync-streams.ts'
import type { PeerBook } from './peer-book.ts'
import { attestationFor } from './pushed-record.ts'

/** PushRecord calls to one peer that are not answered yet. */
const MAX_IN_FLIGHT = 16
/** Records in one frame of Sync. */
const MAX_RUN = { maxRecords: 1_000, maxBytes: 480 * 1024 }
/** Bytes of records read for one peer at once; one record may be larger. */
const MAX_BATCH_BYTES = 1024 * 1024

export interface PusherComponents {
  readonly replica: Replica
  readonly client: PeerClient
  readonly book: PeerBook
  /** Without it there are no streams of Sync. */
  readonly sync?: SyncStreams | undefined
  readonly clock: Clock
  readonly logger: Logger
  /** Shows a peer that this host belongs to a thread, and what it has of it. */
  introduce(this: void, peer: PeerId, threadId: ThreadId): void
  /** Ends all pushes. */
  readonly signal: AbortSignal
}

/** What a peer lacks of a log that is written here. */
export interface Outstanding {
  readonly threadId: ThreadId
  readonly logId: LogId
  /** The peer has the records up to this one, or will pull them. */
  has: number
  /** Newest record to send. */
  until: number
}

interface Outbox {
  /** By thread and log. Holds positions only: records are read from their logs when it is their turn. */
  readonly waiting: Map<string, Outstanding>
  readonly sending: Set<string>
  inFlight: number
  cancelRetry: (() => void) | undefined
}

/**
 * Sends records written here to the peers of their threads, oldest first. Logs are the outbox, so a peer that is slow or
 * away costs a position for each log. What a peer refuses it may pull: only unreachable peers are tried again.
 */
export class Pusher {
  readonly #components: PusherComponents
  readonly #outboxes = new Map<PeerId, Outbox>()
  readonly #running = new Set<Promise<void>>()

  constructor(components: PusherComponents) {
    this.#components = components
  }

  /** A record written here is durable: it goes to all peers of the thread. */
  localRecord(threadId: ThreadId, logId: LogId, counter: number): void {
    const { replica } = this.#components
    for (const peer of replica.peers(threadId)) {
      const outbox = this.#outboxes.get(peer) ?? emptyOutbox()
      this.#outboxes.set(peer, outbox)
      const key = `${threadId} ${logId}`
      const known = outbox.waiting.get(key)
      if (known === undefined) outbox.waiting.set(key, { threadId, logId, has: counter - 1, until: counter })
      else known.until = Math.max(known.until, counter)
      this.#pump(peer)
    }
  }

  /** A peer says that it has records: they are not sent to it. */
  has(peer: PeerId, threadId: ThreadId, { id, counter }: { id: LogId; counter: number }): void {
    const known = this.#outboxes.get(peer)?.waiting.get(`${threadId} ${id}`)
    if (known !== undefined) known.has = Math.max(known.has, counter)
  }

  /** A peer that could not be reached can be again. */
  resume(peer: PeerId): void {
    if (this.#outboxes.has(peer)) this.#pump(peer)
  }

  /** Sends logs without their records. Throws what the first refused one ends with. */
  async pushLogs(
    peer: PeerId,
    threadId: ThreadId,
    { logs, withServiceKey, signal }: { logs: readonly PeerLog[]; withServiceKey: boolean; signal?: AbortSignal },
  ): Promise<void> {
    const { client, replica } = this.#components
    const serviceKey = withServiceKey ? replica.serviceKey(threadId) : undefined
    const end = signal ?? this.#components.signal
    for (const log of logs) {
      const attested = replica.attested(threadId, log)
      await client.call(peer, 'pushLog', { threadId, serviceKey, readKey: undefined, log: attested }, { signal: end })
    }
  }

  /** Whether records of a log are on their way to a peer. */
  isPushing(peer: PeerId, threadId: ThreadId, logId: LogId): boolean {
    return this.#outboxes.get(peer)?.waiting.has(`${threadId} ${logId}`) === true
  }

  outstanding(peer: PeerId): Outstanding[] {
    return [...(this.#outboxes.get(peer)?.waiting.values() ?? [])].map((each) => ({ ...each }))
  }

  peers(): PeerId[] {
    return [...this.#outboxes.keys()]
  }

  /** Resolves when no push is under way. To be called once the signal has aborted. */
  async settled(): Promise<void> {
    for (const outbox of this.#outboxes.values()) outbox.cancelRetry?.()
    await Promise.allSettled(this.#running)
  }

  #pump(peer: PeerId): void {
    const { book, signal, sync } = this.#components
    const outbox = this.#outboxes.get(peer)
    if (outbox === undefined || signal.aborted) return
    if (outbox.waiting.size === 0) {
      if (outbox.inFlight === 0) this.#outboxes.delete(peer)
      return
    }
    const failure = sync?.session(peer) === undefined ? book.failure(peer) : undefined
    if (failure !== undefined) return this.#retryAt(peer, outbox, failure.retryAtMs)
    for (const [key, outstanding] of outbox.waiting) {
      if (outbox.inFlight >= MAX_IN_FLIGHT) return
      if (!outbox.sending.has(key)) this.#start(peer, outbox, { key, outstanding })
    }
  }

  #retryAt(peer: PeerId, outbox: Outbox, retryAtMs: number): void {
    const { clock } = this.#components
    outbox.cancelRetry?.()
    outbox.cancelRetry = clock.after(Math.max(1, retryAtMs - clock.nowMs()), () => {
      outbox.cancelRetry = undefined
      this.#pump(peer)
    })
  }

  /**
   * Sends the next records of one log, with an even share of the calls that may still be in flight. It leaves some to
   * others: a go-threads host keeps a call waiting for 10 s if it refused the record before.
   */
  #start(peer: PeerId, outbox: Outbox, { key, outstanding }: { key: string; outstanding: Outstanding }): void {
    const idle = outbox.waiting.size - outbox.sending.size
    const free = MAX_IN_FLIGHT - outbox.inFlight
    const records = Math.max(1, outstanding.until - outstanding.has)
    const isStream = this.#components.sync?.session(peer) !== undefined
    const share = isStream ? 1 : Math.min(records, Math.ceil(free / Math.max(2, idle)))
    outbox.sending.add(key)
    outbox.inFlight += share
    const sending = this.#send(peer, outstanding, share).finally(() => {
      outbox.sending.delete(key)
      outbox.inFlight -= share
      if (outstanding.has >= outstanding.until) outbox.waiting.delete(key)
      this.#running.delete(sending)
      this.#pump(peer)
    })
    this.#running.add(sending)
  }

  async #send(peer: PeerId, outstanding: Outstanding, maxRecords: number): Promise<void> {
    const { book, replica, logger, signal, sync } = this.#components
    const { threadId, logId, has } = outstanding
    try {
      const session = sync?.session(peer)
      if (session !== undefined) return await this.#sendRun(session, outstanding)
      const options = { counter: has, maxRecords, maxBytes: MAX_BATCH_BYTES }
      const records = await replica.recordsAfter(threadId, logId, options)
      if (records.length === 0) return leaveToPull(outstanding)
      const sent = await Promise.allSettled(
        records.map((record, index) => this.#push(peer, outstanding, { record, counter: has + 1 + index })),
      )
      const refused = sent.findIndex(({ status }) => status === 'rejected')
      outstanding.has = Math.max(outstanding.has, has + (refused < 0 ? records.length : refused))
      const failure = sent[refused]
      if (failure?.status === 'rejected') await this.#afterRefusal(peer, outstanding, failure.reason)
      else book.reached(peer)
    } catch (error) {
      leaveToPull(outstanding)
      const gone = hasCode(error, 'THREAD_NOT_FOUND')
      if (!signal.aborted && !gone)
        logger.error({ peer, thread: threadId, log: logId, error }, 'could not push records')
    }
  }

  /** As many as a frame takes: what has come together since the last one. */
  async #sendRun(session: SyncSession, outstanding: Outstanding): Promise<void> {
    const { replica } = this.#components
    const { threadId, logId, has } = outstanding
    const records = await replica.recordsAfter(threadId, logId, { ...MAX_RUN, counter: has })
    if (records.length === 0) return leaveToPull(outstanding)
    const last = has + records.length
    try {
      const attestation = attestationFor(replica, { threadId, logId, counter: last })
      await session.push({ threadId, logId, counter: has + 1, records, attestation })
      outstanding.has = Math.max(outstanding.has, last)
    } catch (error) {
      await this.#afterRefusal(session.peer, outstanding, error)
    }
  }

  async #push(
    peer: PeerId,
    { threadId, logId }: Outstanding,
    { record, counter }: { record: RecordBlocks; counter: number },
  ): Promise<void> {
    const { client, replica, signal } = this.#components
    const attestation = attestationFor(replica, { threadId, logId, counter })
    await client.call(peer, 'pushRecord', { threadId, logId, record, counter, attestation }, { signal })
  }

  async #afterRefusal(peer: PeerId, outstanding: Outstanding, error: unknown): Promise<void> {
    const { book, introduce, logger, replica, signal } = this.#components
    const { threadId, logId } = outstanding
    if (signal.aborted) return leaveToPull(outstanding)
    if (hasCode(error, 'PEER_UNREACHABLE')) return book.failed(peer)
    if (!(error instanceof ThreadsError)) throw error
    leaveToPull(outstanding)
    const fields = { peer, thread: threadId, log: logId }
    if (!isNotFound(error)) {
      logger.warn({ ...fields, reason: error.message }, 'a peer refused a record')
      return
    }
    try {
      // Without keys: who belongs to the thread has them. The peer then pulls the records, if it knows this host to
      // belong to the thread.
      const log = replica.log(threadId, logId)
      await this.pushLogs(peer, threadId, { logs: log === undefined ? [] : [log], withServiceKey: false })
    } catch (refusal) {
      if (!(refusal instanceof ThreadsError)) throw refusal
      logger.debug({ ...fields, reason: refusal.message }, 'a peer does not take a log')
      if (isNotFound(refusal)) introduce(peer, threadId)
    }
  }
}

function isNotFound(error: unknown): boolean {
  return error instanceof PeerRefusal && error.status === Status.notFound
}

/** Nothing up to now is sent any more. */
function leaveToPull(outstanding: Outstanding): void {
  outstanding.has = outstanding.until
}

function emptyOutbox(): Outbox {
  return { waiting: new Map(), sending: new Set(), inFlight: 0, cancelRetry: undefined }
}
