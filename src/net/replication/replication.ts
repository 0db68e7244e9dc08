import type { AbortOptions } from '../../core/abort.ts'
import type { Clock, Random } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { LogId, PeerId } from '../../core/peer-id.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import { unlessAborted } from '../../util/unless-aborted.ts'
import type { PeerHost } from '../host/libp2p-host.ts'
import type { Pubsub } from '../host/pubsub.ts'
import type { ResolvedNetOptions } from '../options.ts'
import { type BlockSource, createBlockSource } from '../protocol/block-source.ts'
import { createPeerClient, type PeerClient, type SyncOpener } from '../protocol/client.ts'
import type { FaultLimit } from '../protocol/fault-limit.ts'
import type { FrameStream } from '../protocol/frame-stream.ts'
import type { AheadHint, PeerHints } from '../protocol/handlers/context.ts'
import { createHandlers, faultLimitOf, type Handlers } from '../protocol/handlers/handlers.ts'
import { servePeers } from '../protocol/server.ts'
import type { PeerLog, Replica } from '../replica.ts'
import type { ChangeFeed } from '../change-feed.ts'
import type { SyncSession } from '../sync/session.ts'
import { SyncStreams } from '../sync/sync-streams.ts'
import { EdgeExchange } from './edge-exchange.ts'
import { Gossip, type GossipStatus } from './gossip.ts'
import { type Failure, PeerBook, type Stall } from './peer-book.ts'
import { Puller } from './puller.ts'
import { type Outstanding, Pusher } from './pusher.ts'

export interface ReplicationComponents {
  readonly replica: Replica
  readonly host: Pick<PeerHost, 'dial' | 'handle' | 'pubsub' | 'shutOut'>
  /** Default: gRPC over streams of the host. */
  readonly link?: PeerLink
  /** Without it there are no streams of Sync. */
  readonly feed?: ChangeFeed | undefined
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** Is called when a peer of a thread has compared edges, or opened a stream. */
  readonly onAnswer?: (this: void, peer: PeerId) => void
}

/** How this host calls its peers, and they call it. */
export interface PeerLink {
  readonly client: PeerClient
  /** Without it only what peers send by themselves is taken. */
  readonly blocks?: BlockSource
  /** Without it there are no streams of Sync. */
  readonly opener?: SyncOpener | undefined
  /** Hands the calls of peers to `handlers` from now on, and streams of Sync that they open to `onSync`. */
  serve(handlers: Handlers, onSync: ((this: void, stream: FrameStream, peer: PeerId) => void) | undefined): void
}

export type ReplicationOptions = Pick<
  ResolvedNetOptions,
  'pull' | 'pullRecords' | 'pullStartAfterMs' | 'pullInitialIntervalMs' | 'pullIntervalMs'
>

export interface PeerStatus {
  readonly peer: PeerId
  /** Set if the last attempt to reach the peer failed. */
  readonly failure: Failure | undefined
  /** Records written here that the peer has not taken yet. */
  readonly outstanding: readonly Outstanding[]
  /** Logs that do not advance with what the peer sends. */
  readonly stalls: readonly Stall[]
}

/** Tells lives of a host apart. */
const JOURNAL_ID_BYTES = 16

/** Keeps the threads of this host equal to those of its peers. */
export interface Replication {
  /** Starts to pull at intervals, and gossip. Peers are answered from the time the host listens, which it does now. */
  start(): void
  /** Ends all calls; resolves when nothing is under way. */
  stop(): Promise<void>
  /** The store was opened again after a failed write: what peers were told to be here may not be. */
  reset(): void
  /** A record written on this host is durable: sends it to the thread's peers and its topic. */
  localRecord(threadId: ThreadId, logId: LogId, counter: number): void
  /**
   * Fetches what the thread's peers have and this host has not. Peers that cannot be reached, or refuse, are no error.
   * Answers how many peers had nothing more in the end.
   */
  pullThread(threadId: ThreadId, options?: AbortOptions): Promise<number>
  /** The logs of a thread that is not here yet. Throws PEER_UNREACHABLE, PeerRefusal. */
  getLogs(peer: PeerId, threadId: ThreadId, options: AbortOptions & { serviceKey: SymmetricKey }): Promise<PeerLog[]>
  /** Sends all logs of a thread to a peer, which then pulls their records. Throws PEER_UNREACHABLE, PeerRefusal. */
  pushLogs(peer: PeerId, threadId: ThreadId, options: AbortOptions & { withServiceKey: boolean }): Promise<void>
  /** Tells the thread's peers of new addresses of logs, without waiting for them. */
  announceLogs(threadId: ThreadId, logIds: readonly LogId[]): void
  /** What is known of each peer that is not simply up to date, in one thread or in all. */
  syncStatus(threadId?: ThreadId): PeerStatus[]
  /** Absent if the host takes no part in gossip. */
  gossipStatus(): GossipStatus | undefined
}

