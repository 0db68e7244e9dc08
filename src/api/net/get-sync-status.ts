import { peerIdToBytes } from '../../core/peer-id.ts'
import { threadIdToBytes } from '../../core/thread-id.ts'
import type { ForkedLog, GossipStatus, PeerStatus } from '../../net/index.ts'
import { callOptions, optionalPeerIdOf, pageLimitOf, threadIdOf } from '../decode.ts'
import { int64 } from '../encode.ts'
import type * as pb from '../gen/threadsnet.ts'
import type { RpcContext } from '../service.ts'

/** Logs listed of a kind, or for one peer. */
const MAX_LOGS = 100

export async function getSyncStatus(
  request: pb.GetSyncStatusRequest,
  context: RpcContext,
): Promise<pb.GetSyncStatusReply> {
  const limit = pageLimitOf(request.limit)
  const after = optionalPeerIdOf(request.after)
  const thread = request.threadID.length === 0 ? {} : { thread: threadIdOf(request.threadID) }
  const options = callOptions(context)
  const peers = context.net.syncStatus({ ...options, ...thread })
  const behind = peers.filter(({ peer }) => after === undefined || peer > after)
  const page = behind.toSorted((a, b) => (a.peer < b.peer ? -1 : 1)).slice(0, limit)
  const gossip = context.net.gossipStatus(options)
  const forks = context.net.forkedLogs({ ...options, ...thread })
  return {
    peers: page.map(peerStatus),
    gossip: gossip && gossipStatus(gossip),
    forks: forks.slice(0, MAX_LOGS).map(forkedLog),
    forkCount: int64(forks.length),
  }
}

function forkedLog({ threadId, logId, branches, own }: ForkedLog): pb.ForkedLog {
  return { threadID: threadIdToBytes(threadId), logID: peerIdToBytes(logId), branches: int64(branches), own }
}

function peerStatus({ peer, failure, outstanding, stalls }: PeerStatus): pb.PeerStatus {
  return {
    peerID: peerIdToBytes(peer),
    failures: int64(failure?.times ?? 0),
    retryAtMs: int64(failure?.retryAtMs ?? 0),
    outstanding: outstanding.slice(0, MAX_LOGS).map(({ threadId, logId, has, until }) => ({
      threadID: threadIdToBytes(threadId),
      logID: peerIdToBytes(logId),
      has: int64(has),
      until: int64(until),
    })),
    stalls: stalls.slice(0, MAX_LOGS).map(({ threadId, logId, kind, reason, retryAtMs, times }) => ({
      threadID: threadIdToBytes(threadId),
      logID: peerIdToBytes(logId),
      kind,
      reason,
      retryAtMs: int64(retryAtMs),
      times: int64(times),
    })),
    outstandingCount: int64(outstanding.length),
    stallCount: int64(stalls.length),
  }
}

function gossipStatus({ published, notPublished, taken, dropped }: GossipStatus): pb.GossipStatus {
  const drops = Object.entries(dropped).filter(([, messages]) => messages > 0)
  return {
    published: int64(published),
    notPublished: int64(notPublished),
    taken: int64(taken),
    dropped: drops.map(([reason, messages]) => ({ reason, messages: int64(messages) })),
  }
}
