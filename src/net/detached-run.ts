import { ThreadsError } from '../core/errors.ts'
import type { PublicKey } from '../core/keys.ts'
import { type Record, verifyRecord } from '../core/record.ts'
import type { OpenedRecord } from './check-run.ts'
import type { ThreadDraft } from './draft.ts'
import { RecordReader } from './record-reader.ts'
import type { LogState } from './rows.ts'

/** Where a run stands that does not touch the head of its log. */
export type Place =
  /** Before the head. */
  | { readonly kind: 'known' }
  /** After records that are missing here. */
  | { readonly kind: 'gap' }
  /** Beside records that are here. `signed`: the log has made both, of which a first record is no proof. */
  | { readonly kind: 'branch'; readonly signed: boolean }

export async function placeDetached(
  draft: ThreadDraft,
  log: LogState,
  records: readonly OpenedRecord[],
): Promise<Place> {
  // In the view of the draft: records before our head may still wait to be stored.
  const reader = new RecordReader(draft.view)
  const isHere = async (cid: Record['cid']): Promise<boolean> => (await reader.find(draft.state, cid)) !== undefined
  // Those that are here come first: the first that is not is found by halving.
  let known = 0
  for (let end = records.length; known < end; ) {
    const middle = (known + end) >> 1
    const record = records[middle]?.record
    if (record !== undefined && (await isHere(record.cid))) known = middle + 1
    else end = middle
  }
  const first = records[known]?.record
  if (first === undefined) return { kind: 'known' }
  const { prev } = first
  if (prev === undefined) return { kind: 'branch', signed: false }
  return (await isHere(prev)) ? { kind: 'branch', signed: isSigned(first, log.publicKey) } : { kind: 'gap' }
}

function isSigned(record: Record, key: PublicKey): boolean {
  try {
    verifyRecord(record, key)
    return true
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
}
