/**
 * The fold: admitted records in, documents out. What it makes of a set of records depends on the records and on the
 * validator lists alone, neither on the order in which they arrive nor on how they are cut into calls.
 *
 * Records are taken in order of position. A record that comes late, before the last one of an instance it touches, makes
 * the instance dirty: the later records that touch it are visited again, each once, until its state is the stored one.
 * A record is judged again if a document it is judged by became another one; if its verdict turns, its other instances
 * are dirty from there on.
 */
import type { FoldIo, FoldResult, InstanceChange, Rejudge } from './io.ts'
import type { Lane } from './lane.ts'
import { sameState } from './lane.ts'
import { comparePositions } from './position.ts'
import { byInstance, type EventRecord, type Touch } from './record-events.ts'
import type { FoldRecord, FoldState, HistoryMark, InstanceState } from './state.ts'
import { Walk } from './walk.ts'

export type { FoldIo, FoldResult, HistoryPut, InstanceChange, Rejudge } from './io.ts'
export type { Judge, JudgeRequest, Verdict } from './judge.ts'
export type { FoldRecord, FoldState, HistoryEntry, InstanceKey, InstanceState, RefusedRecord } from './state.ts'

/**
 * Folds records that were not folded before, of any logs and in any order, and judges those of `rejudge` anew. Each
 * collection comes in `rejudge` at most once. Changes nothing by itself. Throws what the state and the judge throw;
 * SANDBOX_DOWN if a record could not be judged.
 */
export async function fold(
  records: readonly FoldRecord[],
  rejudge: readonly Rejudge[],
  io: FoldIo,
): Promise<FoldResult> {
  const sorted = records.toSorted((a, b) => comparePositions(a.position, b.position)).map(byInstance)
  const walk = new Walk(io, { records: sorted, marks: await marksOf(rejudge, io.state), rejudge })
  await walk.load(touchesOf(sorted))
  await walk.run()
  const instances: InstanceChange[] = []
  for (const lane of walk.lanes.values()) {
    const after = rowAfter(lane)
    if (after !== undefined) instances.push({ key: lane.key, before: lane.row, after })
  }
  return { instances, history: walk.history, refusals: { put: walk.refused, clear: walk.cleared } }
}

async function marksOf(rejudge: readonly Rejudge[], state: FoldState): Promise<HistoryMark[]> {
  const marks: HistoryMark[] = []
  for (const { collection, since } of rejudge) {
    for await (const mark of state.collectionHistory(collection, since)) marks.push(mark)
  }
  return marks.toSorted((a, b) => comparePositions(a.entry.position, b.entry.position))
}

function* touchesOf(records: readonly EventRecord[]): Generator<readonly [string, Touch]> {
  for (const { touches } of records) yield* touches
}

/** The new row of an instance; `undefined` if it stays as it is. */
function rowAfter({ row, at, state, sinceKept }: Lane): InstanceState | undefined {
  if (at === undefined) return undefined
  if (row !== undefined) {
    const order = comparePositions(at, row.position)
    if (order < 0 || (order === 0 && sameState(state, row))) return undefined
  }
  return { document: state.document?.bytes, position: at, hash: state.hash, creator: state.creator, sinceKept }
}
