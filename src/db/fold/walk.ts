import { ThreadsError } from '../../core/errors.ts'
import type { JudgeRequest } from './judge.ts'
import { ACCEPTED, decide, type Decision, type JudgedEvent, judgedEvents, refusedWhole } from './judging.ts'
import { enter, type HistorySource, isDirty, type Lane, newLane } from './lane.ts'
import { pass, passWithdrawn } from './pass.ts'
import { comparePositions, type Position, positionName } from './position.ts'
import { type EventRecord, keyName, RecordLoader, type Touch, touchOf } from './record-events.ts'
import { REASONS, type ReasonCode } from './reasons.ts'
import type { FoldIo, HistoryDelete, HistoryPut, Rejudge } from './io.ts'
import type { HistoryMark, InstanceKey, RefusedRecord } from './state.ts'
import { type Stop, Timeline } from './timeline.ts'
import type { ValidatorEntry } from './validator-list.ts'

/** A record at its place in the walk. */
interface Visit {
  readonly stop: Stop
  readonly record: EventRecord
  /** Stored reason; absent for a new record. */
  readonly previous: ReasonCode | undefined
  /** The verdict is asked for now; otherwise the stored one holds. */
  readonly anew: boolean
}

/** A visit that waits for its verdict. */
interface Waiting {
  readonly visit: Visit
  readonly requests: readonly JudgeRequest[]
}

/** `records` and `marks` in order of position. */
export interface WalkWork {
  readonly records: readonly EventRecord[]
  /** Stored entries to visit; all of those of withdrawn records are among them. */
  readonly marks: readonly HistoryMark[]
  readonly rejudge: readonly Rejudge[]
  readonly withdrawn: readonly EventRecord[]
}

/** Requests that go to the judge at once, and bytes of documents and patches in them, if one record has not more. */
const MAX_RUN_REQUESTS = 1000
const MAX_RUN_BYTES = 4 * 1024 * 1024
const PAUSE_EVERY = 100

/**
 * The one upward pass of a fold. Each record on the way gets its verdict, from the judge if it is new or what it is
 * judged by changed, otherwise the stored one, and moves the lanes of the instances it touches. Records whose verdicts
 * do not depend on each other are judged in one call, a *run*.
 */
export class Walk {
  readonly lanes: Map<string, Lane> = new Map()
  readonly history: HistoryPut[] = []
  readonly removed: HistoryDelete[] = []
  readonly refused: RefusedRecord[] = []
  readonly cleared: Position[] = []
  readonly #io: FoldIo
  readonly #source: HistorySource
  readonly #timeline: Timeline
  /** Collections all of whose records from a time on are visited. */
  readonly #streamed: ReadonlyMap<string, bigint>
  /** By `positionName`. */
  readonly #withdrawn: ReadonlyMap<string, EventRecord>
  readonly #validators = new Map<string, readonly ValidatorEntry[]>()
  #run: Waiting[] = []
  #runNames = new Set<string>()
  #runRequests = 0
  #runBytes = 0

  constructor(io: FoldIo, work: WalkWork) {
    this.#io = io
    this.#source = { state: io.state, loader: new RecordLoader(io.state) }
    this.#timeline = new Timeline(io.state, work.records, work.marks)
    this.#streamed = new Map(work.rejudge.map(({ collection, since }) => [collection, since]))
    this.#withdrawn = new Map(work.withdrawn.map((record) => [positionName(record.position), record]))
  }

  async run(): Promise<void> {
    let stops = 0
    for (let stop = await this.#timeline.next(); stop !== undefined; stop = await this.#timeline.next()) {
      await this.#visit(stop)
      stops += 1
      if (stops % PAUSE_EVERY === 0) await this.#io.pause?.()
    }
    await this.#judgeRun()
  }

  /** Reads the rows of instances that are not known yet, in one go. */
  async load(touches: Iterable<readonly [string, Touch]>): Promise<void> {
    const missing = new Map<string, InstanceKey>()
    for (const [name, { key }] of touches) if (!this.lanes.has(name)) missing.set(name, key)
    if (missing.size === 0) return
    const rows = await this.#io.state.instances([...missing.values()])
    let index = 0
    for (const [name, key] of missing) this.lanes.set(name, newLane(key, rows[index++]))
  }

  async #visit(stop: Stop): Promise<void> {
    const withdrawn = this.#withdrawn.size === 0 ? undefined : this.#withdrawn.get(positionName(stop.position))
    if (withdrawn !== undefined) return this.#withdraw(withdrawn, stop)
    const record = stop.record ?? (await this.#source.loader.load(stop.position))
    if (this.#meetsRun(record)) await this.#judgeRun()
    const judged = judgedEvents(record, (collection) => this.#validatorsOf(collection))
    const previous = stop.record === undefined ? storedReason(stop) : undefined
    const anew = previous === undefined || stop.rejudge || judged.some((each) => this.#changed(each))
    const visit = { stop, record, previous, anew }
    const { content } = record
    if (content.kind === 'refused') return this.#settle(visit, refusedWhole(content.reason))
    await this.#enter(record, this.#involved(visit, judged), stop.position)
    if (previous !== undefined && !anew) return this.#settle(visit, { reason: previous, message: '' })
    if (judged.length === 0) return this.#settle(visit, ACCEPTED)
    this.#wait(visit, judged)
    const full = this.#runRequests >= MAX_RUN_REQUESTS || this.#runBytes >= MAX_RUN_BYTES
    if (full || !this.#foreseen(visit)) await this.#judgeRun()
  }

  async #withdraw(record: EventRecord, { position, entries }: Stop): Promise<void> {
    if (this.#meetsRun(record)) await this.#judgeRun()
    await this.#enter(record, entries.keys(), position)
    for (const [name, entry] of entries) {
      const lane = this.#laneOf(name)
      passWithdrawn(lane, record, entry)
      this.removed.push({ key: lane.key, position })
      await this.#follow(lane, position)
    }
  }

  #meetsRun({ touches }: EventRecord): boolean {
    return this.#runNames.size > 0 && touches.keys().some((name) => this.#runNames.has(name))
  }

  #validatorsOf(collection: string): readonly ValidatorEntry[] {
    let list = this.#validators.get(collection)
    if (list === undefined) {
      list = this.#io.validators(collection)
      this.#validators.set(collection, list)
    }
    return list
  }

  /** Whether the document an event is judged by is another one than when it was judged last. */
  #changed({ event }: JudgedEvent): boolean {
    const lane = this.lanes.get(keyName({ collection: event.collection, id: event.id }))
    return lane !== undefined && isDirty(lane)
  }

  /** Instances whose state before the record is needed. */
  #involved({ stop, record, previous, anew }: Visit, judged: readonly JudgedEvent[]): Iterable<string> {
    if (previous === undefined) return record.touches.keys()
    if (!anew) return stop.entries.keys()
    const names = judged.map(({ event }) => keyName({ collection: event.collection, id: event.id }))
    return new Set([...stop.entries.keys(), ...names])
  }

