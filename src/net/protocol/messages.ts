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
}

export interface GetRecordsRequest extends ThreadRequest {
  readonly logs: readonly LogOffset[]
}

export interface LogRecords {
  readonly logId: LogId
  /** Oldest first. */
  readonly records: readonly RecordBlocks[]
  readonly log: PeerLog | undefined
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

interface Message<P> {
  encode(message: P): { finish(): Uint8Array }
  decode(input: BinaryReader): P
}

function codec<T, P>(message: Message<P>, write: (value: T) => P, read: (message: P) => T): Codec<T> {
  return {
    encode: (value) => message.encode(write(value)).finish(),
    decode: (bytes) => read(parse(message, bytes)),
  }
}

function parse<P>(message: Message<P>, bytes: Uint8Array): P {
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
  ({ threadId, serviceKey, logs }) => ({
    body: {
      threadID: threadIdToBytes(threadId),
      serviceKey,
      logs: logs.map(({ logId, offset, counter, limit }) => ({
        logID: peerIdToBytes(logId),
        offset: writeCid(offset),
        counter: writeCounter(counter),
        limit: limit === 0 ? undefined : limit,
      })),
    },
  }),
  (message) => {
    const { threadID, serviceKey, logs = [] } = required(message.body, 'body')
    return {
      threadId: readThreadId(threadID),
      serviceKey: readKey(serviceKey),
      logs: logs.map((entry) => ({
        logId: readLogId(entry.logID),
        offset: readCid(required(entry.offset, 'offset')),
        counter: readCounter(entry.counter),
        limit: entry.limit ?? 0,
      })),
    }
  },
)

export const getRecordsReply: Codec<GetRecordsReply> = codec(
  pb.GetRecordsReply,
  ({ logs }) => ({
    logs: logs.map(({ logId, records, log }) => ({
      logID: peerIdToBytes(logId),
      records: records.map(writeRecord),
      log: log === undefined ? undefined : writeLog(log),
    })),
  }),
  ({ logs = [] }) => {
    const readable = readEach(logs, ({ logID, records = [], log }) => ({
      logId: readLogId(logID),
      records: records.map(readRecord),
      log: log === undefined ? undefined : readLog(log),
    }))
    return { logs: readable, unreadable: logs.length - readable.length }
  },
)

export const pushRecordRequest: Codec<PushRecordRequest> = codec(
  pb.PushRecordRequest,
  ({ threadId, logId, record, counter }) => ({
    body: { threadID: threadIdToBytes(threadId), logID: peerIdToBytes(logId), record: writeRecord(record) },
    counter: writeCounter(counter),
  }),
  (message) => {
    const { threadID, logID, record } = required(message.body, 'body')
    return {
      threadId: readThreadId(threadID),
      logId: readLogId(logID),
      record: readRecord(required(record, 'record')),
      counter: readCounter(message.counter),
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

interface EdgeFields {
  addressEdge?: bigint | undefined
  headsEdge?: bigint | undefined
}

function writeEdges({ addresses, heads }: Edges): EdgeFields {
  return { addressEdge: addresses === 0n ? undefined : addresses, headsEdge: heads === 0n ? undefined : heads }
}

function readEdges({ addressEdge, headsEdge }: EdgeFields): Edges {
  return { addresses: addressEdge ?? 0n, heads: headsEdge ?? 0n }
}

function readEach<P, T>(list: readonly P[], read: (entry: P) => T): T[] {
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
