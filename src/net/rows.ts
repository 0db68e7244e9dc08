/**
 * Rows of net in the ordered store: `t` threads, `l` logs, `r` records, `c` records by id, `p` addresses of peers.
 * Rows of threads and logs are CBOR maps; members that this version does not know survive a rewrite.
 */
import { CID } from 'multiformats/cid'
import { type Address, addressFromBytes, addressToBytes, peerIdOfAddress } from '../core/address.ts'
import { decode, encode } from '../core/cbor.ts'
import { CborWriter } from '../core/cbor-writer.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import { decodePrivateKey, decodePublicKey, type PrivateKey, type PublicKey } from '../core/keys.ts'
import { type LogId, type PeerId, peerIdFromBytes, peerIdOf, peerIdToBytes } from '../core/peer-id.ts'
import type { RecordBlocks } from '../core/record.ts'
import { type ThreadId, threadIdFromBytes, threadIdToBytes } from '../core/thread-id.ts'
import type { ThreadKey } from '../core/thread-key.ts'
import { KeyReader, rowKey, rowRange } from '../store/key-codec.ts'
import type { BranchPoint, Cursor } from './app.ts'
import { branchKey, type ChainKey } from './chain-key.ts'
import type { Head } from './index.ts'

type Row = Record<string, unknown>

/** A log by its main chain, or a branch of one: see `chains.ts`. */
export interface LogState {
  readonly number: number
  readonly id: LogId
  readonly chain: ChainKey
  readonly branch: BranchPoint | undefined
  readonly publicKey: PublicKey
  readonly privateKey: PrivateKey | undefined
  /** Written by a client of this host, with a key held here or by the client. */
  readonly managed: boolean
  readonly addresses: readonly Address[]
  readonly head: Head
  /** The signature with which the log's key vouches for the head, as far as one is known. */
  readonly attestation: Uint8Array | undefined
  readonly cursor: Cursor
  /** The private key came from a client: the log may be longer elsewhere, so it is written only after a pull. */
  readonly unpulled: boolean
  /** Another record than ours was seen at its place, signed by the log: it is written no more. */
  readonly retired: boolean
  /** Bytes of its records. */
  readonly bytes: number
  /** Members of the stored row that this version does not know. */
  readonly row: Row
}

export interface ThreadState {
  readonly number: number
  readonly id: ThreadId
  readonly key: ThreadKey
  readonly phase: 'live' | 'deleting'
  /** Kept because a peer asked; no user of this host did. */
  readonly unsolicited: boolean
  /** The peer that asked. */
  readonly keptFor: PeerId | undefined
  /** Which log each identity writes. */
  readonly writers: ReadonlyMap<Identity, LogId>
  /** Logs and their branches. */
  readonly logs: ReadonlyMap<ChainKey, LogState>
  /** Largest time of the cursors of all logs, in ns. */
  readonly latestTime: bigint
  /** Bytes of the records of all logs. */
  readonly bytes: number
  /** Peers that showed the service key while no log named them; the newest last. */
  readonly followers: readonly PeerId[]
  /** Peers named in the addresses of the logs. */
  readonly peers: () => ReadonlySet<PeerId>
  /** What the owner keeps with the thread. */
  readonly appData: unknown
  /** The rows of the owner may not be what its records make: it must make them anew before they are read. */
  readonly stale: boolean
  readonly row: Row
}

/** A log of which nothing is here yet. */
export function emptyLog(number: number, publicKey: PublicKey): LogState {
  const id = peerIdOf(publicKey)
  return {
    number,
    id,
    chain: id,
    branch: undefined,
    publicKey,
    privateKey: undefined,
    managed: false,
    addresses: [],
    head: { counter: 0, cid: undefined },
    attestation: undefined,
    cursor: { counter: 0, time: 0n },
    unpulled: false,
    retired: false,
    bytes: 0,
    row: {},
  }
}

export type ThreadRow = Omit<ThreadState, 'logs' | 'latestTime' | 'bytes' | 'peers'>

/** A thread with these logs. They must not be changed once it is asked for its peers. */
export function threadOf(thread: ThreadRow, logs: ReadonlyMap<ChainKey, LogState>): ThreadState {
  let latestTime = 0n
  let bytes = 0
  for (const log of logs.values()) {
    if (log.cursor.time > latestTime) latestTime = log.cursor.time
    bytes += log.bytes
  }
  return { ...thread, logs, latestTime, bytes, peers: lazyPeers(logs) }
}

export function logOfNumber({ logs }: Pick<ThreadState, 'logs'>, number: number): LogState | undefined {
  for (const log of logs.values()) if (log.number === number) return log
  return undefined
}

