import { BoundedCache } from '../../core/bounded-cache.ts'
import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { Pubsub, TopicMessage, Verdict } from '../host/pubsub.ts'
import { MAX_HOST_BYTES, MAX_PEER_BYTES } from '../protocol/constants.ts'
import type { AheadHint, PeerHints } from '../protocol/handlers/context.ts'
import type { PushRecordRequest } from '../protocol/messages.ts'
import type { Replica } from '../replica.ts'
import { type Flaw, isSigned, openMessage } from './gossip-message.ts'
import { GossipPublisher } from './gossip-publisher.ts'
import { attestationOf } from './pushed-record.ts'

/** Records that are passed on once only, whoever publishes them again. */
const MAX_PASSED_ON = 10_000

export interface GossipComponents {
  readonly replica: Replica
  readonly pubsub: Pubsub
  /** Hears what messages show to be missing here. */
  readonly hints: Pick<PeerHints, 'ahead'>
  readonly logger: Logger
  /** Ends gossip. */
  readonly signal: AbortSignal
}

/** Why messages were dropped. */
export type Drop =
  | Flaw
  /** Its log is not here. */
  | 'unknownLog'
  /** Its record was taken from another message already. */
  | 'repeated'
  /** Too much is being stored. */
  | 'busy'
  /** Its record could not be stored, or another is at its position. */
  | 'refused'

export interface GossipStatus {
  /** Records published. */
  readonly published: number
  /** Records written here that are too large to be published. */
  readonly notPublished: number
  /** Messages whose record is here now, or is pulled with what lies before it. */
  readonly taken: number
  /** Messages dropped since the start. */
  readonly dropped: { readonly [D in Drop]: number }
}

/**
 * Records on the topics of their threads. What is written here is published; what others published is checked, stored
 * and passed on. A message may be lost: it is push and pull that bring every record. Nobody is answered on the topics
 * go-threads has for that: its publishers do not listen.
 */
export class Gossip {
  readonly #components: GossipComponents
  readonly #publisher: GossipPublisher
  readonly #passedOn = new BoundedCache<string, true>(MAX_PASSED_ON)
  readonly #storing = new Set<Promise<void>>()
  /** Bytes of messages being stored, of one sender and of all. */
  readonly #senders = new Map<PeerId, number>()
  #bytes = 0
  #taken = 0
  readonly #dropped: { [D in Drop]: number } = {
    tooLarge: 0,
    malformed: 0,
    foreign: 0,
    forged: 0,
    unknownLog: 0,
    repeated: 0,
    busy: 0,
    refused: 0,
  }

  constructor(components: GossipComponents) {
    this.#components = components
    this.#publisher = new GossipPublisher(components)
  }

  /** Joins the topics of all threads of the host, now and as they come. The host must run. */
  start(): void {
    this.#components.replica.watchThreads({
      added: (threadId) => this.#join(threadId),
      removed: (threadId) => this.#leave(threadId),
    })
  }

  localRecord(threadId: ThreadId, logId: LogId, counter: number): void {
    this.#publisher.localRecord(threadId, logId, counter)
  }

  status(): GossipStatus {
    const { published, tooLarge } = this.#publisher.status()
    return { published, notPublished: tooLarge, taken: this.#taken, dropped: { ...this.#dropped } }
  }

  /** Resolves when nothing is under way. To be called once the signal has aborted. */
  async settled(): Promise<void> {
    await Promise.all([this.#publisher.settled(), ...this.#storing])
  }

  #join(threadId: ThreadId): void {
    const { logger, pubsub, signal } = this.#components
    if (signal.aborted) return
    try {
      pubsub.join(threadId, (message) => this.#judge(threadId, message))
    } catch (error) {
      if (!hasCode(error, 'NO_SPACE')) throw error
      logger.info({ thread: threadId, reason: error.message }, 'records of a thread go by push and pull only')
    }
  }

  #leave(threadId: ThreadId): void {
    const { pubsub, signal } = this.#components
    if (!signal.aborted) pubsub.leave(threadId)
  }

  #judge(threadId: ThreadId, message: TopicMessage): Verdict {
    const { replica, signal } = this.#components
    const serviceKey = replica.serviceKey(threadId)
    if (serviceKey === undefined || signal.aborted) return 'ignore'
    const opened = openMessage(message.data, { threadId, serviceKey })
    if (opened.flaw !== undefined) return this.#drop('reject', opened.flaw, message)
    const { record, request } = opened
    const cid = record.cid.toString()
    if (this.#passedOn.get(cid) !== undefined) return this.#drop('ignore', 'repeated', message)
    const log = replica.log(threadId, request.logId)
    if (log?.publicKey === undefined) {
      this.#pull(message, { threadId, logs: true, records: true, cause: { kind: 'request' } })
      return this.#drop('ignore', 'unknownLog', message)
    }
    if (!isSigned(record, log.publicKey)) return this.#drop('reject', 'forged', message)
    if (!this.#hasRoom(message)) return this.#drop('ignore', 'busy', message)
    this.#passedOn.set(cid, true)
    this.#store(request, message)
    return 'accept'
  }

  #drop(verdict: Verdict, drop: Drop, { sender, author }: TopicMessage): Verdict {
    this.#dropped[drop]++
    this.#components.logger.debug({ peer: sender, author, reason: drop }, 'dropped a message of a topic')
    return verdict
  }

  #hasRoom({ sender, data }: TopicMessage): boolean {
    const ofSender = this.#senders.get(sender) ?? 0
    return ofSender + data.length <= MAX_PEER_BYTES && this.#bytes + data.length <= MAX_HOST_BYTES
  }

  #store(request: PushRecordRequest, message: TopicMessage): void {
    this.#hold(message.sender, message.data.length)
    const storing = this.#receive(request, message).finally(() => {
      this.#hold(message.sender, -message.data.length)
      this.#storing.delete(storing)
    })
    this.#storing.add(storing)
  }

  #hold(sender: PeerId, bytes: number): void {
    const held = (this.#senders.get(sender) ?? 0) + bytes
    if (held === 0) this.#senders.delete(sender)
    else this.#senders.set(sender, held)
    this.#bytes += bytes
  }

  async #receive(request: PushRecordRequest, message: TopicMessage): Promise<void> {
    const { threadId, logId, record } = request
    const { logger, replica } = this.#components
    try {
      const run = { threadId, logId, records: [record], attestation: attestationOf(request), from: message.sender }
      const receipt = await replica.receive(run)
      this.#taken++
      if (receipt.gap) this.#pull(message, { threadId, logs: false, records: true, cause: { kind: 'push' } })
    } catch (error) {
      this.#drop('ignore', 'refused', message)
      if (!(error instanceof ThreadsError)) {
        logger.error({ thread: threadId, log: logId, error }, 'could not store a record of a topic')
      }
    }
  }

  /** Pulls from the peer that passed the message on, or from its author: from one that belongs to the thread. */
  #pull({ sender, author }: TopicMessage, hint: Omit<AheadHint, 'peer'>): void {
    const { hints, replica } = this.#components
    const peer = [sender, author].find((each) => each !== replica.hostId && replica.isProven(hint.threadId, each))
    if (peer !== undefined) hints.ahead({ ...hint, peer })
  }
}
