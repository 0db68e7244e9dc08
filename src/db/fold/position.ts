import type { CID } from 'multiformats/cid'
import { bytesKey, compareBytes } from '../../core/bytes.ts'
import { type LogId, peerIdFromBytes, peerIdToBytes } from '../../core/peer-id.ts'

/**
 * The place of a record in the order in which all hosts fold. Positions order by time, then by the bytes of the log id,
 * counter and record; the record decides in forks only. (Not the event: the owner of a log may sign one event twice.)
 */
export interface Position {
  /** Largest event timestamp of the record, at least the time of the record before it in the log. ns since 1970. */
  readonly time: bigint
  readonly logId: LogId
  readonly counter: number
  /** SHA-256 digest in the CID of the record. */
  readonly digest: Uint8Array
}

/** What of a record gives it its position. */
export interface Placed {
  readonly logId: LogId
  readonly counter: number
  readonly cid: CID
}

/**
 * The position of a record behind a record of time `previousTime` in its log (0n for none). A record that is refused as
 * a whole, which has no events, takes the time of the record before it.
 */
export function positionOf(
  record: Placed,
  events: readonly { readonly timestamp: bigint }[],
  previousTime: bigint,
): Position {
  let time = previousTime
  for (const { timestamp } of events) if (timestamp > time) time = timestamp
  return { time, logId: record.logId, counter: record.counter, digest: record.cid.multihash.digest }
}

/** Negative if `a` comes first, 0 if they are the same. */
export function comparePositions(a: Position, b: Position): number {
  if (a.time !== b.time) return a.time < b.time ? -1 : 1
  if (a.logId !== b.logId) return compareBytes(peerIdToBytes(a.logId), peerIdToBytes(b.logId))
  if (a.counter !== b.counter) return a.counter - b.counter
  return compareBytes(a.digest, b.digest)
}

/** A string for each position. */
export function positionName({ time, logId, counter, digest }: Position): string {
  return `${time}/${logId}/${counter}/${bytesKey(digest)}`
}

/** The components of a key, in the order of positions. */
export function positionParts(position: Position): [bigint, Uint8Array, number, Uint8Array] {
  return [position.time, peerIdToBytes(position.logId), position.counter, position.digest]
}

/** Reads what `positionParts` gave. */
export function readPosition(parts: PositionReader): Position {
  return {
    time: BigInt(parts.bigint()),
    logId: peerIdFromBytes(parts.bytes()),
    counter: parts.number(),
    digest: parts.bytes(),
  }
}

interface PositionReader {
  bigint(): number | bigint
  number(): number
  bytes(): Uint8Array
}
