/** The messages of the peer service as values, and their forms on the wire. */
import type { BinaryReader } from '@bufbuild/protobuf/wire'
import type { CID } from 'multiformats/cid'
import { ThreadsError } from '../../core/errors.ts'
import { type LogId, peerIdToBytes } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import { type ThreadId, threadIdToBytes } from '../../core/thread-id.ts'
import type { Edges, PeerLog } from '../replica.ts'
import { boundedReader } from './bounded-reader.ts'
import {
  readAttestation,
  readCid,
  readCounter,
  readKey,
  readLog,
  readLogId,
  readRecord,
  readThreadId,
  required,
  writeCid,
  writeCounter,
  writeLog,
  writeRecord,
} from './fields.ts'
import * as pb from './pb/net.ts'

/** Records named in `held` that are looked at. Callers name less. */
const MAX_HELD = 6_000

export interface ThreadRequest {
  readonly threadId: ThreadId
  /** Proves that the caller belongs to the thread. */
  readonly serviceKey: SymmetricKey | undefined
}

export type GetLogsRequest = ThreadRequest

/** What a reply says of logs. An entry that cannot be read is left out and counted, so that it harms no other. */
export interface GetLogsReply {
  readonly logs: readonly PeerLog[]
  readonly unreadable: number
}

export interface PushLogRequest extends ThreadRequest {
  readonly readKey: SymmetricKey | undefined
  readonly log: PeerLog
}

/** From where on the caller wants records of a log. */
export interface LogOffset {
  readonly logId: LogId
  /** Newest record the caller has. */
  readonly offset: CID | undefined
  /** Its position; 0 from peers that do not count. */
  readonly counter: number
  /** Most records to send; 0 or less for none. */
  readonly limit: number
  /** Further records the caller has, with all before them. */
  readonly held?: readonly CID[]
  /** `held` goes back to the start of the log: chains that have none of these records part from the caller's there. */
  readonly located?: boolean
}

export interface GetRecordsRequest extends ThreadRequest {
  readonly logs: readonly LogOffset[]
  /** The caller takes all chains of a log. */
  readonly chains?: boolean
}

/** Records of a chain besides the main one. */
export interface ChainRecords {
  readonly head: CID
  readonly counter: number
  readonly attestation?: Uint8Array | undefined
  /** Oldest first; none if the peer does not know which are lacking. */
  readonly records: readonly RecordBlocks[]
}

export interface LogRecords {
  readonly logId: LogId
  /** Oldest first. */
  readonly records: readonly RecordBlocks[]
  readonly log: PeerLog | undefined
  /** Chains that the caller lacks records of, besides the one of `records`. */
  readonly chains?: readonly ChainRecords[]
}

export interface GetRecordsReply {
  readonly logs: readonly LogRecords[]
  readonly unreadable: number
}

export interface PushRecordRequest {
  readonly threadId: ThreadId
  readonly logId: LogId
  readonly record: RecordBlocks
  /** Position of the record; 0 if the sender does not say. */
  readonly counter: number
  /** Of the record, as the newest of its log. */
  readonly attestation?: Uint8Array | undefined
}

export interface ThreadEdges {
  readonly threadId: ThreadId
  readonly edges: Edges
}

export interface ExchangeEdgesRequest {
  readonly threads: readonly ThreadEdges[]
}

export interface ExchangeEdgesReply {
  readonly threads: readonly (ThreadEdges & { readonly exists: boolean })[]
}

/** A reply that says no more than that the call went well. */
export type Empty = Readonly<Record<string, never>>

export interface Codec<T> {
  encode(value: T): Uint8Array
  /** Throws BAD_MESSAGE for a message that lacks something, other ThreadsErrors for one that cannot be read. */
  decode(bytes: Uint8Array): T
}

export interface Message<P> {
  encode(message: P): { finish(): Uint8Array }
  decode(input: BinaryReader): P
}

