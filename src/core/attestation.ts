/**
 * Attested heads: a log's key signs which record is the newest of the log. The signature of a record covers neither who
 * wrote it nor, in the first record of a log, what; that of the next record does, by hash, and this does until there is one.
 */
import type { CID } from 'multiformats/cid'
import { encode } from './cbor.ts'
import type { PrivateKey, PublicKey } from './keys.ts'
import { type LogId, peerIdToBytes } from './peer-id.ts'
import { type ThreadId, threadIdToBytes } from './thread-id.ts'

/** Nothing else that a log's key signs begins like this. */
const DOMAIN = 'threads attested head 1'

export interface HeadStatement {
  readonly threadId: ThreadId
  readonly logId: LogId
  readonly counter: number
  readonly head: CID
}

export function attestHead(key: PrivateKey, statement: HeadStatement): Uint8Array {
  return key.sign(messageOf(statement))
}

export function isAttested(key: PublicKey, statement: HeadStatement, attestation: Uint8Array): boolean {
  return key.verify(messageOf(statement), attestation)
}

function messageOf({ threadId, logId, counter, head }: HeadStatement): Uint8Array {
  return encode([DOMAIN, threadIdToBytes(threadId), peerIdToBytes(logId), counter, head.bytes])
}
