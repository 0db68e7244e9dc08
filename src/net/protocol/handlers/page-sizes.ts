import { BoundedCache } from '../../../core/bounded-cache.ts'
import type { PeerId } from '../../../core/peer-id.ts'
import type { ThreadId } from '../../../core/thread-id.ts'
import { MAX_REPLY_BYTES } from '../constants.ts'

/** Replies are made no smaller than this. */
const MIN_REPLY_BYTES: number = 64 * 1024
/** Replies remembered. */
const MAX_NOTES = 10_000

interface Sent {
  /** Hash of what the caller had. */
  readonly has: bigint
  readonly bytes: number
}

/**
 * How large replies to GetRecords may be. Calls have 10 s, and a caller that got nothing in that time asks the same again:
 * a reply that takes too long is made smaller until it arrives, the next ones larger again.
 */
export class PageSizes {
  readonly #sent = new BoundedCache<string, Sent>(MAX_NOTES)

  /** Bytes for the reply to a caller who has that. */
  allowed(caller: PeerId, threadId: ThreadId, has: bigint): number {
    const last = this.#sent.get(`${caller} ${threadId}`)
    if (last === undefined) return MAX_REPLY_BYTES
    const bytes = last.has === has ? last.bytes / 2 : last.bytes * 2
    return Math.min(MAX_REPLY_BYTES, Math.max(MIN_REPLY_BYTES, Math.floor(bytes)))
  }

  sent(caller: PeerId, threadId: ThreadId, sent: Sent): void {
    this.#sent.set(`${caller} ${threadId}`, sent)
  }
}
