import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../core/abort.ts'
import type { Address } from '../core/address.ts'
import type { Caller } from '../core/caller.ts'
import type { Identity } from '../core/identity.ts'
import type { PrivateKey, PublicKey } from '../core/keys.ts'
import type { LogId, PeerId } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { ThreadKey } from '../core/thread-key.ts'
import type { Journal } from '../store/journal.ts'
import type { App, OwnedThread, ThreadRecord } from './app.ts'
import type { BackupChain, BackupFrame } from './backup-frame.ts'
import type { GossipStatus } from './replication/gossip.ts'
import type { PeerStatus } from './replication/replication.ts'

export type { App, Cursor, Draft, FoldContext, FoldOutcome, OwnedThread, ThreadRecord } from './app.ts'
export type { BranchPoint, RecordPlace, WaitingLog, WaitReason } from './app.ts'
export type { ChainKey } from './chain-key.ts'
export { createNet, type NetComponents } from './net.ts'
export { BackupCheck } from './backup-check.ts'
export { type BackupChain, type BackupFrame, chainName } from './backup-frame.ts'
export { Restore, type Restored } from './backup-restore.ts'
export { mendLosses } from './repair.ts'
export type { StoredThread } from './stored-thread.ts'
export { type CheckedThread, type ThreadsCheck, verifyThreads } from './verify.ts'
export type { NetOptions } from './options.ts'
export type { GossipStatus } from './replication/gossip.ts'
export type { PeerStatus } from './replication/replication.ts'

// What a program needs besides to run a net of its own.
export { type Address, parseAddress } from '../core/address.ts'
export { systemClock } from '../core/clock.ts'
export { ThreadsError } from '../core/errors.ts'
export { decodePrivateKey, generateKey, type PrivateKey } from '../core/keys.ts'
export { type Logger, silentLogger } from '../core/logger.ts'
export { newThreadId, type ThreadId } from '../core/thread-id.ts'
export { newThreadKey, parseThreadKey, type ThreadKey } from '../core/thread-key.ts'
export { openHostStore } from '../store/host-store.ts'

/** Newest record of a log and its 1-based position; counter 0 and no CID for an empty log. */
export interface Head {
  readonly counter: number
  readonly cid: CID | undefined
}

export interface LogInfo {
  readonly id: LogId
  readonly publicKey: PublicKey
  /** Present if this host can write the log. */
  readonly privateKey: PrivateKey | undefined
  readonly addresses: readonly Address[]
  readonly head: Head
}

export interface ThreadInfo {
  readonly id: ThreadId
  readonly key: ThreadKey
  readonly logs: readonly LogInfo[]
  /** Where other hosts can join the thread: one for each address of this host. */
  readonly addresses: readonly Address[]
}

export interface CallerOptions extends AbortOptions {
  /** Default: anonymous; the host's own identity then writes. */
  caller?: Caller
}

export interface NewThreadOptions extends CallerOptions {
  /** Default: random, with a read part. */
  key?: ThreadKey
  /** Key of the caller's log. A public key alone makes a log that only its owner can write, elsewhere. */
  logKey?: PrivateKey | PublicKey
  /** What the owner to be keeps with the thread; stored in the same batch as the thread and its log. */
  appData?: unknown
}

export interface BackupOptions extends CallerOptions {
  /** Default: all threads. */
  thread?: ThreadId
  /** Chains, with their heads, of an earlier backup of this store: what is in that is left out. */
  known?: readonly BackupChain[]
}

export interface ForkedLog {
  readonly threadId: ThreadId
  readonly logId: LogId
  /** Chains beside the one held first. */
  readonly branches: number
  /** This host has its key; it is not written any more. */
  readonly own: boolean
}

/** Replication of logs. Knows records, never collections. */
export interface Net {
  readonly hostId: PeerId
  /** Identity of the host itself: the author of records written by anonymous callers. */
  readonly identity: Identity
  readonly journal: Journal

  /** A token that names `identity` on this host. The caller must have proven that he holds its key. */
  issueToken(identity: Identity): string
  /** The caller a token names; an empty token is an anonymous caller. Throws TOKEN_INVALID. */
  authenticate(token: string): Caller

