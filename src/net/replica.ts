import type { CID } from 'multiformats/cid'
import type { Address } from '../core/address.ts'
import type { PublicKey } from '../core/keys.ts'
import type { LogId, PeerId } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { SymmetricKey } from '../core/symmetric.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { ChainKey } from './chain-key.ts'

/** A log as hosts tell each other of it. Claims of a peer are hints until the records are here. */
export interface PeerLog {
  readonly id: LogId
  /** Absent if the peer left it out; its log ID must then be known here. */
  readonly publicKey: PublicKey | undefined
  readonly addresses: readonly Address[]
  readonly head: CID | undefined
  readonly counter: number
  /** Signature of the log's key over the head: see `core/attestation.ts`. */
  readonly attestation?: Uint8Array | undefined
}

/** A signature with which a log's key says that a record is the newest of the log: see `core/attestation.ts`. */
export interface Attestation {
  readonly head: CID
  readonly signature: Uint8Array
}

/** Hashes over what a host holds of a thread; 0n for nothing. */
export interface Edges {
  readonly addresses: bigint
  readonly heads: bigint
  /** Over the heads of all chains of all logs; absent from peers that hold one chain of each log. */
  readonly chains?: bigint | undefined
}

/** A chain of a log that somebody lacks records of. */
export interface ChainStatus {
  readonly chain: ChainKey
  readonly head: CID
  readonly counter: number
  readonly attestation: Uint8Array | undefined
  /** Up to this counter its records are held; `undefined` if none of what is held is here. */
  readonly after: number | undefined
}

export interface ReceivedRun {
  readonly threadId: ThreadId
  readonly logId: LogId
  /** Contiguous, oldest first. */
  readonly records: readonly RecordBlocks[]
  /** 1-based position of the first record if the peer said so; checked by `prev` all the same. */
  readonly firstCounter?: number
  /** Of the last record, as the peer sent it; one that does not hold is passed over. */
  readonly attestation?: Attestation | undefined
  readonly from: PeerId
}

export interface Receipt {
  /** Records stored now. */
  readonly stored: number
  /** Counter of the log's head here afterwards. */
  readonly counter: number
  /** The run begins after our head: what lies between must be pulled. */
  readonly gap: boolean
  /** Another record is held in the place of the first that is new, and nothing vouches for this one. */
  readonly dropped?: boolean
}

/** Hears of threads. */
export interface ThreadWatcher {
  added(threadId: ThreadId): void
  removed(threadId: ThreadId): void
}

/**
 * What replication may ask of the host's threads. Everything answered is durable: nothing is told to peers before it is.
 * Every method checks what it is handed; peers' claims are passed in as they came.
 */
export interface Replica {
  readonly hostId: PeerId
  threadIds(): ThreadId[]
  /** Tells of all threads that are here, and from now on of each that comes or goes. There is one watcher. */
  watchThreads(watcher: ThreadWatcher): void
  has(threadId: ThreadId): boolean
  serviceKey(threadId: ThreadId): SymmetricKey | undefined
  logs(threadId: ThreadId): PeerLog[]
  /** One of them. */
  log(threadId: ThreadId, logId: LogId): PeerLog | undefined
  edges(threadId: ThreadId): Edges
  /** Peers named in the addresses of the thread's logs, without this host. */
  peers(threadId: ThreadId): PeerId[]
  /** Heads of the branches of logs that were continued in several ways. */
  branchHeads(threadId: ThreadId): ReadonlyMap<LogId, readonly CID[]>
  /** The log with an attestation of its head, which is made if this host writes the log. */
  attested(threadId: ThreadId, log: PeerLog): PeerLog
  /** Some records of all chains of a log, less and less of them towards its start. */
  waymarks(threadId: ThreadId, logId: LogId): Promise<CID[]>
  /** All chains of a log as somebody sees them who holds these records and all before them; the main chain first. */
  chains(threadId: ThreadId, logId: LogId, held: readonly CID[]): Promise<ChainStatus[]>
  /** Position of a record in its log, if it is here. */
  counterOf(threadId: ThreadId, logId: LogId, cid: CID): Promise<number | undefined>
  /** Records of a chain after a position, oldest first, cut at either limit; at least one if there is one. */
  recordsAfter(
    threadId: ThreadId,
    chain: ChainKey,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]>
  /** Whether the peer has shown that it belongs to the thread: by key, by a log address, or because the user named it. */
  isProven(threadId: ThreadId, peer: PeerId): boolean
  /** Also over restarts. */
  prove(threadId: ThreadId, peer: PeerId): void
  /** Takes a thread that a peer asks us to keep. Throws NO_SPACE or PEER_REFUSED if the policy does not allow it. */
  adopt(
    threadId: ThreadId,
    keys: { service: SymmetricKey; read: SymmetricKey | undefined },
    from: PeerId,
  ): Promise<void>
  /** Adds logs and addresses that are new. Throws INVALID_KEY if a log's key does not match its id, TOO_LARGE over a limit. */
  addLogs(threadId: ThreadId, logs: readonly PeerLog[], from: PeerId): Promise<void>
  /**
   * Checks and stores a run: links, chain to our head, signatures; records that are here already are passed over.
   * A bad record ends the run: the good prefix is stored, then BAD_SIGNATURE, BROKEN_CHAIN or INVALID_RECORD is thrown.
   */
  receive(run: ReceivedRun): Promise<Receipt>
}
