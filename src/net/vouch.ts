import type { CID } from 'multiformats/cid'
import { isAttested } from '../core/attestation.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ThreadDraft } from './draft.ts'
import type { Attestation, PeerLog } from './replica.ts'
import type { LogState, ThreadState } from './rows.ts'

/** What a peer sends along with a log. */
export function attestationOf({ head, attestation }: PeerLog): Attestation | undefined {
  return head === undefined || attestation === undefined ? undefined : { head, signature: attestation }
}

/** Whether an attestation names this record, at this place of the log. */
export function attests(
  attestation: Attestation | undefined,
  { id: threadId }: Pick<ThreadState, 'id'>,
  { log, counter, cid }: { log: LogState; counter: number; cid: CID },
): boolean {
  if (attestation?.head.equals(cid) !== true) return false
  return isAttested(log.publicKey, { threadId, logId: log.id, counter, head: cid }, attestation.signature)
}

/** Whether the log's key vouches for a record that is held: by what follows it, or because it was written here. */
export function isVouchedFor({ log, counter }: { log: LogState; counter: number }): boolean {
  if (log.head.counter > counter || log.attestation !== undefined) return true
  return log.privateKey !== undefined && !log.unpulled
}

/** Keeps an attestation that names the head of a chain. */
export function keepAttestation(draft: ThreadDraft, logId: LogId, attestation: Attestation | undefined): void {
  if (attestation === undefined) return
  for (const log of draft.state.logs.values()) {
    const { cid, counter } = log.head
    if (log.id !== logId || cid?.equals(attestation.head) !== true) continue
    if (log.attestation === undefined && attests(attestation, draft.state, { log, counter, cid })) {
      draft.setLog({ ...log, attestation: attestation.signature })
    }
    return
  }
}
