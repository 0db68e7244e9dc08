/** What to ask a peer for, decided from what both sides hold. Nothing here does anything. */
import type { CID } from 'multiformats/cid'
import type { LogId } from '../../core/peer-id.ts'
import type { RecordBlocks } from '../../core/record.ts'
import type { GetRecordsReply, LogOffset, LogRecords } from '../protocol/messages.ts'
import type { Attestation, Edges, PeerLog, Receipt } from '../replica.ts'

/** The limit is a 32-bit number on the wire. */
const MAX_LIMIT = 2 ** 31 - 1

export interface Wants {
  /** Logs and addresses. */
  readonly logs: boolean
  readonly records: boolean
  /** Logs whose records are wanted; absent for all. */
  readonly only?: ReadonlySet<LogId>
}

/** What is worth asking a peer for, given its edges. It has nothing to offer where its edge is 0. */
export function planExchange(local: Edges, remote: Edges): Wants {
  return {
    logs: remote.addresses !== 0n && remote.addresses !== local.addresses,
    records: remote.heads !== 0n && hasOtherRecords(local, remote),
  }
}

/** Hosts that hold all chains of a log may hold them in another order; of others the main chain is all there is. */
function hasOtherRecords(local: Edges, remote: Edges): boolean {
  if (local.chains === undefined || remote.chains === undefined) return remote.heads !== local.heads
  return remote.chains !== local.chains
}

/** The part of a thread that one call asks for. */
export interface Scope {
  /** Logs asked for; without it all, unknown ones included. */
  readonly only?: ReadonlySet<LogId>
  /** Records of each log. */
  readonly limit: number
  /** The peer is told enough of the chains here to find where its own part from them. */
  readonly locate?: boolean
}

/** Offsets for GetRecords. Logs out of scope are named all the same: what is not named would be sent from its start. */
export function planRequest(logs: readonly PeerLog[], scope: Scope, held: Held): LogOffset[] {
  return logs.map(({ id, head, counter }) => {
    const asked = !held.skip.has(id) && scope.only?.has(id) !== false
    return {
      logId: id,
      offset: head,
      counter,
      limit: asked ? scope.limit : 0,
      held: held.records.get(id) ?? [],
      located: asked && scope.locate === true,
    }
  })
}

export interface Held {
  /** Logs of which nothing is asked. */
  readonly skip: ReadonlySet<LogId>
  /** What is named of each log besides the head of its main chain. */
  readonly records: ReadonlyMap<LogId, readonly CID[]>
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
  return scope.limit > 1
    ? [{ ...scope, only: new Set(asked), limit: Math.max(1, Math.floor(scope.limit / share)) }]
    : []
}

export interface ReplyPlan {
  /** Logs that are new here, or have addresses that are. */
  readonly logs: readonly PeerLog[]
  /** Records to take, of logs that are known once `logs` are added. */
  readonly runs: readonly Run[]
  /** Chains of which the peer does not know what is lacking here. */
  readonly parted: readonly { readonly logId: LogId; readonly head: CID }[]
}

export interface Run {
  readonly logId: LogId
  readonly records: readonly RecordBlocks[]
  /** Newest record of the chain, as the peer says. */
  readonly head: CID | undefined
  readonly counter: number
  readonly attestation: Attestation | undefined
}

export function planReply(local: readonly PeerLog[], reply: GetRecordsReply): ReplyPlan {
  const logs = freshLogs(
    local,
    reply.logs.flatMap(({ log }) => log ?? []),
  )
  const known = new Set([...local, ...logs].map(({ id }) => id))
  const chains = reply.logs.filter(({ logId }) => known.has(logId)).flatMap(chainsIn)
  return {
    logs,
    runs: chains.filter(({ records }) => records.length > 0),
    parted: chains.flatMap(({ logId, head, records, counter, attestation }) => {
      // Nothing but an attestation could vouch for a record that is alone in its log.
      const isOfUse = head !== undefined && (counter > 1 || attestation !== undefined)
      return records.length === 0 && isOfUse ? [{ logId, head }] : []
    }),
  }
}

function chainsIn({ logId, records, log, chains = [] }: LogRecords): Run[] {
  const runOf = (
    { head, counter, attestation }: Pick<PeerLog, 'head' | 'counter' | 'attestation'>,
    sent: readonly RecordBlocks[],
  ): Run => {
    const attested = head === undefined || attestation === undefined ? undefined : { head, signature: attestation }
    return { logId, records: sent, head, counter, attestation: attested }
  }
  const main = records.length === 0 ? [] : [runOf(log ?? { head: undefined, counter: 0 }, records)]
  return [...main, ...chains.map((chain) => runOf(chain, chain.records))]
}

/** Logs of a peer that say something new. One that is not known here is of use only with its key. */
export function freshLogs(local: readonly PeerLog[], remote: readonly PeerLog[]): PeerLog[] {
  const known = new Map(local.map((log) => [log.id, { log, addresses: new Set(log.addresses) }]))
  return remote.filter((log) => {
    const held = known.get(log.id)
    if (held === undefined) return log.publicKey !== undefined
    return log.addresses.some((address) => !held.addresses.has(address)) || attestsHead(held.log, log)
  })
}

function attestsHead(local: PeerLog, { head, attestation }: PeerLog): boolean {
  return attestation !== undefined && local.attestation === undefined && local.head?.equals(head) === true
}

/**
 * What to do about a run that begins after our head. go-threads sends the newest records of a log, as many as were asked
 * for: then asking for all that are missing may close the gap. `undefined` if that was tried.
 */
export function planGap(run: Run, receipt: Receipt, asked: Scope): Scope | undefined {
  const missing = Math.min(run.counter - receipt.counter, MAX_LIMIT)
  return asked.only === undefined && missing > asked.limit ? { only: new Set([run.logId]), limit: missing } : undefined
}

export function sameEdges(a: Edges, b: Edges): boolean {
  return a.addresses === b.addresses && a.heads === b.heads && a.chains === b.chains
}
