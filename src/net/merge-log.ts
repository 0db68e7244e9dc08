import { type Address, peerIdOfAddress } from '../core/address.ts'
import { ThreadsError } from '../core/errors.ts'
import { peerIdOf } from '../core/peer-id.ts'
import type { ThreadDraft } from './draft.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { PeerLog } from './replica.ts'

export type LogLimits = Pick<ResolvedNetOptions, 'maxLogs' | 'maxLogAddresses'>

/**
 * Adds a log that is new, or the addresses of one that is known. Heads of others are hints and not taken, nor are
 * addresses that name no peer. Throws INVALID_KEY, TOO_LARGE.
 */
export function mergeLog(draft: ThreadDraft, log: PeerLog, limits: LogLimits): void {
  const addresses = log.addresses.filter((address) => peerIdOfAddress(address) !== undefined)
  const known = draft.state.logs.get(log.id)
  if (known !== undefined) {
    const merged = mergeAddresses(known.addresses, addresses, limits)
    if (merged.length > known.addresses.length) draft.setLog({ ...known, addresses: merged })
    return
  }
  if (log.publicKey === undefined || peerIdOf(log.publicKey) !== log.id) {
    throw new ThreadsError('INVALID_KEY', "log ID doesn't provided match public key")
  }
  refuseTooManyLogs(draft, limits)
  draft.setLog({
    number: draft.nextLogNumber(),
    id: log.id,
    publicKey: log.publicKey,
    privateKey: undefined,
    managed: false,
    addresses: mergeAddresses([], addresses, limits),
    head: { counter: 0, cid: undefined },
    cursor: { counter: 0, time: 0n },
    unpulled: false,
    retired: false,
    bytes: 0,
    row: {},
  })
}

/** Throws TOO_LARGE if the thread can take no further log. */
export function refuseTooManyLogs(draft: ThreadDraft, { maxLogs }: LogLimits): void {
  if (draft.state.logs.size < maxLogs) return
  throw new ThreadsError('TOO_LARGE', `the thread has ${maxLogs} logs already, no more are taken`)
}

/** The addresses held stay; of the others there are as many as the limit leaves room for. */
function mergeAddresses(held: readonly Address[], others: readonly Address[], limits: LogLimits): Address[] {
  const room = Math.max(0, limits.maxLogAddresses - held.length)
  const fresh = new Set(others.filter((address) => !held.includes(address)))
  return [...held, ...[...fresh].slice(0, room)]
}