function codec<T, P>(message: Message<P>, write: (value: T) => P, read: (message: P) => T): Codec<T> {
  return {
    encode: (value) => message.encode(write(value)).finish(),
    decode: (bytes) => read(parse(message, bytes)),
  }
}

/** Throws TOO_LARGE for a message of too many parts, INVALID_ARGUMENT for one that cannot be read. */
export function parse<P>(message: Message<P>, bytes: Uint8Array): P {
  try {
    return message.decode(boundedReader(bytes))
  } catch (cause) {
    if (cause instanceof ThreadsError) throw cause
    const reason = cause instanceof Error && !(cause instanceof RangeError) ? cause.message : 'unexpected EOF'
    throw new ThreadsError('INVALID_ARGUMENT', reason, { cause })
  }
}

export const getLogsRequest: Codec<GetLogsRequest> = codec(
  pb.GetLogsRequest,
  ({ threadId, serviceKey }) => ({ body: { threadID: threadIdToBytes(threadId), serviceKey } }),
  (message) => {
    const { threadID, serviceKey } = required(message.body, 'body')
    return { threadId: readThreadId(threadID), serviceKey: readKey(serviceKey) }
  },
)

export const getLogsReply: Codec<GetLogsReply> = codec(
  pb.GetLogsReply,
  ({ logs }) => ({ logs: logs.map(writeLog) }),
  ({ logs = [] }) => {
    const readable = readEach(logs, readLog)
    return { logs: readable, unreadable: logs.length - readable.length }
  },
)

export const pushLogRequest: Codec<PushLogRequest> = codec(
  pb.PushLogRequest,
  ({ threadId, serviceKey, readKey: read, log }) => ({
    body: { threadID: threadIdToBytes(threadId), serviceKey, readKey: read, log: writeLog(log) },
  }),
  (message) => {
    const body = required(message.body, 'body')
    const log = required(body.log, 'log')
    required(log.pubKey, 'log public key')
    required(log.head, 'log head')
    return {
      threadId: readThreadId(body.threadID),
      serviceKey: readKey(body.serviceKey),
      readKey: readKey(body.readKey),
      log: readLog(log),
    }
  },
)

export const getRecordsRequest: Codec<GetRecordsRequest> = codec(
  pb.GetRecordsRequest,
  ({ threadId, serviceKey, logs, chains = false }) => ({
    body: {
      threadID: threadIdToBytes(threadId),
      serviceKey,
      logs: logs.map(writeOffset),
      chains: chains || undefined,
    },
  }),
  (message) => {
    const { threadID, serviceKey, logs = [], chains = false } = required(message.body, 'body')
    return {
      threadId: readThreadId(threadID),
      serviceKey: readKey(serviceKey),
      chains,
      logs: logs.map(readOffset),
    }
  },
)

export const getRecordsReply: Codec<GetRecordsReply> = codec(pb.GetRecordsReply, writeReply, readReply)

export const pushRecordRequest: Codec<PushRecordRequest> = codec(
  pb.PushRecordRequest,
  ({ threadId, logId, record, counter, attestation }) => ({
    body: { threadID: threadIdToBytes(threadId), logID: peerIdToBytes(logId), record: writeRecord(record) },
    counter: writeCounter(counter),
    attestation,
  }),
  (message) => {
    const { threadID, logID, record } = required(message.body, 'body')
    return {
      threadId: readThreadId(threadID),
      logId: readLogId(logID),
      record: readRecord(required(record, 'record')),
      counter: readCounter(message.counter),
      ...readAttestation(message.attestation),
    }
  },
)

export const exchangeEdgesRequest: Codec<ExchangeEdgesRequest> = codec(
  pb.ExchangeEdgesRequest,
  ({ threads }) => ({
    body: {
      threads: threads.map(({ threadId, edges }) => ({ threadID: threadIdToBytes(threadId), ...writeEdges(edges) })),
    },
  }),
  (message) => {
    const { threads = [] } = required(message.body, 'body')
    return { threads: threads.map((entry) => ({ threadId: readThreadId(entry.threadID), edges: readEdges(entry) })) }
  },
)

