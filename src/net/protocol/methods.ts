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

export const methods: Methods = {
  getLogs: { path: '/net.pb.Service/GetLogs', request: getLogsRequest, reply: getLogsReply },
  pushLog: { path: '/net.pb.Service/PushLog', request: pushLogRequest, reply: emptyReply },
  getRecords: { path: '/net.pb.Service/GetRecords', request: getRecordsRequest, reply: getRecordsReply },
  pushRecord: { path: '/net.pb.Service/PushRecord', request: pushRecordRequest, reply: emptyReply },
  exchangeEdges: { path: '/net.pb.Service/ExchangeEdges', request: exchangeEdgesRequest, reply: exchangeEdgesReply },
}
