import type { Clock, Random } from '../../core/clock.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { ChangeFeed } from '../change-feed.ts'
import type { FaultLimit } from '../protocol/fault-limit.ts'
import type { PeerHints } from '../protocol/handlers/context.ts'
import type { Replica } from '../replica.ts'

/** What all streams of Sync of a host share. */
export interface SyncContext {
  readonly replica: Replica
  readonly feed: ChangeFeed
  readonly hints: PeerHints
  readonly faults: FaultLimit
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Counts what is sent within this life of the host. */
  readonly journalId: Uint8Array
  /** Fetches records of some logs from a peer. Throws ThreadsError. */
  pull(this: void, peer: PeerId, threadId: ThreadId, only: ReadonlySet<LogId>): Promise<void>
  /** A peer on a stream that it opened belongs to a thread. */
  onMember(this: void, peer: PeerId): void
  /** Whether records of a log are on their way to a peer. */
  isPushing(this: void, peer: PeerId, threadId: ThreadId, logId: LogId): boolean
}
