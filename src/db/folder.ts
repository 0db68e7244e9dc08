import type { Clock } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import type { LogId } from '../core/peer-id.ts'
import type { Cursor, FoldContext, FoldOutcome, ThreadRecord, WaitReason } from '../net/index.ts'
import type { Change } from '../store/commit.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import { type Decisions, isAdmitted, isSkipped } from './decisions.ts'
import { type DatabaseDefinition, validatorsOf } from './definition.ts'
import { type FoldRecord, type FoldResult, type FoldWork, fold, type Rejudge } from './fold/fold.ts'
import { positionOf } from './fold/position.ts'
import { REASONS } from './fold/reasons.ts'
import { createFoldState, foldOperations } from './fold/store-state.ts'
import { type Content, readContent } from './fold/well-formed.ts'
import { indexOperations } from './indexes/maintain.ts'
import type { Sandbox } from './sandbox/index.ts'
import { MAX_AHEAD_MS, NS_PER_MS } from './stamp.ts'

/** How long a log rests that could not be judged. A try may take a minute, in which the thread takes no writes. */
const SANDBOX_REST_MS = 5_000

export interface FolderComponents {
  readonly sandbox: Sandbox
  readonly clock: Clock
  /** Host-local number of the thread. */
  readonly thread: number
  readonly maxClockDriftMs: number
  /** Reads a record that was folded before. */
  record(logId: LogId, counter: number, view: ReadView): Promise<ThreadRecord>
  /** Whether records from elsewhere must wait: an explicit write transaction is open, what it read must not change. */
  holdsBack(): boolean
}

/** Turns records of the thread into rows of instances, histories, refusals and indexes. */
export class Folder {
  readonly #components: FolderComponents
  /** Logs that could not be judged. */
  readonly #resting = new Map<LogId, Rest>()

  constructor(components: FolderComponents) {
    this.#components = components
  }