/** The peers named in logs, made out when first asked for: most states differ from the one before in no address. */
export function lazyPeers(logs: ReadonlyMap<ChainKey, LogState>): () => ReadonlySet<PeerId> {
  let peers: Set<PeerId> | undefined
  return () => {
    if (peers === undefined) {
      peers = new Set()
      for (const { addresses } of logs.values()) {
        for (const peer of addresses.map(peerIdOfAddress)) if (peer !== undefined) peers.add(peer)
      }
    }
    return peers
  }
}

export function threadRowKey(thread: number): Uint8Array {
  return rowKey('t', thread)
}

export function encodeThreadRow(thread: ThreadRow): Uint8Array {
  const { key, row } = thread
  // A newer version may hold more read keys; this one reads with the first.
  const furtherKeys = Array.isArray(row['readKeys']) ? row['readKeys'].slice(1) : []
  return encode({
    ...row,
    id: threadIdToBytes(thread.id),
    serviceKey: key.service,
    readKeys: key.read === undefined ? [] : [key.read, ...furtherKeys],
    phase: thread.phase,
    unsolicited: thread.unsolicited,
    keptFor: thread.keptFor ?? null,
    writers: [...thread.writers].map(([identity, logId]) => [identity, peerIdToBytes(logId)]),
    app: thread.appData ?? null,
    stale: thread.stale,
    followers: thread.followers,
  })
}

/** The thread of a row, without its logs. Throws STORE_CORRUPT. */
export function decodeThreadRow(thread: number, value: Uint8Array): ThreadRow {
  return readRow(`thread ${thread}`, () => {
    const row = decode(value) as Row & {
      id: Uint8Array
      serviceKey: Uint8Array
      readKeys: Uint8Array[]
      phase: ThreadState['phase']
      unsolicited: boolean
      keptFor?: PeerId | null
      writers: [Identity, Uint8Array][]
      app: unknown
      stale?: boolean
      followers?: PeerId[]
    }
    const [read] = row.readKeys
    return {
      number: thread,
      id: threadIdFromBytes(row.id),
      key: read === undefined ? { service: row.serviceKey } : { service: row.serviceKey, read },
      phase: row.phase,
      unsolicited: row.unsolicited,
      keptFor: row.keptFor ?? undefined,
      writers: new Map(row.writers.map(([identity, logId]) => [identity, peerIdFromBytes(logId)])),
      appData: row.app ?? undefined,
      stale: row.stale === true,
      followers: row.followers ?? [],
      row,
    }
  })
}

function readRow<T>(what: string, read: () => T): T {
  try {
    return read()
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', `the row of ${what} cannot be read`, { cause })
  }
}

export function logRowKey(thread: number, log: number): Uint8Array {
  return rowKey('l', thread, log)
}

export function encodeLogRow(log: LogState): Uint8Array {
  const row = encodeKnown(log)
  return Object.keys(log.row).length === 0 ? row : encode({ ...(decode(row) as Row), ...log.row })
}

/** Written with each record: a general encoder takes five times as long. Keys stand in canonical order. */
function encodeKnown(log: LogState): Uint8Array {
  const { head, cursor, branch } = log
  const writer = new CborWriter().map(13).text('head').optionalBytes(head.cid?.bytes)
  writer.text('bytes').integer(log.bytes).text('branch')
  if (branch === undefined) writer.null()
  else writer.map(2).text('base').integer(branch.base).text('parent').text(branch.parent)
  writer.text('cursor').integer(cursor.counter).text('counter').integer(head.counter)
  writer.text('managed').boolean(log.managed).text('retired').boolean(log.retired)
  writer.text('unpulled').boolean(log.unpulled)
  writer.text('addresses').array(log.addresses.length)
  for (const address of log.addresses) writer.bytes(addressToBytes(address))
  writer.text('publicKey').bytes(log.publicKey.encoded).text('cursorTime').integer(cursor.time)
  writer.text('privateKey').optionalBytes(log.privateKey?.encoded)
  return writer.text('attestation').optionalBytes(log.attestation).finish()
}

