import type { PeerId } from '../../../core/peer-id.ts'
import { FaultLimit } from '../fault-limit.ts'
import type { MethodName, ReplyOf, RequestOf } from '../methods.ts'
import { Claims, type HandlerContext, type HandlerState } from './context.ts'
import { exchangeEdges } from './exchange-edges.ts'
import { getLogs } from './get-logs.ts'
import { getRecords } from './get-records.ts'
import { PageSizes } from './page-sizes.ts'
import { pushLog } from './push-log.ts'
import { pushRecord } from './push-record.ts'

/** Answers to the calls of peers. Throw ThreadsError or StatusError, see `statusOf`. */
export type Handlers = {
  readonly [M in MethodName]: (request: RequestOf<M>, caller: PeerId) => Promise<ReplyOf<M>>
}

export function createHandlers(context: HandlerContext, faults: FaultLimit = faultLimitOf(context)): Handlers {
  const state: HandlerState = { ...context, claims: new Claims(), pageSizes: new PageSizes() }
  const noting =
    <Request, Reply>(handler: (state: HandlerState, request: Request, caller: PeerId) => Promise<Reply>) =>
    (request: Request, caller: PeerId): Promise<Reply> => {
      context.hints.seen(caller)
      return faults.run(caller, () => handler(state, request, caller))
    }
  return {
    getLogs: noting(getLogs),
    pushLog: noting(pushLog),
    getRecords: noting(getRecords),
    pushRecord: noting(pushRecord),
    exchangeEdges: noting(exchangeEdges),
  }
}

/** Counts what peers send that is not valid. */
export function faultLimitOf({ clock, shutOut }: Pick<HandlerContext, 'clock' | 'shutOut'>): FaultLimit {
  return new FaultLimit(clock, shutOut ?? (() => {}))
}
