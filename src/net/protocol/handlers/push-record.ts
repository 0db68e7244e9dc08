import type { CID } from 'multiformats/cid'
import { canonicalise, cidOf } from '../../../core/cbor.ts'
import { ThreadsError } from '../../../core/errors.ts'
import type { PeerId } from '../../../core/peer-id.ts'
import { openRecord, type RecordBlocks } from '../../../core/record.ts'
import type { Attestation, PeerLog } from '../../replica.ts'
import type { Empty, PushRecordRequest } from '../messages.ts'
import type { HandlerContext, HandlerState } from './context.ts'

/** Takes one record. After a gap it is not taken, and what is missing is pulled from the caller. */
export async function pushRecord(state: HandlerState, request: PushRecordRequest, caller: PeerId): Promise<Empty> {
  refuseForeign(state, request, caller)
  const { record, ...push } = request
  await takePush(state, { ...push, records: [record] }, caller)
  return {}
}

/** Records of one chain, oldest first, that a peer sent by itself. */
export interface PushedRun extends Omit<PushRecordRequest, 'record'> {
  readonly records: readonly RecordBlocks[]
}

/** The same for a run of records, of a caller who may send them. `counter` is that of the first. */
export async function takePush({ replica, hints }: HandlerContext, push: PushedRun, caller: PeerId): Promise<void> {
  const { threadId, logId, records, counter } = push
  const log = replica.log(threadId, logId)
  if (log === undefined) throw logNotFound()
  const newest = records.at(-1)
  if (newest === undefined) return
  const last = counter === 0 ? 0 : counter + records.length - 1
  hints.has(caller, threadId, { id: logId, counter: Math.min(last, log.counter) })
  const head = cidOf(canonicalise(newest.recordNode))
  const attestation = push.attestation && { head, signature: push.attestation }
  if (last > 0 && last <= log.counter && !isNews(log, { head, counter: last, attestation })) return
  const position = counter > 0 ? { firstCounter: counter } : {}
  const receipt = await replica.receive({ threadId, logId, records, attestation, from: caller, ...position })
  if (!receipt.gap) return hints.has(caller, threadId, { id: logId, counter: receipt.counter })
  const only = new Set([logId])
  hints.ahead({ peer: caller, threadId, logs: false, records: true, only, cause: { kind: 'push' } })
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