/** Serves peers on the host and replicates with them. To be called before the host starts. */
export function createReplication(components: ReplicationComponents, options: ReplicationOptions): Replication {
  const { host, replica, clock, logger } = components
  const { link = grpcLink(host, logger) } = components
  const { client, blocks, opener } = link
  const { pubsub } = host
  const shutOut = (peer: PeerId, forMs: number): void => {
    logger.warn({ peer, forMs }, 'a peer goes on to send records that are not valid; it is shut out for a while')
    host.shutOut(peer, forMs)
  }
  const faults = faultLimitOf({ clock, shutOut })
  const replication = new HostReplication({ ...components, client, blocks, opener, faults, pubsub }, options)
  const context = { replica, hints: replication, clock, pullRecords: options.pullRecords }
  const { sync } = replication
  link.serve(createHandlers(context, faults), sync && ((stream, peer) => sync.accept(stream, peer)))
  return replication
}

function grpcLink(host: ReplicationComponents['host'], logger: Logger): PeerLink {
  const client = createPeerClient(host)
  return {
    client,
    opener: client,
    blocks: createBlockSource(host),
    serve: (handlers, onSync) => servePeers({ host, handlers, logger, onSync }),
  }
}

interface HostReplicationComponents extends Omit<ReplicationComponents, 'host' | 'link'> {
  readonly client: PeerClient
  readonly blocks?: BlockSource | undefined
  /** Both, with a feed, or there are no streams of Sync. */
  readonly opener?: SyncOpener | undefined
  readonly faults?: FaultLimit
  /** Without it there is no gossip. */
  readonly pubsub?: Pubsub | undefined
}

/** Replication over any way to call peers; hears from the handlers what calls of peers tell about them. */
export class HostReplication implements Replication, PeerHints {
  readonly #components: HostReplicationComponents
  readonly #options: ReplicationOptions
  readonly #stopping = new AbortController()
  readonly #book: PeerBook
  readonly #puller: Puller
  readonly #pusher: Pusher
  readonly #exchange: EdgeExchange
  readonly #gossip: Gossip | undefined
  /** Absent if the host does without Sync. */
  readonly sync: SyncStreams | undefined

  constructor(components: HostReplicationComponents, options: ReplicationOptions) {
    const { clock, pubsub, random } = components
    this.#components = components
    this.#options = options
    this.#book = new PeerBook({ clock, random, onReached: (peer) => this.#reached(peer) })
    this.sync = this.#syncStreams(components)
    const shared = { ...components, book: this.#book, sync: this.sync, signal: this.#stopping.signal }
    this.#puller = new Puller(shared, options)
    this.#pusher = new Pusher({ ...shared, introduce: (peer, threadId) => this.#introduce(peer, threadId) })
    this.#exchange = new EdgeExchange({ ...shared, puller: this.#puller }, options)
    this.#gossip = pubsub && new Gossip({ ...shared, pubsub, hints: this })
  }

  #syncStreams({ opener, feed, faults, ...components }: HostReplicationComponents): SyncStreams | undefined {
    if (opener === undefined || feed === undefined || faults === undefined) return undefined
    return new SyncStreams({
      ...components,
      opener,
      feed,
      faults,
      hints: this,
      journalId: components.random(JOURNAL_ID_BYTES),
      pull: (peer, threadId, only) => this.#puller.pull(peer, threadId, { logs: false, records: true, only }),
      isPushing: (peer, threadId, logId) => this.#pusher.isPushing(peer, threadId, logId),
      onReady: (session) => this.#onStream(session),
      onMember: (peer) => this.#components.onAnswer?.(peer),
    })
  }

