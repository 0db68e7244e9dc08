import type { PeerId } from '../../../core/peer-id.ts'
import { planExchange } from '../../replication/plan.ts'
import type { Edges } from '../../replica.ts'
import { MAX_EDGE_ENTRIES } from '../constants.ts'
import type { ExchangeEdgesReply, ExchangeEdgesRequest, ThreadEdges } from '../messages.ts'
import { Status, StatusError } from '../status.ts'
import type { HandlerState } from './context.ts'

const NOTHING: Edges = { addresses: 0n, heads: 0n }

/** Compares edges; where the caller's differ it is asked for what it has. Strangers hear that threads are not here. */
export async function exchangeEdges(
  state: HandlerState,
  { threads }: ExchangeEdgesRequest,
  caller: PeerId,
): Promise<ExchangeEdgesReply> {
  if (threads.length > MAX_EDGE_ENTRIES) {
    throw new StatusError(
      Status.resourceExhausted,
      `${threads.length} threads, at most ${MAX_EDGE_ENTRIES} are compared`,
    )
  }
  return { threads: threads.map((entry) => compare(state, entry, caller)) }
}

function compare(
  { claims, replica, hints }: HandlerState,
  { threadId, edges }: ThreadEdges,
  caller: PeerId,
): ExchangeEdgesReply['threads'][number] {
  if (!replica.isProven(threadId, caller)) {
    if (!claims.has(caller, threadId)) return { threadId, exists: false, edges: NOTHING }
    return { threadId, exists: true, edges: otherThan(edges) }
  }
  const local = replica.edges(threadId)
  const { logs, records } = planExchange(local, edges)
  if (logs || records) hints.ahead({ peer: caller, threadId, logs, records, cause: { kind: 'edges', edges } })
  return { threadId, exists: local.addresses !== 0n && local.heads !== 0n, edges: local }
}

/** Edges that differ from these and say nothing else: whoever compares them comes to ask, with the service key. */
function otherThan({ addresses, heads }: Edges): Edges {
  return { addresses: addresses === 1n ? 2n : 1n, heads: heads === 1n ? 2n : 1n }
}
