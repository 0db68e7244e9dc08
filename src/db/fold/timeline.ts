import { Heap } from './heap.ts'
import type { Feed, Lane } from './lane.ts'
import { comparePositions, type Position } from './position.ts'
import { type EventRecord, keyName } from './record-events.ts'
import type { FoldState, HistoryEntry, HistoryMark } from './state.ts'

/** A record to visit. */
export interface Stop {
  readonly position: Position
  /** The record, if it is new. */
  readonly record: EventRecord | undefined
  /** Stored entries of the record that are known, by `keyName`. */
  readonly entries: ReadonlyMap<string, HistoryEntry>
  /** The validators of the record changed. */
  readonly rejudge: boolean
}

const PAGE_ENTRIES = 32
const NO_ENTRIES: ReadonlyMap<string, HistoryEntry> = new Map()

/**
 * The records a fold visits, in order, each once: the new ones, those to judge anew, and the later ones of dirty lanes,
 * which become known on the way. What is followed from a position on must come after the last stop.
 */
export class Timeline {
  readonly #state: FoldState
  readonly #records: readonly EventRecord[]
  readonly #marks: readonly HistoryMark[]
  readonly #feeds = new Heap<Feed>((a, b) => comparePositions(headOf(a).position, headOf(b).position))
  #nextRecord = 0
  #nextMark = 0

  /** Both lists in order of position. */
  constructor(state: FoldState, records: readonly EventRecord[], marks: readonly HistoryMark[]) {
    this.#state = state
    this.#records = records
    this.#marks = marks
  }

  async next(): Promise<Stop | undefined> {
    const position = this.#nextPosition()
    if (position === undefined) return undefined
    const record = this.#takeRecord(position)
    if (this.#feeds.peek() === undefined && this.#nextMark === this.#marks.length) {
      return { position, record, entries: NO_ENTRIES, rejudge: false }
    }
    const entries = new Map<string, HistoryEntry>()
    const rejudge = this.#takeMarks(position, entries)
    await this.#takeFeeds(position, entries)
    return { position, record, entries, rejudge }
  }

  /** Visits the entries of a lane after a position from now on, until `unfollow`. */
  async follow(lane: Lane, after: Position): Promise<void> {
    const feed: Feed = { key: lane.key, page: [], index: 0, stopped: false }
    lane.feed = feed
    await this.#advance(feed, after)
  }

  unfollow(lane: Lane): void {
    if (lane.feed !== undefined) lane.feed.stopped = true
    lane.feed = undefined
  }

  #nextPosition(): Position | undefined {
    while (this.#feeds.peek()?.stopped) this.#feeds.pop()
    const feed = this.#feeds.peek()
    let position = feed === undefined ? undefined : headOf(feed).position
    for (const other of [this.#records[this.#nextRecord]?.position, this.#marks[this.#nextMark]?.entry.position]) {
      if (other !== undefined && (position === undefined || comparePositions(other, position) < 0)) position = other
    }
    return position
  }

  #takeRecord(position: Position): EventRecord | undefined {
    const record = this.#records[this.#nextRecord]
    if (record === undefined || comparePositions(record.position, position) !== 0) return undefined
    this.#nextRecord += 1
    return record
  }

  #takeMarks(position: Position, entries: Map<string, HistoryEntry>): boolean {
    const first = this.#nextMark
    for (;;) {
      const mark = this.#marks[this.#nextMark]
      if (mark === undefined || comparePositions(mark.entry.position, position) !== 0) break
      entries.set(keyName(mark.key), mark.entry)
      this.#nextMark += 1
    }
    return this.#nextMark > first
  }

  async #takeFeeds(position: Position, entries: Map<string, HistoryEntry>): Promise<void> {
    for (;;) {
      const feed = this.#feeds.peek()
      if (feed === undefined || comparePositions(headOf(feed).position, position) !== 0) return
      this.#feeds.pop()
      if (feed.stopped) continue
      entries.set(keyName(feed.key), headOf(feed))
      feed.index += 1
      await this.#advance(feed, position)
    }
  }

  /** Puts a feed in its place, reading on if its page is used up. */
  async #advance(feed: Feed, after: Position): Promise<void> {
    if (feed.index === feed.page.length) {
      feed.page = await this.#state.historyAfter(feed.key, after, PAGE_ENTRIES)
      feed.index = 0
    }
    if (feed.page.length > 0) this.#feeds.push(feed)
  }
}

function headOf(feed: Feed): HistoryEntry {
  const entry = feed.page[feed.index]
  if (entry === undefined) throw new RangeError('a feed in the timeline has an entry')
  return entry
}
