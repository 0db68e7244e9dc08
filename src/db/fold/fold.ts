/**
 * The fold: admitted records in, documents out. What it makes of a set of records depends on the records and on the
 * validator lists alone, neither on the order in which they arrive nor on how they are cut into calls.
 *
 * Records are taken in order of position. A record that comes late, before the last one of an instance it touches, makes
 * the instance dirty: the later records that touch it are visited again, each once, until its state is the stored one.
 * A record is judged again if a document it is judged by became another one; if its verdict turns, its other instances
 * are dirty from there on. A record that is withdrawn makes the instances it touches dirty, without it.
 */
import type { FoldIo, FoldResult, FoldWork, InstanceChange, Rejudge } from './io.ts'
import type { Lane } from './lane.ts'
import { sameState } from './lane.ts'
import { comparePositions } from './position.ts'
import { byInstance, type EventRecord, type Touch } from './record-events.ts'
import { type FoldRecord, type FoldState, type HistoryMark, KEEP_EVERY } from './state.ts'
import { Walk } from './walk.ts'

export type { FoldIo, FoldResult, FoldWork, HistoryPut, InstanceChange, Rejudge } from './io.ts'
export type { Judge, JudgeRequest, Verdict } from './judge.ts'
export type { FoldRecord, FoldState, HistoryEntry, InstanceKey, InstanceState, RefusedRecord } from './state.ts'

/**
 * Folds the records of the work, withdraws others, and judges those of `rejudge` anew. Changes nothing by itself. Throws
 * what the state and the judge throw; SANDBOX_DOWN if a record could not be judged.
 */
export async function fold(work: FoldWork, io: FoldIo): Promise<FoldResult> {
  const { rejudge = [] } = work
  const records = inOrder(work.records)
  const withdrawn = inOrder(work.withdrawn ?? [])
  const marks = [...(await marksOf(rejudge, io.state)), ...(await entriesOf(withdrawn, io.state))]
  marks.sort((a, b) => comparePositions(a.entry.position, b.entry.position))
  const walk = new Walk(io, { records, marks, rejudge, withdrawn })
  await walk.load(touchesOf(records))
  await walk.run()
  const instances = [...walk.lanes.values()].flatMap((lane) => changeOf(lane) ?? [])
  const clear = [...walk.cleared, ...withdrawn.map(({ position }) => position)]
  return { instances, history: walk.history, withdrawn: walk.removed, refusals: { put: walk.refused, clear } }
}

function inOrder(records: readonly FoldRecord[]): EventRecord[] {
  return records.toSorted((a, b) => comparePositions(a.position, b.position)).map(byInstance)
}

async function marksOf(rejudge: readonly Rejudge[], state: FoldState): Promise<HistoryMark[]> {
  const marks: HistoryMark[] = []
  for (const { collection, since } of rejudge) {
    for await (const mark of state.collectionHistory(collection, since)) marks.push(mark)
  }
  return marks
}

/** All stored entries of the records. */
async function entriesOf(records: readonly EventRecord[], state: FoldState): Promise<HistoryMark[]> {
  const marks: HistoryMark[] = []
  for (const { position, touches } of records) {
    const keys = [...touches.values()].map(({ key }) => key)
    const entries = await state.historyAt(keys, position)
    for (const [index, key] of keys.entries()) {
      const entry = entries[index]
      if (entry !== undefined) marks.push({ key, entry })
    }
  }
  return marks
}

function* touchesOf(records: readonly EventRecord[]): Generator<readonly [string, Touch]> {
  for (const { touches } of records) yield* touches
}

/** What becomes of the row of an instance; `undefined` if it stays as it is. */
function changeOf({ key, row, at, last, state, sinceKept }: Lane): InstanceChange | undefined {
  if (at === undefined) return undefined
  if (row !== undefined) {
    const order = comparePositions(at, row.position)
    if (order < 0 || (order === 0 && last === at && sameState(state, row))) return undefined
  }
  if (last === undefined) return row && { key, before: row, after: undefined, document: undefined }
  const { document, hash, creator } = state
  // Withdrawn entries may have kept states: there can be more entries between two than were counted out.
  const since = Math.min(sinceKept, KEEP_EVERY)
  const after = { document: document?.bytes, position: last, hash, creator, sinceKept: since }
  return { key, before: row, after, document }
}
