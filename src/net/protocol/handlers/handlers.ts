import type { PeerId } from '../../../core/peer-id.ts'
import type { MethodName, ReplyOf, RequestOf } from '../methods.ts'
import type { HandlerContext } from './context.ts'
import { exchangeEdges } from './exchange-edges.ts'
import { getLogs } from './get-logs.ts'
import { getRecords } from './get-records.ts'
import { pushLog } from './push-log.ts'
import { pushRecord } from './push-record.ts'

/** Answers to the calls of peers. Throw ThreadsError or StatusError, see `statusOf`. */
export type Handlers = {
  readonly [M in MethodName]: (request: RequestOf<M>, caller: PeerId) => Promise<ReplyOf<M>>
}

export function createHandlers(context: HandlerContext): Handlers {
  return {
    getLogs: (request, caller) => getLogs(context, request, caller),
    pushLog: (request, caller) => pushLog(context, request, caller),
    getRecords: (request, caller) => getRecords(context, request, caller),
    pushRecord: (request, caller) => pushRecord(context, request, caller),
    exchangeEdges: (request, caller) => exchangeEdges(context, request, caller),
  }
}