  /** Creates a thread with one log of the caller. Throws LOG_EXISTS, KEY_MISMATCH. */
  createThread(id: ThreadId, options?: NewThreadOptions): Promise<ThreadInfo>
  /** Joins a thread at an address of the form `<transport>/p2p/<peer>/thread/<id>`. Records follow by themselves. */
  addThread(address: Address, options: NewThreadOptions & { key: ThreadKey }): Promise<ThreadInfo>
  /** Throws THREAD_NOT_FOUND. */
  getThread(id: ThreadId, options?: CallerOptions): Promise<ThreadInfo>
  listThreads(): ThreadId[]
  /** Fetches what the thread's peers have and this host has not. Unreachable peers are no error. */
  pullThread(id: ThreadId, options?: CallerOptions): Promise<void>
  /** Throws THREAD_IN_USE for a thread that has an owner, unless it is the owner who asks. */
  deleteThread(id: ThreadId, options?: CallerOptions & { owner?: OwnedThread }): Promise<void>
  /** Asks a peer to keep a full copy, without the read key. Answers its id. */
  addReplicator(id: ThreadId, address: Address, options?: CallerOptions): Promise<PeerId>
  /** Appends a record to the caller's log. Throws THREAD_IN_USE, READ_KEY_REQUIRED, PRIVATE_KEY_REQUIRED. */
  createRecord(id: ThreadId, body: Uint8Array, options?: CallerOptions): Promise<ThreadRecord>
  /** Takes a record made elsewhere. Throws LOG_NOT_FOUND, BAD_SIGNATURE, BROKEN_CHAIN. */
  addRecord(id: ThreadId, logId: LogId, blocks: RecordBlocks, options?: CallerOptions): Promise<void>
  /** Throws RECORD_NOT_FOUND. */
  getRecord(id: ThreadId, cid: CID, options?: CallerOptions): Promise<ThreadRecord>
  /** Every record stored from now on, local or received, in the order of storing. No `threads`: of all. */
  subscribe(options?: CallerOptions & { threads?: readonly ThreadId[] }): AsyncIterable<ThreadRecord>

  /** Threads that keep data of an owner, in order of creation. */
  ownedThreads(): { id: ThreadId; appData: unknown }[]
  /**
   * Makes an owner of the thread. `build` gets the thread and answers what folds it. Records that come from now on are
   * folded; those that wait are when the owner calls `resume`. Throws THREAD_NOT_FOUND, THREAD_IN_USE.
   */
  attach<T extends App>(id: ThreadId, build: (thread: OwnedThread) => T): T
  /** Addresses at which other hosts reach this one, without `/p2p`. */
  hostAddresses(): Address[]
  /** Connects to a peer now; useful to warm up a known address. Throws PEER_UNREACHABLE. */
  connect(address: Address, options?: AbortOptions): Promise<void>
  /**
   * Peers that are not simply up to date: unreachable, behind with our records, or with bad or broken logs. `thread`: only
   * what concerns it. Throws THREAD_NOT_FOUND.
   */
  syncStatus(options?: CallerOptions & { thread?: ThreadId }): PeerStatus[]
  /** Logs whose owner signed two records after the same one. `thread`: only of that. Throws THREAD_NOT_FOUND. */
  forkedLogs(options?: CallerOptions & { thread?: ThreadId }): ForkedLog[]
  /** What went by gossip; absent if the host takes no part in it. */
  gossipStatus(options?: CallerOptions): GossipStatus | undefined
  /**
   * All that cannot be made again, as it is now, without private keys of logs. Nothing waits for whoever takes it; who
   * takes nothing for 5 minutes gets CLOSED. Throws THREAD_NOT_FOUND, STORE_CORRUPT, and STORE_BUSY while two others go on.
   */
  backup(options?: BackupOptions): AsyncIterable<BackupFrame>
  /** Listens and starts replicating. */
  start(): Promise<void>
  /** Stops replicating, stores what is queued, closes the host. */
  stop(): Promise<void>
}