/** Throws STORE_CORRUPT. */
export function decodeLogRow(log: number, value: Uint8Array): LogState {
  return readRow(`log ${log}`, () => {
    const stored = decode(value) as Row & {
      publicKey: Uint8Array
      privateKey: Uint8Array | null
      managed: boolean
      addresses: Uint8Array[]
      head: Uint8Array | null
      counter: number
      cursor: number
      cursorTime: number | bigint
      unpulled?: boolean
      retired?: boolean
      attestation?: Uint8Array | null
      branch?: BranchPoint | null
      bytes?: number
    }
    const { head, counter, cursor, cursorTime, addresses, managed, unpulled, retired, ...others } = stored
    const { attestation, bytes, branch: point, publicKey: key, privateKey, ...row } = others
    const publicKey = decodePublicKey(key)
    const id = peerIdOf(publicKey)
    const branch = point ?? undefined
    return {
      number: log,
      id,
      chain: branch === undefined ? id : branchKey(id, log),
      branch,
      publicKey,
      privateKey: privateKey === null ? undefined : decodePrivateKey(privateKey),
      managed,
      addresses: addresses.map((address) => addressFromBytes(address)),
      head: { counter, cid: head === null ? undefined : CID.decode(head) },
      attestation: attestation ?? undefined,
      cursor: { counter: cursor, time: BigInt(cursorTime) },
      unpulled: unpulled === true,
      retired: retired === true,
      bytes: bytes ?? 0,
      row,
    }
  })
}

export function recordRowKey(thread: number, log: number, counter: number): Uint8Array {
  return rowKey('r', thread, log, counter)
}

/** Where the record of a `recordRowKey` stands. */
export function readRecordKey(key: Uint8Array): { thread: number; log: number; counter: number } {
  const parts = new KeyReader(key)
  return { thread: parts.number(), log: parts.number(), counter: parts.number() }
}

/** Rows of records `first` and later of a log. */
export function recordRowRange(thread: number, log: number, first: number): { gte: Uint8Array; lt: Uint8Array } {
  return { gte: recordRowKey(thread, log, first), lt: rowRange('r', thread, log).lt }
}

const BLOCK_NAMES = ['recordNode', 'eventNode', 'headerNode', 'bodyNode'] as const
/** Time of receipt (8 bytes, ms), journal sequence (8), flags (1: 0 = all blocks present), lengths of the blocks (4 each). */
const RECORD_HEADER_BYTES = 8 + 8 + 1 + 4 * BLOCK_NAMES.length

export function encodeRecordRow(blocks: RecordBlocks, receivedMs: number, seq: number): Uint8Array {
  let length = RECORD_HEADER_BYTES
  for (const name of BLOCK_NAMES) length += blocks[name].length
  const row = new Uint8Array(length)
  const view = new DataView(row.buffer)
  view.setBigUint64(0, BigInt(Math.max(0, Math.trunc(receivedMs))))
  view.setBigUint64(8, BigInt(seq))
  let at = RECORD_HEADER_BYTES
  for (const [index, name] of BLOCK_NAMES.entries()) {
    view.setUint32(17 + 4 * index, blocks[name].length)
    row.set(blocks[name], at)
    at += blocks[name].length
  }
  return row
}

/** The commit a record was stored with. Throws STORE_CORRUPT. */
export function recordRowSeq(row: Uint8Array): number {
  if (row.length < RECORD_HEADER_BYTES) throw cutShort()
  return Number(new DataView(row.buffer, row.byteOffset, row.byteLength).getBigUint64(8))
}

export function decodeRecordRow(row: Uint8Array): RecordBlocks {
  if (row.length < RECORD_HEADER_BYTES) throw cutShort()
  const view = new DataView(row.buffer, row.byteOffset, row.byteLength)
  let at = RECORD_HEADER_BYTES
  const blocks: Uint8Array[] = []
  for (let index = 0; index < BLOCK_NAMES.length; index++) {
    const end = at + view.getUint32(17 + 4 * index)
    blocks.push(row.subarray(at, end))
    at = end
  }
  const [recordNode, eventNode, headerNode, bodyNode] = blocks
  if (at !== row.length || !recordNode || !eventNode || !headerNode || !bodyNode) {
    throw new ThreadsError('STORE_CORRUPT', 'a stored record has the wrong length')
  }
  return { recordNode, eventNode, headerNode, bodyNode }
}

function cutShort(): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', 'a stored record is cut short')
}

/** Eight bytes of the id suffice to find it: whoever reads the record compares the rest. */
const CID_PREFIX_BYTES = 8

export function recordIdKey(cid: CID, thread: number, log: number, counter: number): Uint8Array {
  return rowKey('c', cid.multihash.digest.subarray(0, CID_PREFIX_BYTES), thread, log, counter)
}

/** `digest`: of the CID. */
export function recordIdRange(digest: Uint8Array, thread: number): { gte: Uint8Array; lt: Uint8Array } {
  return rowRange('c', digest.subarray(0, CID_PREFIX_BYTES), thread)
}

/** Where the record of a `recordIdKey` stands. */
export function readRecordIdKey(key: Uint8Array): { log: number; counter: number } {
  const parts = new KeyReader(key)
  parts.bytes()
  parts.number()
  return { log: parts.number(), counter: parts.number() }
}

export function peerRowKey(peer: PeerId): Uint8Array {
  return rowKey('p', peerIdToBytes(peer))
}
