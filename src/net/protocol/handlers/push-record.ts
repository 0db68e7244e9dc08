import type { CID } from 'multiformats/cid'
import { canonicalise, cidOf } from '../../../core/cbor.ts'
import { ThreadsError } from '../../../core/errors.ts'
import type { PeerId } from '../../../core/peer-id.ts'
import { openRecord } from '../../../core/record.ts'
import type { Attestation, PeerLog } from '../../replica.ts'
import type { Empty, PushRecordRequest } from '../messages.ts'
import type { HandlerState } from './context.ts'

/** Takes one record. After a gap it is not taken, and what is missing is pulled from the caller. */
export async function pushRecord(state: HandlerState, request: PushRecordRequest, caller: PeerId): Promise<Empty> {
  const { replica, hints } = state
  const { threadId, logId, record, counter } = request
  refuseForeign(state, request, caller)
  const log = replica.log(threadId, logId)
  if (log === undefined) throw logNotFound()
  hints.has(caller, threadId, { id: logId, counter: Math.min(counter, log.counter) })
  const head = cidOf(canonicalise(record.recordNode))
  const attestation = request.attestation && { head, signature: request.attestation }
  if (counter > 0 && counter <= log.counter && !isNews(log, { head, counter, attestation })) return {}
  const position = counter > 0 ? { firstCounter: counter } : {}
  const run = { threadId, logId, records: [record], attestation, from: caller, ...position }
  const receipt = await replica.receive(run)
  if (receipt.gap) hints.ahead({ peer: caller, threadId, logs: false, records: true, cause: { kind: 'push' } })
  else hints.has(caller, threadId, { id: logId, counter: receipt.counter })
  return {}
}

/** Of records up to our head, whether it is another one in the place of our head, or the first to vouch for it. */
function isNews(
  log: PeerLog,
  { head, counter, attestation }: { head: CID; counter: number; attestation: Attestation | undefined },
): boolean {
  if (counter < log.counter) return false
  return log.head?.equals(head) === false || (attestation !== undefined && log.attestation === undefined)
}

/** A record is taken from whoever belongs to the thread, and from others if the service key opens it. */
function refuseForeign(
  { claims, replica }: HandlerState,
  { threadId, record }: PushRecordRequest,
  caller: PeerId,
): void {
  if (replica.isProven(threadId, caller)) return
  const serviceKey = replica.serviceKey(threadId)
  if (serviceKey === undefined) throw logNotFound()
  try {
    openRecord(record.recordNode, serviceKey)
  } catch (cause) {
    if (!(cause instanceof ThreadsError)) throw cause
    throw logNotFound({ cause })
  }
  claims.add(caller, threadId)
}

function logNotFound(options?: { cause: ThreadsError }): ThreadsError {
  return new ThreadsError('LOG_NOT_FOUND', 'log not found', options)
}