  /** Moves lanes to the state before the record. */
  async #enter(record: EventRecord, names: Iterable<string>, position: Position): Promise<void> {
    const touches: [string, Touch][] = []
    for (const name of names) touches.push([name, touchOf(record, name)])
    await this.load(touches)
    for (const [name] of touches) {
      const reading = enter(this.#laneOf(name), position, this.#source)
      if (reading !== undefined) await reading
    }
  }

  #wait(visit: Visit, judged: readonly JudgedEvent[]): void {
    const { position, writer } = visit.record
    const requests = judged.map(({ event, entry }) => {
      const instance = this.#laneOf(keyName({ collection: event.collection, id: event.id })).state.document?.bytes
      this.#runBytes += (instance?.length ?? 0) + (event.patch?.length ?? 0)
      return { validator: entry.validator, judge: entry.judge, writer, event, instance, time: position.time }
    })
    this.#run.push({ visit, requests })
    this.#runRequests += requests.length
    for (const name of visit.record.touches.keys()) this.#runNames.add(name)
  }

  /**
   * Whether the verdict cannot bring up records that are not in the timeline yet. Otherwise it must be known before the
   * walk goes on.
   */
  #foreseen({ record, stop }: Visit): boolean {
    return record.touches.entries().every(([name, { key }]) => {
      const lane = this.lanes.get(name)
      if (lane === undefined) return false
      return (
        lane.feed !== undefined || !isFollowedBy(lane, stop.position) || this.#isStreamed(key.collection, stop.position)
      )
    })
  }

  #isStreamed(collection: string, position: Position): boolean {
    const since = this.#streamed.get(collection)
    return since !== undefined && since <= position.time
  }

  async #judgeRun(): Promise<void> {
    if (this.#run.length === 0) return
    const run = this.#run
    this.#run = []
    this.#runNames = new Set()
    this.#runRequests = 0
    this.#runBytes = 0
    const decisions = await decide(
      this.#io.judge,
      run.map(({ requests }) => requests),
    )
    for (const [index, decision] of decisions.entries()) {
      const waiting = run[index]
      if (waiting !== undefined) await this.#settle(waiting.visit, decision)
    }
  }

  /** Gives the record its verdict, and moves the lanes it touches over it. */
  async #settle(visit: Visit, { reason, message }: Decision): Promise<void> {
    const { stop, record, previous, anew } = visit
    const { position, writer } = record
    const turned = reason !== previous
    if (turned && previous !== undefined) await this.#enter(record, record.touches.keys(), position)
    for (const name of turned ? record.touches.keys() : stop.entries.keys()) {
      const lane = this.#laneOf(name)
      const touch = touchOf(record, name)
      const entry = pass(lane, { position, writer, touch, reason, previous, entry: stop.entries.get(name) })
      if (entry !== undefined) this.history.push({ key: lane.key, entry })
      await this.#follow(lane, position)
    }
    if (!anew) return
    if (reason !== REASONS.accepted) this.refused.push({ position, reason, message, keys: keysOf(record) })
    else if (previous !== undefined && turned) this.cleared.push(position)
  }

  /** Sees to it that the later records of a dirty lane are visited. */
  async #follow(lane: Lane, position: Position): Promise<void> {
    lane.streamed ||= this.#isStreamed(lane.key.collection, position)
    if (!isDirty(lane)) this.#timeline.unfollow(lane)
    else if (lane.feed === undefined && !lane.streamed && isFollowedBy(lane, position)) {
      await this.#timeline.follow(lane, position)
    }
  }

  #laneOf(name: string): Lane {
    const lane = this.lanes.get(name)
    if (lane === undefined) throw new ThreadsError('INTERNAL', 'an instance was visited before it was read')
    return lane
  }
}

/** The instances a record names, also if it is refused as a whole and so touches none. */
function keysOf({ content }: EventRecord): RefusedRecord['keys'] {
  const keys = (content.events ?? []).map(({ collection, id }) => ({ collection, id }))
  return [...new Map(keys.map((key) => [keyName(key), key])).values()]
}

/** All stored entries of a record have the same reason. */
function storedReason({ entries }: Stop): ReasonCode | undefined {
  for (const { reason } of entries.values()) return reason
  return undefined
}

/** Whether stored records after the position touch the instance. */
function isFollowedBy({ row }: Lane, position: Position): boolean {
  return row !== undefined && comparePositions(row.position, position) > 0
}
