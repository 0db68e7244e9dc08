import { hasCode } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { Pubsub } from '../host/pubsub.ts'
import { pushRecordRequest } from '../protocol/messages.ts'
import type { Replica } from '../replica.ts'
import { attestationFor } from './pushed-record.ts'

/** Records of a log that may wait to be published. Older ones are left to push and pull. */
const MAX_BACKLOG = 1_000
/** Records of one log published before others have their turn, and their bytes; one record may be larger. */
const BATCH_RECORDS = 16
const BATCH_BYTES = 1024 * 1024

export interface PublisherComponents {
  readonly replica: Replica
  readonly pubsub: Pubsub
  readonly logger: Logger
  /** Ends publishing. */
  readonly signal: AbortSignal
}

interface Backlog {
  readonly threadId: ThreadId
  readonly logId: LogId
  /** The records up to this one were published, or left out. */
  has: number
  until: number
}

/** Publishes records written here on the topics of their threads, in the order of their logs. */
export class GossipPublisher {
  readonly #components: PublisherComponents
  readonly #backlogs = new Map<string, Backlog>()
  #running: Promise<void> | undefined
  #published = 0
  #tooLarge = 0

  constructor(components: PublisherComponents) {
    this.#components = components
  }

  /** A record written here is durable. */
  localRecord(threadId: ThreadId, logId: LogId, counter: number): void {
    const key = `${threadId} ${logId}`
    const known = this.#backlogs.get(key)
    if (known === undefined) this.#backlogs.set(key, { threadId, logId, has: counter - 1, until: counter })
    else known.until = Math.max(known.until, counter)
    this.#running ??= this.#run()
  }

  status(): { published: number; tooLarge: number } {
    return { published: this.#published, tooLarge: this.#tooLarge }
  }

  /** Resolves when nothing is being published. To be called once the signal has aborted. */
  async settled(): Promise<void> {
    await this.#running
  }

  async #run(): Promise<void> {
    const { logger, signal } = this.#components
    for (const [key, backlog] of this.#backlogs) {
      if (signal.aborted) break
      try {
        await this.#publishSome(backlog)
      } catch (error) {
        backlog.has = backlog.until
        const { threadId: thread, logId: log } = backlog
        if (!hasCode(error, 'THREAD_NOT_FOUND')) logger.error({ thread, log, error }, 'could not publish records')
      }
      // A log with more to publish goes to the end of the line.
      this.#backlogs.delete(key)
      if (backlog.has < backlog.until) this.#backlogs.set(key, backlog)
    }
    this.#running = undefined
  }

  async #publishSome(backlog: Backlog): Promise<void> {
    const { pubsub, replica } = this.#components
    const { threadId, logId } = backlog
    backlog.has = Math.max(backlog.has, backlog.until - MAX_BACKLOG)
    const options = { counter: backlog.has, maxRecords: BATCH_RECORDS, maxBytes: BATCH_BYTES }
    const heard = pubsub.subscribers(threadId).length > 0
    const records = heard ? await replica.recordsAfter(threadId, logId, options) : []
    if (records.length === 0) backlog.has = backlog.until
    for (const record of records) {
      backlog.has++
      const place = { threadId, logId, counter: backlog.has }
      const attestation = attestationFor(replica, place)
      await this.#publish(threadId, pushRecordRequest.encode({ ...place, record, attestation }))
    }
  }

  async #publish(threadId: ThreadId, data: Uint8Array): Promise<void> {
    try {
      await this.#components.pubsub.publish(threadId, data)
      this.#published++
    } catch (error) {
      if (!hasCode(error, 'TOO_LARGE')) throw error
      this.#tooLarge++
    }
  }
}
