/**
 * Edges: hashes over the heads or the addresses of a thread, compared between peers to see whether anything differs.
 * FNV-1a with 64 bits; bit-identical in all implementations.
 */
import type { CID } from 'multiformats/cid'
import { type Address, addressToBytes } from './address.ts'
import { compareBytes, EMPTY_BYTES } from './bytes.ts'
import { type LogId, peerIdToBytes } from './peer-id.ts'

export interface HeadEntry {
  readonly logId: LogId
  /** Absent where a request for records names a log from its start: then the log alone counts. */
  readonly head?: CID
}

export interface AddressEntry {
  readonly logId: LogId
  readonly address: Address
}

/** A log id and a head or an address, in binary. */
export type EdgePair = readonly [log: Uint8Array, value: Uint8Array]

/** Of the logs of a thread that have a head, in any order; 0 if there are none. */
export function headsEdge(entries: readonly HeadEntry[]): bigint {
  return edgeOf(entries.map(({ logId, head }) => [peerIdToBytes(logId), head?.bytes ?? EMPTY_BYTES]))
}

/** Of all addresses of all logs, in any order; 0 if there are none. */
export function addressesEdge(entries: readonly AddressEntry[]): bigint {
  return edgeOf(entries.map(({ logId, address }) => [peerIdToBytes(logId), addressToBytes(address)]))
}

/** Edge over pairs in any order; 0 if there are none. */
export function edgeOf(pairs: readonly EdgePair[]): bigint {
  if (pairs.length === 0) return 0n
  const ordered = pairs.toSorted((a, b) => compareBytes(a[0], b[0]) || compareBytes(a[1], b[1]))
  return fnv1a64(ordered.flat())
}

/**
 * Hash of the concatenation. Worked in two 32-bit halves, six times as fast as with bigints. The prime is
 * 2^40 + 0x1b3, so high' = high * 0x1b3 + carry + (low << 8).
 */
export function fnv1a64(chunks: readonly Uint8Array[]): bigint {
  let high = 0xcbf29ce4
  let low = 0x84222325
  for (const chunk of chunks) {
    for (let i = 0; i < chunk.length; i++) {
      const mixed = (low ^ (chunk[i] ?? 0)) >>> 0
      const product = mixed * 0x1b3
      low = product >>> 0
      high = (high * 0x1b3 + Math.floor(product / 0x1_0000_0000) + ((mixed << 8) >>> 0)) >>> 0
    }
  }
  return (BigInt(high) << 32n) | BigInt(low)
}