export const exchangeEdgesReply: Codec<ExchangeEdgesReply> = codec(
  pb.ExchangeEdgesReply,
  ({ threads }) => ({
    edges: threads.map(({ threadId, exists, edges }) => ({
      threadID: threadIdToBytes(threadId),
      exists: exists ? true : undefined,
      ...writeEdges(edges),
    })),
  }),
  ({ edges = [] }) => ({
    threads: edges.map((entry) => ({
      threadId: readThreadId(entry.threadID),
      exists: entry.exists ?? false,
      edges: readEdges(entry),
    })),
  }),
)

/** PushLogReply and PushRecordReply. */
export const emptyReply: Codec<Empty> = codec(
  pb.PushLogReply,
  () => ({}),
  () => ({}),
)

export function writeOffset(entry: LogOffset): pb.GetRecordsRequest_Body_LogEntry {
  const { logId, offset, counter, limit, held = [], located = false } = entry
  return {
    logID: peerIdToBytes(logId),
    offset: writeCid(offset),
    counter: writeCounter(counter),
    limit: limit === 0 ? undefined : limit,
    held: held.map(writeCid),
    located: located || undefined,
  }
}

export function readOffset(entry: pb.GetRecordsRequest_Body_LogEntry): LogOffset {
  return {
    logId: readLogId(entry.logID),
    offset: readCid(required(entry.offset, 'offset')),
    counter: readCounter(entry.counter),
    limit: entry.limit ?? 0,
    held: (entry.held ?? []).slice(0, MAX_HELD).flatMap((cid) => readCid(cid) ?? []),
    located: entry.located ?? false,
  }
}

export function writeReply({ logs }: GetRecordsReply): pb.GetRecordsReply {
  return {
    logs: logs.map(({ logId, records, log, chains = [] }) => ({
      logID: peerIdToBytes(logId),
      records: records.map(writeRecord),
      log: log === undefined ? undefined : writeLog(log),
      chains: chains.map(writeChain),
    })),
  }
}

export function readReply({ logs = [] }: pb.GetRecordsReply): GetRecordsReply {
  const readable = readEach(logs, ({ logID, records = [], log, chains = [] }) => ({
    logId: readLogId(logID),
    records: records.map(readRecord),
    log: log === undefined ? undefined : readLog(log),
    chains: readEach(chains, readChain),
  }))
  return { logs: readable, unreadable: logs.length - readable.length }
}

interface EdgeFields {
  addressEdge?: bigint | undefined
  headsEdge?: bigint | undefined
  chainsEdge?: bigint | undefined
}

function writeEdges({ addresses, heads, chains = 0n }: Edges): EdgeFields {
  const [addressEdge, headsEdge, chainsEdge] = [addresses, heads, chains].map((edge) =>
    edge === 0n ? undefined : edge,
  )
  return { addressEdge, headsEdge, chainsEdge }
}

function readEdges({ addressEdge, headsEdge, chainsEdge }: EdgeFields): Edges {
  const edges = { addresses: addressEdge ?? 0n, heads: headsEdge ?? 0n }
  return chainsEdge === undefined ? edges : { ...edges, chains: chainsEdge }
}

export function writeChain({ head, counter, attestation, records }: ChainRecords): pb.Chain {
  return { head: writeCid(head), counter: writeCounter(counter), attestation, records: records.map(writeRecord) }
}

export function readChain({ head, counter, attestation, records = [] }: pb.Chain): ChainRecords {
  return {
    head: required(readCid(required(head, 'chain head')), 'chain head'),
    counter: readCounter(counter),
    ...readAttestation(attestation),
    records: records.map(readRecord),
  }
}

export function readEach<P, T>(list: readonly P[], read: (entry: P) => T): T[] {
  const values: T[] = []
  for (const entry of list) {
    try {
      values.push(read(entry))
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
    }
  }
  return values
}
