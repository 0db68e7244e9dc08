/**
 * One instance during a fold. A lane moves upward through the records that touch its instance and holds the state after
 * the last one, beside what is stored for the same place. While the two differ the lane is *dirty*, and every later
 * record that touches the instance is visited. While they are equal, the stored history says what comes next.
 */
import type { Identity } from '../../core/identity.ts'
import { equalBytes } from '../../core/bytes.ts'
import { comparePositions, type Position } from './position.ts'
import { keyName, type RecordLoader, type Touch, touchOf } from './record-events.ts'
import { REASONS } from './reasons.ts'
import { applyEvent, StoredDocument } from './rules.ts'
import { documentHash, type FoldState, type HistoryEntry, type InstanceKey, type InstanceState } from './state.ts'
import { KEEP_EVERY, NO_HASH } from './state.ts'

/** What tells two states of an instance apart. */
export interface StateMark {
  readonly hash: Uint8Array
  readonly creator: Identity | undefined
}

export interface LaneState extends StateMark {
  readonly document: StoredDocument | undefined
}

export interface Lane {
  readonly key: InstanceKey
  readonly row: InstanceState | undefined
  /** How far the lane has come; absent as long as it has not begun. */
  at: Position | undefined
  /** Last record up to there that touches the instance and is not withdrawn. */
  last: Position | undefined
  state: LaneState
  /** What is stored for the same place. */
  stored: StateMark
  /** Entries of the history behind the newest one that keeps its state. */
  sinceKept: number
  /** Later entries on their way into the timeline, while the lane is dirty. */
  feed: Feed | undefined
  /** All later records are visited anyhow. */
  streamed: boolean
}

/** The later entries of a dirty lane, read in pages. */
export interface Feed {
  readonly key: InstanceKey
  page: HistoryEntry[]
  index: number
  /** The lane is clean: what is left does not matter. */
  stopped: boolean
}

const NOTHING: LaneState = { document: undefined, hash: NO_HASH, creator: undefined }

export function newLane(key: InstanceKey, row: InstanceState | undefined): Lane {
  const lane = { key, row, at: undefined, last: undefined, state: NOTHING, stored: NOTHING, sinceKept: 0 }
  return { ...lane, feed: undefined, streamed: false }
}

export function sameState(a: StateMark, b: StateMark): boolean {
  return a.creator === b.creator && equalBytes(a.hash, b.hash)
}

export function isDirty(lane: Lane): boolean {
  return lane.state !== lane.stored && !sameState(lane.state, lane.stored)
}

/** Whether stored records at or after the position touch the instance. */
export function hasStoredFrom(lane: Lane, position: Position): boolean {
  return lane.row !== undefined && comparePositions(lane.row.position, position) >= 0
}

/** The state after the events, and whether they brought the document into being. */
export function applyTouch(
  before: LaneState,
  touch: Touch,
  writer: Identity,
): { readonly after: LaneState; readonly created: boolean } {
  let document = before.document
  let created = false
  for (const event of touch.events) {
    const next = applyEvent(document, event)
    if (document === undefined && next !== undefined) created = true
    document = next
  }
  if (document === undefined) return { after: NOTHING, created: false }
  if (document === before.document) return { after: before, created }
  const creator = created ? writer : before.creator
  return { after: { document, hash: documentHash(document.bytes), creator }, created }
}

/** Moves a lane to the state before a record. Reads the history only if the record is late for the instance. */
export function enter(lane: Lane, position: Position, source: HistorySource): Promise<void> | undefined {
  if (lane.streamed || isDirty(lane)) return undefined
  if (hasStoredFrom(lane, position)) return replay(lane, position, source)
  const { row } = lane
  if (row !== undefined && (lane.at === undefined || comparePositions(lane.at, row.position) < 0)) {
    const document = row.document === undefined ? undefined : new StoredDocument(row.document)
    begin(lane, row.position, { document, hash: row.hash, creator: row.creator })
    lane.sinceKept = row.sinceKept
  }
  return undefined
}

export interface HistorySource {
  readonly state: FoldState
  readonly loader: RecordLoader
}

/** Folds the stored history up to a position again, from the nearest kept state or from where the lane stands. */
async function replay(lane: Lane, before: Position, { state, loader }: HistorySource): Promise<void> {
  const entries = await sinceNearestKept(lane, before, state)
  for (const entry of entries.toReversed()) {
    if (entry.kept !== undefined) {
      const { document, creator } = entry.kept
      const kept = document === undefined ? undefined : new StoredDocument(document)
      begin(lane, entry.position, { document: kept, hash: entry.hash, creator })
      lane.sinceKept = 0
      continue
    }
    let after = lane.state
    if (entry.reason === REASONS.accepted) {
      const record = await loader.load(entry.position)
      after = applyTouch(lane.state, touchOf(record, keyName(lane.key)), record.writer).after
    }
    begin(lane, entry.position, after)
    lane.sinceKept += 1
  }
}

/** Entries between where the lane stands, or else the nearest kept state (included), and a position; newest first. */
async function sinceNearestKept(lane: Lane, before: Position, state: FoldState): Promise<HistoryEntry[]> {
  const entries: HistoryEntry[] = []
  let position = before
  for (;;) {
    const page = await state.historyBefore(lane.key, position, KEEP_EVERY)
    for (const entry of page) {
      if (lane.at !== undefined && comparePositions(entry.position, lane.at) <= 0) return entries
      entries.push(entry)
      if (entry.kept !== undefined) return entries
      position = entry.position
    }
    if (page.length < KEEP_EVERY) return entries
  }
}

function begin(lane: Lane, at: Position, state: LaneState): void {
  lane.at = at
  lane.last = at
  lane.state = state
  lane.stored = state
}