  /** Throws SANDBOX_DOWN if one of several logs cannot be judged; one alone waits then. */
  async fold(
    records: readonly ThreadRecord[],
    context: FoldContext,
    definition: DatabaseDefinition,
  ): Promise<FoldOutcome> {
    if (!context.local && this.#components.holdsBack()) return waiting(records, { kind: 'transaction' })
    const { admitted, cursors, waits } = this.#admit(records, context, definition.decisions)
    try {
      const result = await this.#run({ records: admitted, rejudge: [] }, context, definition)
      if (context.local) refuseDenied(result)
      return { ...derivedRows(result, this.#components.thread, definition), cursors, waits }
    } catch (error) {
      const [log, ...others] = new Set(admitted.map(({ position }) => position.logId))
      // Which of several logs it is, net finds out: it then hands over each alone.
      if (!hasCode(error, 'SANDBOX_DOWN') || context.local || log === undefined || others.length > 0) throw error
      const rest = { untilMs: this.#nowMs() + SANDBOX_REST_MS, alone: admitted.length === 1 }
      this.#resting.set(log, rest)
      return waiting(records, { kind: 'sandbox', alone: rest.alone })
    }
  }

  /** The log is tried again without a rest. */
  retry(logId: LogId): void {
    this.#resting.delete(logId)
  }

  /** Judges the events of a collection again, from a time on. */
  async rejudge(
    rejudge: Rejudge,
    view: ReadView,
    definition: DatabaseDefinition,
  ): Promise<{ operations: Operation[]; changes: Change[] }> {
    const work = { records: [], rejudge: [rejudge] }
    const result = await this.#run(work, { view, local: false }, definition)
    return derivedRows(result, this.#components.thread, definition)
  }

  /** Takes back the effects of records that were folded. */
  async withdraw(
    withdrawn: readonly FoldRecord[],
    view: ReadView,
    definition: DatabaseDefinition,
  ): Promise<{ operations: Operation[]; changes: Change[] }> {
    const result = await this.#run({ records: [], withdrawn }, { view, local: false }, definition)
    return derivedRows(result, this.#components.thread, definition)
  }

  /** Gives records their positions; those ahead of the clock, and what follows them in their log, stay behind. */
  #admit(records: readonly ThreadRecord[], context: FoldContext, decisions: Decisions | undefined): Admission {
    const cursors = new Map<LogId, Cursor>()
    const waits = new Map<LogId, WaitReason>()
    const admitted: FoldRecord[] = []
    const { maxClockDriftMs } = this.#components
    const nowMs = this.#nowMs()
    for (const record of records) {
      const { logId, counter } = record
      if (waits.has(logId)) continue
      const rest = context.local ? undefined : this.#restOf(logId)
      if (rest !== undefined) {
        waits.set(logId, { kind: 'sandbox', alone: rest.alone })
        continue
      }
      const previous = cursors.get(logId) ?? context.cursors.get(logId)
      const folded = foldRecord(record, previous?.time ?? 0n, decisions)
      const { time } = folded.position
      // Further ahead, and this host could not write after it.
      const aheadMs = isAdmitted(decisions, record) ? MAX_AHEAD_MS : maxClockDriftMs
      if (!context.local && time > BigInt(nowMs + aheadMs) * NS_PER_MS) {
        waits.set(logId, { kind: 'clock', untilMs: Number(time / NS_PER_MS) - aheadMs })
        continue
      }
      admitted.push(folded)
      cursors.set(logId, { counter, time })
    }
    return { admitted, cursors, waits }
  }

  #restOf(logId: LogId): Rest | undefined {
    const rest = this.#resting.get(logId)
    if (rest === undefined || rest.untilMs > this.#nowMs()) return rest
    this.#resting.delete(logId)
    return undefined
  }

  #nowMs(): number {
    return this.#components.clock.nowMs()
  }

  #run(
    work: FoldWork,
    context: Pick<FoldContext, 'view' | 'local'>,
    definition: DatabaseDefinition,
  ): Promise<FoldResult> {
    const { sandbox, thread } = this.#components
    const { view, local } = context
    const state = createFoldState({
      view,
      thread,
      generation: definition.generation,
      record: async (position) => {
        const record = await this.#components.record(position.logId, position.counter, view)
        return { position, writer: record.author ?? NOBODY, content: contentOf(record) }
      },
    })
    return fold(work, {
      state,
      judge: { judge: (requests) => sandbox.judge(requests, { budget: local ? 'author' : 'judge' }) },
      validators: (collection) => validatorsOf(definition, collection),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    })
  }
}

/** The rows that make a result durable, those of indexes included, and what it changes for readers. */
export function derivedRows(
  result: FoldResult,
  thread: number,
  definition: DatabaseDefinition,
): { operations: Operation[]; changes: Change[] } {
  const { operations, changes } = foldOperations(result, thread, definition.generation)
  for (const { key, before, after } of result.instances) {
    const indexed = definition.collections.find((each) => each.name === key.collection)?.indexes ?? []
    if (indexed.length === 0) continue
    const place = { thread, generation: definition.generation, id: key.id }
    operations.push(...indexOperations(indexed, place, { before: before?.document, after: after?.document }))
  }
  return { operations, changes }
}

interface Rest {
  /** When the log is tried again, in ms since 1970. */
  readonly untilMs: number
  /** It was the first record of the log that could not be judged. */
  readonly alone: boolean
}

interface Admission {
  readonly admitted: FoldRecord[]
  readonly cursors: Map<LogId, Cursor>
  readonly waits: Map<LogId, WaitReason>
}

/** A record that was skipped keeps its position, so that those behind it have theirs. */
export function foldRecord(record: ThreadRecord, previousTime: bigint, decisions: Decisions | undefined): FoldRecord {
  const content = contentOf(record)
  const { events = [] } = content
  const position = positionOf(record, events, previousTime)
  const judged: Content = isSkipped(decisions, record) ? { kind: 'refused', reason: REASONS.skipped, events } : content
  return { position, writer: record.author ?? NOBODY, content: judged }
}

/** Writer of a record that names none: it is refused as a whole, so nobody is asked about him. */
const NOBODY = '' as Identity

function contentOf(record: ThreadRecord): Content {
  return readContent(record.author === undefined ? undefined : record.body)
}

/** All of them wait for the same. */
export function waiting(records: readonly ThreadRecord[], reason: WaitReason): FoldOutcome {
  const waits = new Map(records.map((record) => [record.logId, reason]))
  return { operations: [], changes: [], cursors: new Map(), waits }
}

/** A record written here is not stored if it would have no effect. */
function refuseDenied(result: FoldResult): void {
  const [refused] = result.refusals.put
  if (refused !== undefined) throw new ThreadsError('WRITE_DENIED', refused.message)
}
