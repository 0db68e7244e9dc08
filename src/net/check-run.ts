/**
 * Checks of received records, in the order that costs least: size, envelope, links, chain, signature. One signature
 * vouches for all records before it, because each record names the one before it by hash.
 */
import type { CID } from 'multiformats/cid'
import { ThreadsError } from '../core/errors.ts'
import type { PublicKey } from '../core/keys.ts'
import {
  canonicalBlocks,
  checkLinks,
  openRecord,
  type Record,
  type RecordBlocks,
  verifyRecord,
} from '../core/record.ts'
import type { SymmetricKey } from '../core/symmetric.ts'
import { refuseTooLarge } from './append.ts'

export interface OpenedRecord {
  readonly record: Record
  readonly blocks: RecordBlocks
}

export interface OpenedRun {
  readonly records: readonly OpenedRecord[]
  /** Why the run was cut after `records`. */
  readonly fault: ThreadsError | undefined
}

/** Opens records until the first that is too large, cannot be opened, or whose blocks are not the ones it names. */
export function openRun(
  blocks: readonly RecordBlocks[],
  options: { serviceKey: SymmetricKey; maxRecordBytes: number },
): OpenedRun {
  const records: OpenedRecord[] = []
  for (const received of blocks) {
    try {
      refuseTooLarge(received, options.maxRecordBytes)
      // Ids are those of the canonical form; peers may send another.
      const canonical = canonicalBlocks(received)
      const record = openRecord(canonical.recordNode, options.serviceKey)
      checkLinks(record, canonical)
      records.push({ record, blocks: canonical })
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      return { records, fault: error }
    }
  }
  return { records, fault: undefined }
}

/** Where a run stands towards the head of a log. */
export type Alignment =
  | { readonly kind: 'continues'; readonly index: number }
  /** Everything in it is here already. */
  | { readonly kind: 'known' }
  /** It begins after records that are missing here. */
  | { readonly kind: 'detached' }

export function alignRun(records: readonly OpenedRecord[], head: CID | undefined): Alignment {
  const index = records.findIndex(({ record }) =>
    head === undefined ? record.prev === undefined : record.prev?.equals(head) === true,
  )
  if (index >= 0) return { kind: 'continues', index }
  const last = records.at(-1)
  if (last === undefined || (head !== undefined && last.record.cid.equals(head))) return { kind: 'known' }
  return { kind: 'detached' }
}

/**
 * The longest prefix whose chain is unbroken and whose last signature holds. `fault` says what ended it.
 * The first record must be the one after the head; the caller has aligned the run.
 */
export function verifyRun(records: readonly OpenedRecord[], logKey: PublicKey): OpenedRun {
  let end = records.length
  let fault: ThreadsError | undefined
  for (let index = 1; index < records.length; index++) {
    const previous = records[index - 1]
    if (previous === undefined || records[index]?.record.prev?.equals(previous.record.cid) !== true) {
      end = index
      fault = new ThreadsError('BROKEN_CHAIN', 'a record does not follow the one before it')
      break
    }
  }
  for (; end > 0; end--) {
    const last = records[end - 1]
    if (last === undefined) break
    try {
      verifyRecord(last.record, logKey)
      break
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      fault = error
    }
  }
  return { records: records.slice(0, end), fault }
}