  #reached(peer: PeerId): void {
    this.sync?.forget(peer)
    this.#pusher.resume(peer)
  }

  #onStream({ peer, isOpener }: SyncSession): void {
    this.#book.reached(peer)
    this.#pusher.resume(peer)
    if (isOpener) this.#components.onAnswer?.(peer)
  }

  start(): void {
    if (this.#options.pull) this.#exchange.start()
    this.#gossip?.start()
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new ThreadsError('CLOSED', 'the host is stopping'))
    this.sync?.stop()
    this.#components.client.close()
    const parts = [this.#exchange, this.#puller, this.#pusher, this.#gossip, this.sync]
    await Promise.all(parts.map(async (part) => part?.settled()))
  }

  reset(): void {
    this.sync?.reset()
  }

  localRecord(threadId: ThreadId, logId: LogId, counter: number): void {
    this.#pusher.localRecord(threadId, logId, counter)
    this.#gossip?.localRecord(threadId, logId, counter)
  }

  async pullThread(threadId: ThreadId, { signal }: AbortOptions = {}): Promise<number> {
    const { replica, logger } = this.#components
    const pulls = replica.peers(threadId).map(async (peer) => {
      try {
        await this.#puller.pull(peer, threadId, { logs: true, records: true })
        return 1
      } catch (error) {
        if (!(error instanceof ThreadsError)) throw error
        logger.debug({ peer, thread: threadId, code: error.code, reason: error.message }, 'could not pull')
        return 0
      }
    })
    const all = Promise.all(pulls)
    const answered: number[] = await (signal === undefined ? all : unlessAborted(() => all, signal))
    return answered.reduce((sum, each) => sum + each, 0)
  }

  async getLogs(
    peer: PeerId,
    threadId: ThreadId,
    { serviceKey, signal }: AbortOptions & { serviceKey: SymmetricKey },
  ): Promise<PeerLog[]> {
    const { client } = this.#components
    const reply = await client.call(peer, 'getLogs', { threadId, serviceKey }, signal === undefined ? {} : { signal })
    this.#book.reached(peer)
    return [...reply.logs]
  }

  async pushLogs(peer: PeerId, threadId: ThreadId, options: AbortOptions & { withServiceKey: boolean }): Promise<void> {
    await this.#pusher.pushLogs(peer, threadId, { ...options, logs: this.#components.replica.logs(threadId) })
    this.#book.reached(peer)
  }

  announceLogs(threadId: ThreadId, logIds: readonly LogId[]): void {
    const { replica, logger } = this.#components
    const logs = replica.logs(threadId).filter(({ id }) => logIds.includes(id))
    if (logs.length === 0) return
    for (const peer of replica.peers(threadId)) {
      this.#pusher.pushLogs(peer, threadId, { logs, withServiceKey: false }).catch((error: unknown) => {
        if (!this.#stopping.signal.aborted) logger.debug({ peer, thread: threadId, error }, 'could not announce logs')
      })
    }
  }

  syncStatus(threadId?: ThreadId): PeerStatus[] {
    const { failures, stalls } = this.#book.status()
    const stallsOf = Map.groupBy(stalls, ({ peer }) => peer)
    const peers = new Set([...failures.keys(), ...stallsOf.keys(), ...this.#pusher.peers()])
    const all = [...peers].map((peer) => ({
      peer,
      failure: failures.get(peer),
      outstanding: this.#pusher.outstanding(peer),
      stalls: stallsOf.get(peer) ?? [],
    }))
    return threadId === undefined ? all : statusIn(all, threadId, this.#components.replica.peers(threadId))
  }

  gossipStatus(): GossipStatus | undefined {
    return this.#gossip?.status()
  }

  ahead({ peer, threadId, logs, records, only, cause }: AheadHint): void {
    const { replica } = this.#components
    if (cause.kind === 'push') {
      return this.#puller.pullSoon(peer, threadId, { wants: { logs, records, ...(only && { only }) } })
    }
    const local = replica.edges(threadId)
    const remote = cause.kind === 'edges' ? cause.edges : undefined
    this.#puller.pullSoon(peer, threadId, { wants: { logs, records }, edges: { local, remote } })
  }

  /** Asks for what the peer has: that shows it the service key, and what is here. */
  #introduce(peer: PeerId, threadId: ThreadId): void {
    const local = this.#components.replica.edges(threadId)
    this.#puller.pullSoon(peer, threadId, { wants: { logs: true, records: true }, edges: { local } })
  }

  seen(peer: PeerId): void {
    this.#book.reached(peer)
  }

  has(peer: PeerId, threadId: ThreadId, log: { id: LogId; counter: number }): void {
    this.#pusher.has(peer, threadId, log)
  }
}

function statusIn(all: readonly PeerStatus[], threadId: ThreadId, peers: readonly PeerId[]): PeerStatus[] {
  const members = new Set(peers)
  const ofThread = all.map(({ peer, failure, outstanding, stalls }) => ({
    peer,
    failure: members.has(peer) ? failure : undefined,
    outstanding: outstanding.filter((each) => each.threadId === threadId),
    stalls: stalls.filter((each) => each.threadId === threadId),
  }))
  return ofThread.filter(({ failure, outstanding, stalls }) => {
    return failure !== undefined || outstanding.length + stalls.length > 0
  })
}
