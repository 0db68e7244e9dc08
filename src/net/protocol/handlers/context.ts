import { equalBytes } from '../../../core/bytes.ts'
import type { Clock } from '../../../core/clock.ts'
import { ThreadsError } from '../../../core/errors.ts'
import type { LogId, PeerId } from '../../../core/peer-id.ts'
import type { Edges, Replica } from '../../replica.ts'
import type { ThreadRequest } from '../messages.ts'
import { Status, StatusError } from '../status.ts'

/** What calls of peers tell about them. Hints: nothing here is taken for true. */
export interface PeerHints {
  /** The peer has called. */
  seen(peer: PeerId): void
  /** The peer seems to have something of a thread that is not here. */
  ahead(hint: AheadHint): void
  /** The peer says that it has the records of a log up to `counter`. */
  has(peer: PeerId, threadId: ThreadRequest['threadId'], log: { id: LogId; counter: number }): void
}

export interface AheadHint {
  readonly peer: PeerId
  readonly threadId: ThreadRequest['threadId']
  /** Logs or addresses. */
  readonly logs: boolean
  readonly records: boolean
  readonly cause: AheadCause
}

export type AheadCause =
  /** It pushed something that does not follow what is here. */
  | { readonly kind: 'push' }
  /** Its request names logs or records that are not here. */
  | { readonly kind: 'request' }
  | { readonly kind: 'edges'; readonly edges: Edges }

export interface HandlerContext {
  readonly replica: Replica
  readonly hints: PeerHints
  readonly clock: Clock
  /** Most records in one reply. */
  readonly pullRecords: number
  /** Others than members see the records of threads, on their topics: to have one proves nothing. @default false */
  readonly published?: boolean
}

/** Lets callers pass that show the service key, and remembers that they did. The refusals are those of go-threads. */
export function checkServiceKey(
  { replica }: HandlerContext,
  { threadId, serviceKey }: ThreadRequest,
  caller: PeerId,
): void {
  if (serviceKey === undefined) {
    throw new StatusError(Status.unauthenticated, 'a service-key is required to get logs')
  }
  const held = replica.serviceKey(threadId)
  if (held === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
  if (!equalBytes(held, serviceKey)) throw new StatusError(Status.unauthenticated, 'invalid service-key')
  replica.prove(threadId, caller)
}
