import type { LogId } from '../core/peer-id.ts'

declare const brand: unique symbol

/**
 * Names a chain of records on this host. The records of a log are one chain, named like the log, unless its owner signed
 * two after the same one: then each further chain has a name of its own, which never leaves the host.
 */
export type ChainKey = LogId | (string & { readonly [brand]: 'branch' })

/** `number`: host-local, of the row of the branch. */
export function branchKey(logId: LogId, number: number): ChainKey {
  return `${logId}/${number}` as ChainKey
}
