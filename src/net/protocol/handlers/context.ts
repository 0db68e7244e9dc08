import { BoundedCache } from '../../../core/bounded-cache.ts'
import { equalBytes } from '../../../core/bytes.ts'
import type { Clock } from '../../../core/clock.ts'
import { ThreadsError } from '../../../core/errors.ts'
import type { LogId, PeerId } from '../../../core/peer-id.ts'
import type { ThreadId } from '../../../core/thread-id.ts'
import type { Edges, Replica } from '../../replica.ts'
import type { ThreadRequest } from '../messages.ts'
import type { PageSizes } from './page-sizes.ts'
import { Status, StatusError } from '../status.ts'

/** What calls of peers tell about them. Hints: nothing here is taken for true. */
export interface PeerHints {
  /** The peer has called. */
  seen(peer: PeerId): void
  /** The peer seems to have something of a thread that is not here. */
  ahead(hint: AheadHint): void
  /** The peer says that it has the records of a log up to `counter`. */
  has(peer: PeerId, threadId: ThreadId, log: { id: LogId; counter: number }): void
}

export interface AheadHint {
  readonly peer: PeerId
  readonly threadId: ThreadId
  /** Logs or addresses. */
  readonly logs: boolean
  readonly records: boolean
  /** Logs that it is about; absent if they are not known. */
  readonly only?: ReadonlySet<LogId>
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
  /** Ends the connections of a peer that goes on to send what is not valid. */
  shutOut?(this: void, peer: PeerId, forMs: number): void
}

/** What the handlers of a host share. */
export interface HandlerState extends HandlerContext {
  readonly claims: Claims
  readonly pageSizes: PageSizes
}

/** Claims remembered. */
const MAX_CLAIMS = 10_000

/**
 * Peers that sent a record of a thread and have not shown that they belong to it. Whoever came by a record once could
 * have sent it, so they are told nothing but that there is something to ask for: to ask they must show the service key.
 */
export class Claims {
  readonly #claims = new BoundedCache<string, true>(MAX_CLAIMS)

  add(peer: PeerId, threadId: ThreadId): void {
    this.#claims.set(`${peer} ${threadId}`, true)
  }

  has(peer: PeerId, threadId: ThreadId): boolean {
    return this.#claims.get(`${peer} ${threadId}`) === true
  }
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
