import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../core/abort.ts'
import { type Address, peerIdOfAddress, dialPartOf, threadAddress, threadIdOfAddress } from '../core/address.ts'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import { type Identity, identityOf } from '../core/identity.ts'
import type { PrivateKey } from '../core/keys.ts'
import type { Logger } from '../core/logger.ts'
import { type LogId, type PeerId, peerIdOf } from '../core/peer-id.ts'
import { openRecord, type Record, type RecordBlocks } from '../core/record.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { ThreadKey } from '../core/thread-key.ts'
import { issueToken, TokenVerifier } from '../core/token.ts'
import type { Commit } from '../store/commit.ts'
import type { HostStore } from '../store/host-store.ts'
import type { Journal } from '../store/journal.ts'
import type { App, OwnedThread, ThreadRecord } from './app.ts'
import type { BackupFrame } from './backup-frame.ts'
import { Backups } from './backup.ts'
import { createChangeFeed } from './change-feed.ts'
import { forkedLogs, mainChains } from './chains.ts'
import { deleteThreadRows } from './deletion.ts'
import type { ThreadDraft } from './draft.ts'
import { FirstPulls } from './first-pulls.ts'
import { HostReplica } from './host-replica.ts'
import { createPeerHost, type PeerHost } from './host/libp2p-host.ts'
import type { BackupOptions, CallerOptions, ForkedLog, Net, NewThreadOptions, ThreadInfo } from './index.ts'
import { Membership } from './membership.ts'
import { type NetOptions, type ResolvedNetOptions, resolveNetOptions } from './options.ts'
import { ThreadOwner } from './owner.ts'
import { PeerAddresses } from './peer-addresses.ts'
import { Receiver } from './receive.ts'
import { recordFeed } from './record-feed.ts'
import { RecordReader } from './record-reader.ts'
import { repairThreads } from './repair.ts'
import type { GossipStatus } from './replication/gossip.ts'
import { createReplication, type PeerStatus, type PeerLink, type Replication } from './replication/replication.ts'
import { logOfNumber, type ThreadState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import { Threads } from './threads.ts'
import { Writer } from './writer.ts'

/** Time after which deletions that were cut off go on: after a failed write the store takes writes again by then. */
const DELETION_DELAY_MS = 1_000

export interface NetComponents {
  readonly store: HostStore
  /** Key of the host: its peer id, its identity, and what signs its tokens. */
  readonly privateKey: PrivateKey
  /** Default: libp2p, with the options that concern it. */
  readonly network?: PeerNetwork
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
}

/** A network of another kind than libp2p, as simulations have. */
export interface PeerNetwork {
  readonly host: PeerHost
  readonly link: PeerLink
}

/** Opens the net layer over a store. It listens and replicates once started. */
export async function createNet(components: NetComponents, options: NetOptions = {}): Promise<Net> {
  const resolved = resolveNetOptions(options)
  const { store } = components
  const logger = components.logger.child('net')
  await repairThreads(store, logger)
  const threads = new Threads(store.reads)
  const deleting = await threads.load()
  const addresses = await PeerAddresses.load(store)
  const { network, privateKey } = components
  const onAddresses: PeerAddresses['hear'] = (peer, told) => addresses.hear(peer, told)
  const host = network?.host ?? (await createPeerHost({ ...resolved, privateKey, logger, onAddresses }))
  for (const [peer, known] of addresses.all()) host.remember(peer, known)
  return new HostNet({ ...components, logger, threads, deleting, host, addresses }, resolved)
}

interface HostNetComponents extends NetComponents {
  readonly threads: Threads
  /** Threads whose deletion was cut off. */
  readonly deleting: readonly ThreadState[]
  readonly host: PeerHost
  readonly addresses: PeerAddresses
}

class HostNet implements Net {
  readonly hostId: PeerId
  readonly identity: Identity
  readonly journal: Journal
  readonly #components: HostNetComponents
  readonly #threads: Threads
  readonly #records: RecordReader
  readonly #tokens: TokenVerifier
  readonly #writer: Writer
  readonly #receiver: Receiver
  readonly #membership: Membership
  readonly #replication: Replication
  readonly #backups: Backups
  readonly #pulls: FirstPulls
  readonly #stopping = new AbortController()
  readonly #forgetReset: () => void
  #cancelDeletion: (() => void) | undefined

  constructor(components: HostNetComponents, options: ResolvedNetOptions) {
    const { store, clock, random, logger, threads } = components
    const { committer, journal } = store
    this.#components = components
    this.#threads = threads
    this.hostId = peerIdOf(components.privateKey.publicKey)
    this.identity = identityOf(components.privateKey.publicKey)
    this.journal = journal
    this.#records = new RecordReader(store.reads)
    this.#tokens = new TokenVerifier(components.privateKey.publicKey)
    this.#writer = new Writer({ committer, journal, clock, logger })
    const writer = this.#writer
    this.#receiver = new Receiver({ writer, logger }, options)
    const { hostId, identity } = this
    this.#membership = new Membership({ threads, writer, hostId, identity, random }, options)
    const shared = { hostId, threads, writer, receiver: this.#receiver, records: this.#records, journal }
    const replica = new HostReplica(shared, options)
    const network = { host: components.host, ...(components.network && { link: components.network.link }) }
    const onAnswer = (peer: PeerId): void => void this.#keepAddresses(peer)
    const feed = createChangeFeed({ journal, threads })
    this.#replication = createReplication({ replica, feed, ...network, clock, random, logger, onAnswer }, options)
    this.#backups = new Backups({ store, clock })
    const { signal } = this.#stopping
    this.#pulls = new FirstPulls({ replication: this.#replication, writer, logger, signal })
    this.#owned = { membership: this.#membership, writer, pulls: this.#pulls, random, options, store }
    this.#forgetReset = store.onReset(() => this.#reload())
  }

  readonly #owned: ConstructorParameters<typeof ThreadOwner>[1]

  issueToken(identity: Identity): string {
    const { privateKey, clock } = this.#components
    return issueToken(privateKey, identity, Math.floor(clock.nowMs() / 1000))
  }

  authenticate(token: string): Caller {
    const identity = this.#tokens.verify(token, Math.floor(this.#components.clock.nowMs() / 1000))
    return identity === undefined ? {} : { identity }
  }

  async createThread(id: ThreadId, options: NewThreadOptions = {}): Promise<ThreadInfo> {
    const entry = await this.#membership.create(id, options)
    if (hasUnpulled(entry)) this.#pulls.start(entry)
    return this.#info(entry)
  }

  async addThread(address: Address, options: NewThreadOptions & { key: ThreadKey }): Promise<ThreadInfo> {
    const id = threadIdOfAddress(address)
    this.#membership.refuseSecondLog(id, options)
    const hostAddress = address.slice(0, address.lastIndexOf(`/thread/${id}`)) as Address
    const peer = hostAddress.length === 0 ? undefined : peerIdOfAddress(hostAddress)
    if (peer === undefined) throw new ThreadsError('INVALID_ADDRESS', 'invalid p2p multiaddr')
    if (peer === this.hostId) {
      if (this.#threads.find(id) === undefined) {
        throw new ThreadsError('THREAD_NOT_FOUND', 'cannot retrieve thread from self: thread not found')
      }
      const entry = await this.#membership.join(id, { ...options, logs: [] })
      if (hasUnpulled(entry)) this.#pulls.start(entry)
      return this.#info(entry)
    }
    await this.#rememberPeer(peer, hostAddress)
    const logs = await this.#replication.getLogs(peer, id, { serviceKey: options.key.service, ...signalOf(options) })
    const entry = await this.#membership.join(id, { ...options, logs })
    entry.prove(peer)
    const own = [...entry.stored.logs.values()].filter((log) => log.managed).map((log) => log.id)
    // A go-threads host pushes to those whose logs it knows, and would find ours only when it compares edges.
    this.#replication.announceLogs(id, own)
    if (hasUnpulled(entry)) await this.#pulls.run(entry, signalOf(options))
    else this.#pullInBackground(id)
    return this.#info(entry)
  }

  async getThread(id: ThreadId, _options: CallerOptions = {}): Promise<ThreadInfo> {
    return this.#info(this.#threads.get(id))
  }

  listThreads(): ThreadId[] {
    return this.#threads.all().map((entry) => entry.id)
  }

  async pullThread(id: ThreadId, options: CallerOptions = {}): Promise<void> {
    this.#threads.get(id)
    await this.#replication.pullThread(id, signalOf(options))
  }

  async deleteThread(id: ThreadId, options: CallerOptions & { owner?: OwnedThread } = {}): Promise<void> {
    const entry = this.#threads.get(id)
    if (entry.app !== undefined && options.owner?.id !== id) {
      throw new ThreadsError('THREAD_IN_USE', 'cannot delete thread: thread is in use')
    }
    const { stored } = await this.#writer.write(entry, markDeleting, { frees: true })
    await stored
    this.#threads.remove(entry)
    await deleteThreadRows(this.#components.store, entry)
  }

  async addReplicator(id: ThreadId, address: Address, options: CallerOptions = {}): Promise<PeerId> {
    const entry = this.#threads.get(id)
    const peer = peerOf(address)
    const wasProven = entry.isProven(peer)
    const changed = await this.#membership.addReplicator(entry, peer)
    if (peer === this.hostId) return peer
    entry.prove(peer)
    try {
      await this.#rememberPeer(peer, address)
      await this.#replication.pushLogs(peer, id, { withServiceKey: true, ...signalOf(options) })
    } catch (error) {
      if (!wasProven) entry.disprove(peer)
      await this.#membership.removeReplicator(entry, peer, changed).catch((failure: unknown) => {
        this.#components.logger.warn({ thread: id, peer, error: failure }, 'could not take a replicator back')
      })
      throw error
    }
    this.#replication.announceLogs(id, changed)
    return peer
  }

  async createRecord(id: ThreadId, body: Uint8Array, options: CallerOptions = {}): Promise<ThreadRecord> {
    const entry = this.#threads.get(id)
    if (entry.app !== undefined) throw new ThreadsError('THREAD_IN_USE', 'cannot create record: thread is in use')
    const owner = new ThreadOwner(entry, this.#owned)
    const { result, stored } = await owner.write((draft) => draft.append(options.caller ?? {}, body))
    await stored
    return result
  }

  async addRecord(id: ThreadId, logId: LogId, blocks: RecordBlocks, _options: CallerOptions = {}): Promise<void> {
    const entry = this.#threads.get(id)
    const log = entry.stored.logs.get(logId)
    if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
    if (log.managed && log.retired) {
      throw new ThreadsError('BROKEN_CHAIN', 'the log may be longer than it is here; it is written no more', {
        hint: 'Write to a log of another key.',
      })
    }
    await this.#refuseFork(entry, logId, openRecord(blocks.recordNode, entry.stored.key.service))
    const receipt = await this.#receiver.receive(entry, { logId, records: [blocks] })
    if (receipt.gap) throw new ThreadsError('BROKEN_CHAIN', 'the record before this one is not here; add it first')
    if (receipt.dropped) throw otherRecord(logId)
  }

  /** What a log was made to say twice is kept if peers bring it; a client is told that it is about to do that. */
  async #refuseFork({ stored }: ThreadEntry, logId: LogId, { cid, prev }: Record): Promise<void> {
    const before = prev && (await this.#records.find(stored, prev))
    if (before === undefined || before.counter >= before.log.head.counter) return
    if ((await this.#records.find(stored, cid)) === undefined) throw otherRecord(logId)
  }

  async getRecord(id: ThreadId, cid: CID, _options: CallerOptions = {}): Promise<ThreadRecord> {
    const entry = this.#threads.find(id)
    if (entry === undefined) throw new ThreadsError('SERVICE_KEY_REQUIRED', 'a service-key is required to get records')
    const found = await this.#records.find(entry.stored, cid)
    if (found === undefined) throw new ThreadsError('RECORD_NOT_FOUND', `record ${cid.toString()} is not here`)
    return this.#records.at(entry.stored, found.log, found.counter)
  }

  subscribe(options: CallerOptions & { threads?: readonly ThreadId[] } = {}): AsyncIterable<ThreadRecord> {
    const { threads = [], signal } = options
    const { reads } = this.#components.store
    const components = { journal: this.journal, threads: this.#threads, reads, records: this.#records }
    const signals = [this.#stopping.signal, ...(signal === undefined ? [] : [signal])]
    return recordFeed(components, { wanted: new Set(threads), signals })
  }

  ownedThreads(): { id: ThreadId; appData: unknown }[] {
    const owned = this.#threads.all().filter((entry) => entry.stored.appData !== undefined)
    return owned.map((entry) => ({ id: entry.id, appData: entry.stored.appData }))
  }

  attach<T extends App>(id: ThreadId, build: (thread: OwnedThread) => T): T {
    const entry = this.#threads.get(id)
    if (entry.app !== undefined) throw new ThreadsError('THREAD_IN_USE', 'thread is in use')
    const app = build(new ThreadOwner(entry, this.#owned))
    entry.app = app
    return app
  }

  hostAddresses(): Address[] {
    return this.#components.host.addresses()
  }

  async connect(address: Address, options: AbortOptions = {}): Promise<void> {
    const peer = peerOf(address)
    await this.#rememberPeer(peer, address)
    await this.#components.host.connect(peer, options)
  }

  syncStatus({ thread }: CallerOptions & { thread?: ThreadId } = {}): PeerStatus[] {
    if (thread !== undefined) this.#threads.get(thread)
    return this.#replication.syncStatus(thread)
  }

  forkedLogs({ thread }: CallerOptions & { thread?: ThreadId } = {}): ForkedLog[] {
    const entries = thread === undefined ? this.#threads.all() : [this.#threads.get(thread)]
    return entries.flatMap(({ stored }) => forkedLogs(stored))
  }

  gossipStatus(_options: CallerOptions = {}): GossipStatus | undefined {
    return this.#replication.gossipStatus()
  }

  backup(options: BackupOptions = {}): AsyncIterable<BackupFrame> {
    return this.#backups.take(options)
  }

  async start(): Promise<void> {
    await this.#components.host.start()
    this.#replication.start()
    this.#deleteLater(this.#components.deleting)
    this.#announceRecords().catch((error: unknown) => {
      if (!hasCode(error, 'CLOSED')) this.#components.logger.error({ error }, 'new records are not announced any more')
    })
  }

  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#forgetReset()
    this.#cancelDeletion?.()
    await this.#replication.stop()
    await this.#components.host.close()
    const { committer } = this.#components.store
    const threads = this.#threads.all()
    for (const entry of threads) entry.stopWaiting()
    await Promise.allSettled(threads.map((entry) => committer.settled(entry.number)))
  }

  /** The store was opened again after a failed write. Nobody writes before this has ended. */
  async #reload(): Promise<void> {
    this.#replication.reset()
    await repairThreads(this.#components.store, this.#components.logger)
    const deleting = await this.#threads.load()
    for (const entry of this.#threads.all()) this.#writer.resumeSoon(entry)
    this.#deleteLater(deleting)
  }

  /** Goes on with deletions that were cut off. Long ones would keep the host from starting. */
  #deleteLater(deleting: readonly ThreadState[]): void {
    this.#cancelDeletion?.()
    if (deleting.length === 0) return
    this.#cancelDeletion = this.#components.clock.after(DELETION_DELAY_MS, () => {
      for (const state of deleting) this.#deleteInBackground(state)
    })
  }

  #deleteInBackground(state: ThreadState): void {
    const { store, logger } = this.#components
    deleteThreadRows(store, state).catch((error: unknown) => {
      logger.warn({ thread: state.id, error }, 'a thread is not deleted yet; that goes on at the next start')
    })
  }

  /** Tells peers of records written on this host, once they are durable. */
  async #announceRecords(): Promise<void> {
    const { signal } = this.#stopping
    while (!signal.aborted) {
      for await (const update of this.journal.subscribe({ signal })) {
        // Commits that were passed over reach peers when they pull.
        if (update.kind === 'resync') break
        this.#announce(update.commit)
      }
    }
  }

  #announce({ thread, heads }: Commit): void {
    const entry = this.#threads.byNumber(thread)
    if (entry === undefined) return
    for (const move of heads) {
      const log = logOfNumber(entry.stored, move.log)
      if (log?.managed === true) this.#replication.localRecord(entry.id, log.id, move.to)
    }
  }

  async #rememberPeer(peer: PeerId, address: Address): Promise<void> {
    const transport = dialPartOf(address)
    if (transport === undefined) return
    this.#components.host.remember(peer, [transport])
    await this.#components.addresses.add(peer, transport)
  }

  async #keepAddresses(peer: PeerId): Promise<void> {
    const { addresses, host, logger } = this.#components
    try {
      const known = await addresses.keep(peer)
      if (known.length > 0) host.remember(peer, known)
    } catch (error) {
      logger.debug({ peer, error }, 'could not store the addresses of a peer')
    }
  }

  #pullInBackground(id: ThreadId): void {
    const { signal } = this.#stopping
    this.#replication.pullThread(id, { signal }).catch((error: unknown) => {
      if (!signal.aborted)
        this.#components.logger.warn({ thread: id, error }, 'could not pull a thread that was joined')
    })
  }

  #info(entry: ThreadEntry): ThreadInfo {
    const { stored } = entry
    return {
      id: stored.id,
      key: stored.key,
      logs: mainChains(stored),
      addresses: this.hostAddresses().map((address) => threadAddress(address, this.hostId, stored.id)),
    }
  }
}

async function markDeleting(draft: ThreadDraft): Promise<void> {
  draft.setThread({ phase: 'deleting' })
}

function hasUnpulled(entry: ThreadEntry): boolean {
  return [...entry.stored.logs.values()].some((log) => log.unpulled)
}

function peerOf(address: Address): PeerId {
  const peer = peerIdOfAddress(address)
  if (peer === undefined) throw new ThreadsError('INVALID_ADDRESS', 'protocol not found in multiaddr')
  return peer
}

function otherRecord(logId: LogId): ThreadsError {
  return new ThreadsError('BROKEN_CHAIN', `log ${logId} has another record at this position`)
}

function signalOf(options: AbortOptions): AbortOptions {
  return options.signal === undefined ? {} : { signal: options.signal }
}
