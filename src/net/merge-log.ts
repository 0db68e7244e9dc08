import { type Address, peerIdOfAddress } from '../core/address.ts'
import { ThreadsError } from '../core/errors.ts'
import { peerIdOf } from '../core/peer-id.ts'
import type { ThreadDraft } from './draft.ts'
import type { ResolvedNetOptions } from './options.ts'
import type { PeerLog } from './replica.ts'
import { emptyLog } from './rows.ts'
import { attestationOf, keepAttestation } from './vouch.ts'

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
    keepAttestation(draft, log.id, attestationOf(log))
    return
  }
  if (log.publicKey === undefined || peerIdOf(log.publicKey) !== log.id) {
    throw new ThreadsError('INVALID_KEY', "log ID doesn't provided match public key")
  }
  refuseTooManyLogs(draft, limits)
  const empty = emptyLog(draft.nextLogNumber(), log.publicKey)
  draft.setLog({ ...empty, addresses: mergeAddresses([], addresses, limits) })
}

/** Throws TOO_LARGE if the thread can take no further log or branch. */
export function refuseTooManyLogs(draft: ThreadDraft, { maxLogs }: LogLimits): void {
  if (draft.state.logs.size < maxLogs) return
  throw new ThreadsError('TOO_LARGE', `the thread has ${maxLogs} logs and branches already, no more are taken`)
}

/** The addresses held stay; of the others there are as many as the limit leaves room for. */
function mergeAddresses(held: readonly Address[], others: readonly Address[], limits: LogLimits): Address[] {
  const room = Math.max(0, limits.maxLogAddresses - held.length)
  const fresh = new Set(others.filter((address) => !held.includes(address)))
  return [...held, ...[...fresh].slice(0, room)]
}
