import { canonicalise, cidOf } from '../../core/cbor.ts'
import type { LogId } from '../../core/peer-id.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { PushRecordRequest } from '../protocol/messages.ts'
import type { Attestation, Replica } from '../replica.ts'

/**
 * What is sent along with a record that is pushed. The signature of a first record does not cover what it says. Of others
 * it leaves their author open until the next: that is not worth a signature for each record.
 */
export function attestationFor(
  replica: Pick<Replica, 'log' | 'attested'>,
  { threadId, logId, counter }: { threadId: ThreadId; logId: LogId; counter: number },
): Uint8Array | undefined {
  const log = counter === 1 ? replica.log(threadId, logId) : undefined
  return log?.counter === 1 ? replica.attested(threadId, log).attestation : undefined
}

/** The attestation in a push, of the record in it. Throws INVALID_RECORD if the record cannot be read. */
export function attestationOf({ record, attestation }: PushRecordRequest): Attestation | undefined {
  return attestation && { head: cidOf(canonicalise(record.recordNode)), signature: attestation }
}
