/**
 * Where the records of a run go. A record is identified by the one before it and its event: its envelope, with the CID
 * and the author in it, can be made again by whoever has the service key, and of a first record the event too. So the
 * first to come is kept until something the log's key signed *vouches* for another one: a record that follows, or an
 * attestation. Two that are vouched for, or two signed ones with different events, are a fork, made by the owner.
 */
import { alignRun, type OpenedRecord } from './check-run.ts'
import { branchesOf, type Place } from './chains.ts'
import type { ThreadDraft } from './draft.ts'
import { RecordReader } from './record-reader.ts'
import type { LogState } from './rows.ts'

export type Destination =
  /** All of it is here. */
  | { readonly kind: 'known' }
  /** It begins after records that are missing here. */
  | { readonly kind: 'gap' }
  /** From `index` on it follows this head. */
  | { readonly kind: 'head'; readonly index: number; readonly log: LogState }
  /** From `index` on it follows a record that others follow, which are here. */
  | { readonly kind: 'fork'; readonly index: number; readonly after: Place; readonly siblings: readonly Sibling[] }

/** A record that follows the same one. */
export interface Sibling {
  /** The chain whose row holds it. */
  readonly log: LogState
  /** It may be another envelope of the same record. */
  readonly same: boolean
}

export async function placeRun(
  draft: ThreadDraft,
  log: LogState,
  records: readonly OpenedRecord[],
): Promise<Destination> {
  const aligned = alignRun(records, log.head.cid)
  if (aligned.kind === 'known') return aligned
  if (aligned.kind === 'continues') return { kind: 'head', index: aligned.index, log }
  // In the view of the draft: records before our head may still wait to be stored.
  const reader = new RecordReader(draft.view)
  const index = await countKnown(draft, reader, records)
  const first = records[index]?.record
  if (first === undefined) return { kind: 'known' }
  const { prev, block } = first
  const after = prev === undefined ? { log, counter: 0 } : await reader.find(draft.state, prev)
  if (after?.log.id !== log.id) return { kind: 'gap' }
  if (after.counter === after.log.head.counter) return { kind: 'head', index, log: after.log }
  const siblings: Sibling[] = []
  for (const chain of chainsAfter(draft, after)) {
    const { eventCid } = await reader.at(draft.state, chain, after.counter + 1)
    siblings.push({ log: chain, same: after.counter === 0 || eventCid.equals(block) })
  }
  return { kind: 'fork', index, after, siblings }
}

/** How many records of the run are here. Those come first: the first that is not is found by halving. */
async function countKnown(draft: ThreadDraft, reader: RecordReader, records: readonly OpenedRecord[]): Promise<number> {
  let known = 0
  for (let end = records.length; known < end; ) {
    const middle = (known + end) >> 1
    const record = records[middle]?.record
    if (record !== undefined && (await reader.find(draft.state, record.cid)) !== undefined) known = middle + 1
    else end = middle
  }
  return known
}

/** Chains that hold a record directly after a place. */
function chainsAfter({ state }: ThreadDraft, { log, counter }: Place): LogState[] {
  const branches = branchesOf(state, log.id).filter(
    ({ branch }) => branch?.base === counter && branch.parent === log.chain,
  )
  return log.head.counter > counter ? [log, ...branches] : branches
}
