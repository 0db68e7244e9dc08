import { MAX_EDGE_ENTRIES, MAX_MESSAGE_BYTES } from './constants.ts'
import {
  type Codec,
  type Empty,
  emptyReply,
  type ExchangeEdgesReply,
  type ExchangeEdgesRequest,
  exchangeEdgesReply,
  exchangeEdgesRequest,
  type GetLogsReply,
  type GetLogsRequest,
  type GetRecordsReply,
  type GetRecordsRequest,
  getLogsReply,
  getLogsRequest,
  getRecordsReply,
  getRecordsRequest,
  type PushLogRequest,
  type PushRecordRequest,
  pushLogRequest,
  pushRecordRequest,
} from './messages.ts'

export interface Method<Request, Reply> {
  /** Path of the call in HTTP/2. */
  readonly path: string
  readonly request: Codec<Request>
  readonly reply: Codec<Reply>
  /** Larger replies are not read. */
  readonly maxReplyBytes: number
}

/** The calls of the peer service. */
export interface Methods {
  readonly getLogs: Method<GetLogsRequest, GetLogsReply>
  readonly pushLog: Method<PushLogRequest, Empty>
  readonly getRecords: Method<GetRecordsRequest, GetRecordsReply>
  readonly pushRecord: Method<PushRecordRequest, Empty>
  readonly exchangeEdges: Method<ExchangeEdgesRequest, ExchangeEdgesReply>
}

export type MethodName = keyof Methods
export type RequestOf<M extends MethodName> = Methods[M] extends Method<infer Request, infer _> ? Request : never
export type ReplyOf<M extends MethodName> = Methods[M] extends Method<infer _, infer Reply> ? Reply : never

/** Room for what later versions may add. */
const MAX_EMPTY_BYTES = 4 * 1024
/** An entry has less than 100 bytes. */
const MAX_EDGES_BYTES = 128 * MAX_EDGE_ENTRIES

export const methods: Methods = {
  getLogs: method('GetLogs', { request: getLogsRequest, reply: getLogsReply }, MAX_MESSAGE_BYTES),
  pushLog: method('PushLog', { request: pushLogRequest, reply: emptyReply }, MAX_EMPTY_BYTES),
  getRecords: method('GetRecords', { request: getRecordsRequest, reply: getRecordsReply }, MAX_MESSAGE_BYTES),
  pushRecord: method('PushRecord', { request: pushRecordRequest, reply: emptyReply }, MAX_EMPTY_BYTES),
  exchangeEdges: method('ExchangeEdges', { request: exchangeEdgesRequest, reply: exchangeEdgesReply }, MAX_EDGES_BYTES),
}

function method<Request, Reply>(
  name: string,
  codecs: { request: Codec<Request>; reply: Codec<Reply> },
  maxReplyBytes: number,
): Method<Request, Reply> {
  return { path: `/net.pb.Service/${name}`, ...codecs, maxReplyBytes }
}
