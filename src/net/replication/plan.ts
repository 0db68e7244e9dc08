/** What to ask a peer for, decided from what both sides hold. Nothing here does anything. */
import type { LogId } from '../../core/peer-id.ts'
import type { GetRecordsReply, LogOffset, LogRecords } from '../protocol/messages.ts'
import type { Edges, PeerLog, Receipt } from '../replica.ts'

/** The limit is a 32-bit number on the wire. */
const MAX_LIMIT = 2 ** 31 - 1

export interface Wants {
  /** Logs and addresses. */
  readonly logs: boolean
  readonly records: boolean
}

/** What is worth asking a peer for, given its edges. It has nothing to offer where its edge is 0. */
export function planExchange(local: Edges, remote: Edges): Wants {
  return {
    logs: remote.addresses !== 0n && remote.addresses !== local.addresses,
    records: remote.heads !== 0n && remote.heads !== local.heads,
  }
}

/** The part of a thread that one call asks for. */
export interface Scope {
  /** Logs asked for; without it all, unknown ones included. */
  readonly only?: ReadonlySet<LogId>
  /** Records of each log. */
  readonly limit: number
}

/** Offsets for GetRecords. Logs out of scope are named all the same: what is not named would be sent from its start. */
export function planRequest(logs: readonly PeerLog[], scope: Scope, skip: ReadonlySet<LogId>): LogOffset[] {
  return logs.map(({ id, head, counter }) => ({
    logId: id,
    offset: head,
    counter,
    limit: skip.has(id) || scope.only?.has(id) === false ? 0 : scope.limit,
  }))
}

/**
 * Smaller scopes to ask for, in turn, after the reply to this one was too large to be read: half of the logs each, then
 * the `share`th part of the records. None if it cannot be made smaller.
 */
export function splitScope(scope: Scope, logs: readonly LogId[], share = 2): Scope[] {
  const asked = logs.filter((id) => scope.only?.has(id) !== false)
  if (asked.length > 1) {
    const half = Math.ceil(asked.length / 2)
    const parts = [asked.slice(0, half), asked.slice(half)]
    return parts.map((only) => ({ ...scope, only: new Set(only) }))
  }
  return scope.limit > 1 ? [{ only: new Set(asked), limit: Math.max(1, Math.floor(scope.limit / share)) }] : []
}

export interface ReplyPlan {
  /** Logs that are new here, or have addresses that are. */
  readonly logs: readonly PeerLog[]
  /** Records to take, of logs that are known once `logs` are added. */
  readonly runs: readonly LogRecords[]
}

export function planReply(local: readonly PeerLog[], reply: GetRecordsReply): ReplyPlan {
  const logs = freshLogs(
    local,
    reply.logs.flatMap(({ log }) => log ?? []),
  )
  const known = new Set([...local, ...logs].map(({ id }) => id))
  return { logs, runs: reply.logs.filter(({ logId, records }) => records.length > 0 && known.has(logId)) }
}

/** Logs of a peer that say something new. One that is not known here is of use only with its key. */
export function freshLogs(local: readonly PeerLog[], remote: readonly PeerLog[]): PeerLog[] {
  const known = new Map(local.map((log) => [log.id, new Set(log.addresses)]))
  return remote.filter(({ id, publicKey, addresses }) => {
    const held = known.get(id)
    return held === undefined ? publicKey !== undefined : addresses.some((address) => !held.has(address))
  })
}

/**
 * What to do about a run that begins after our head. go-threads sends the newest records of a log, as many as were asked
 * for: then asking for all that are missing may close the gap. `undefined` if that was tried.
 */
export function planGap(run: LogRecords, receipt: Receipt, asked: Scope): Scope | undefined {
  const missing = Math.min((run.log?.counter ?? 0) - receipt.counter, MAX_LIMIT)
  return asked.only === undefined && missing > asked.limit ? { only: new Set([run.logId]), limit: missing } : undefined
}

export function sameEdges(a: Edges, b: Edges): boolean {
  return a.addresses === b.addresses && a.heads === b.heads
}
