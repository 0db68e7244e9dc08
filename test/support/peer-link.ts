import { randomBytes } from 'node:crypto'
import type { AbortOptions } from '../../src/core/abort.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { type Logger, silentLogger } from '../../src/core/logger.ts'
import type { LogId, PeerId } from '../../src/core/peer-id.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { BlockSource } from '../../src/net/protocol/block-source.ts'
import type { PeerClient } from '../../src/net/protocol/client.ts'
import { createHandlers, type Handlers } from '../../src/net/protocol/handlers/handlers.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from '../../src/net/protocol/methods.ts'
import { PeerRefusal, Status, statusOf } from '../../src/net/protocol/status.ts'
import { HostReplication, type ReplicationOptions } from '../../src/net/replication/replication.ts'
import { unlessAborted } from '../../src/util/unless-aborted.ts'
import { FakeReplica } from './fake-replica.ts'

export interface LinkedPeer {
  readonly replica: FakeReplica
  readonly replication: HostReplication
}

export interface LinkedPeerOptions extends Partial<ReplicationOptions> {
  clock?: Clock
  logger?: Logger
  blocks?: BlockSource
}

export interface Call {
  readonly from: PeerId
  readonly to: PeerId
  readonly method: MethodName
  readonly request: unknown
}

const OPTIONS: ReplicationOptions = {
  pull: true,
  pullRecords: 10_000,
  pullStartAfterMs: 1_000,
  pullInitialIntervalMs: 1_000,
  pullIntervalMs: 10_000,
}

/** Peers that call each other in memory, through the same handlers and messages as over a network. */
export class PeerLinks {
  readonly calls: Call[] = []
  readonly #handlers = new Map<PeerId, Handlers>()
  readonly #down = new Set<PeerId>()

  add(options: LinkedPeerOptions = {}): LinkedPeer {
    const { clock = systemClock, logger = silentLogger, blocks, ...rest } = options
    const replica = new FakeReplica()
    const client: PeerClient = {
      call: (peer, method, request, abort) => this.#call({ from: replica.hostId, to: peer, method, request }, abort),
      close: () => {},
    }
    const settings = { ...OPTIONS, ...rest }
    const components = { replica, client, blocks, clock, random: randomBytes, logger }
    const replication = new HostReplication(components, settings)
    const handlers = createHandlers({ replica, hints: replication, clock, pullRecords: settings.pullRecords })
    this.#handlers.set(replica.hostId, handlers)
    return { replica, replication }
  }

  /** Cuts a peer off, or connects it again. */
  setDown(peer: LinkedPeer, down: boolean): void {
    if (down) this.#down.add(peer.replica.hostId)
    else this.#down.delete(peer.replica.hostId)
  }

  handlersOf(peer: LinkedPeer): Handlers {
    const handlers = this.#handlers.get(peer.replica.hostId)
    if (handlers === undefined) throw new Error('the peer is not linked')
    return handlers
  }

  /** Answers calls of a peer in place of its handlers. */
  answer(peer: LinkedPeer, answers: Partial<Handlers>): void {
    this.#handlers.set(peer.replica.hostId, { ...this.handlersOf(peer), ...answers })
  }

  callsOf(method: MethodName, to?: LinkedPeer): Call[] {
    return this.calls.filter((call) => call.method === method && (to === undefined || call.to === to.replica.hostId))
  }

  async #call<M extends MethodName>(
    call: { from: PeerId; to: PeerId; method: M; request: RequestOf<M> },
    { signal }: AbortOptions = {},
  ): Promise<ReplyOf<M>> {
    await Promise.resolve()
    signal?.throwIfAborted()
    const { from, to } = call
    this.calls.push(call)
    const handlers = this.#handlers.get(to)
    if (handlers === undefined || this.#down.has(to) || this.#down.has(from)) {
      throw new ThreadsError('PEER_UNREACHABLE', 'the link is down')
    }
    const method = methods[call.method] as Method<RequestOf<M>, ReplyOf<M>>
    const handler = handlers[call.method] as (request: RequestOf<M>, caller: PeerId) => Promise<ReplyOf<M>>
    try {
      const request = method.request.decode(method.request.encode(call.request))
      const answer = (): Promise<ReplyOf<M>> => handler(request, from)
      const reply = await (signal === undefined ? answer() : unlessAborted(answer, signal))
      return method.reply.decode(method.reply.encode(reply))
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined) throw error
      if (status.code === Status.deadlineExceeded) {
        throw new ThreadsError('PEER_UNREACHABLE', 'the peer is too slow', { cause: status })
      }
      throw new PeerRefusal(status.code, status.message)
    }
  }
}

interface HoldsThreads {
  readonly replica: FakeReplica
}

/** A thread that both peers hold, with a log of each; neither knows the other's yet. */
export function shareThread(a: HoldsThreads, b: HoldsThreads): { threadId: ThreadId; logs: { a: LogId; b: LogId } } {
  const threadId = a.replica.addThread()
  const { service, read } = a.replica.threads.get(threadId) ?? {}
  if (service === undefined) throw new Error('the thread has no key')
  b.replica.addThread({ id: threadId, service, read })
  const logs = { a: a.replica.addOwnLog(threadId), b: b.replica.addOwnLog(threadId) }
  return { threadId, logs }
}

/** Each learns of the other's log, as after joining. */
export async function introduce(a: HoldsThreads, b: HoldsThreads, threadId: ThreadId): Promise<void> {
  const [ofA, ofB] = [a.replica.logs(threadId), b.replica.logs(threadId)]
  await a.replica.addLogs(threadId, ofB)
  await b.replica.addLogs(threadId, ofA)
}
