/**
 * What a backup is made of: all that cannot be made again, as it is at one moment. Frames come in this order: begin; each
 * thread, followed by its chains in order of number; peers; records; end. Members are those of the messages of the RPC
 * `Backup`, so that they go on the wire, and into files, as they are.
 */
import { toHex } from '../core/bytes.ts'
import type { RecordBlocks } from '../core/record.ts'

/** Version of the frames and of the rows in them. */
export const BACKUP_FORMAT = 1

export type BackupFrame =
  | { readonly $case: 'begin'; readonly value: BackupBegin }
  | { readonly $case: 'thread'; readonly value: BackupThread }
  | { readonly $case: 'log'; readonly value: BackupLog }
  | { readonly $case: 'peer'; readonly value: BackupPeer }
  | { readonly $case: 'records'; readonly value: BackupRecords }
  | { readonly $case: 'end'; readonly value: BackupEnd }

export interface BackupBegin {
  readonly format: number
  readonly storeID: Uint8Array
  /** The newest commit that the backup holds. */
  readonly seq: bigint
  readonly takenAtMs: bigint
  /** The only thread in it; empty for all. */
  readonly threadID: Uint8Array
}

/** The row of a thread: keys, and what its owner keeps with it. Not which log is written by whom. */
export interface BackupThread {
  readonly threadID: Uint8Array
  readonly row: Uint8Array
}

/** A log, or a branch of one, with its head. */
export interface BackupChain {
  readonly threadID: Uint8Array
  /** Of its row; another one for each chain of a thread. */
  readonly number: bigint
  /** See `baseOf`. */
  readonly base: bigint
  readonly counter: bigint
  /** CID; empty if there is no record. */
  readonly head: Uint8Array
}

/** The row of a chain, without a private key. Logs that this host writes are retired in it. */
export interface BackupLog {
  readonly chain: BackupChain | undefined
  /** Records behind this one follow; those before are in an earlier backup. The base if all follow. */
  readonly after: bigint
  readonly row: Uint8Array
}

/** Where a peer is found. */
export interface BackupPeer {
  readonly peerID: Uint8Array
  readonly row: Uint8Array
}

/** Names a chain among those of all threads. */
export function chainName({ threadID, number }: Pick<BackupChain, 'threadID' | 'number'>): string {
  return `${toHex(threadID)}/${number}`
}

/** Some records of a chain, at most `MAX_RECORDS_BYTES` or one. */
export interface BackupRecords {
  readonly threadID: Uint8Array
  readonly number: bigint
  /** Counter of the first. */
  readonly first: bigint
  readonly records: RecordBlocks[]
}

export interface BackupEnd {
  readonly threads: bigint
  readonly logs: bigint
  readonly records: bigint
  /** Of the records. */
  readonly bytes: bigint
}

/** Records of one frame, unless one is larger. */
export const MAX_RECORDS_BYTES: number = 1024 * 1024
