import type { Clock } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import type { ChainKey, Cursor, FoldContext, FoldOutcome, RecordPlace, ThreadRecord, WaitReason } from '../net/index.ts'
import type { Change } from '../store/commit.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import { type Decisions, isAdmitted, isSkipped } from './decisions.ts'
import { type DatabaseDefinition, validatorsOf } from './definition.ts'
import { type FoldRecord, type FoldResult, type FoldState, type FoldWork, fold, type Rejudge } from './fold/fold.ts'
import { type Position, positionOf } from './fold/position.ts'
import { REASONS } from './fold/reasons.ts'
import { timeOfRecord } from './record-time.ts'
import { createFoldState, foldOperations } from './fold/store-state.ts'
import { type Content, readContent } from './fold/well-formed.ts'
import { indexOperations } from './indexes/maintain.ts'
import { parseStored } from './json.ts'
import type { Sandbox } from './sandbox/index.ts'
import { MAX_AHEAD_MS, NS_PER_MS } from './stamp.ts'

/**
 * How long a log rests that could not be judged. A try takes seconds, at worst three times as long as a call may take at
 * all, and the thread takes no writes meanwhile.
 */
const SANDBOX_REST_MS = 5_000

export interface FolderComponents {
  readonly sandbox: Sandbox
  readonly clock: Clock
  /** Host-local number of the thread. */
  readonly thread: number
  readonly maxClockDriftMs: number
  /** Reads a record that was folded before. */
  record(place: RecordPlace, view: ReadView): Promise<ThreadRecord>
  /** Whether records from elsewhere must wait: an explicit write transaction is open, what it read must not change. */
  holdsBack(): boolean
}

/** Turns records of the thread into rows of instances, histories, refusals and indexes. */
export class Folder {
  readonly #components: FolderComponents
  /** Chains that could not be judged. */
  readonly #resting = new Map<ChainKey, Rest>()

  constructor(components: FolderComponents) {
    this.#components = components
  }

  /**
   * Throws SANDBOX_DOWN if one of several chains cannot be judged; one alone waits then. Where something is withdrawn
   * nothing waits: throws SANDBOX_DOWN, and LOG_WAITS while a transaction is open.
   */
  async fold(
    records: readonly ThreadRecord[],
    context: FoldContext,
    definition: DatabaseDefinition,
  ): Promise<FoldOutcome> {
    const { withdrawn = [] } = context
    if (!context.local && this.#components.holdsBack()) return waiting(records, { kind: 'transaction' }, context)
    const { admitted, cursors, waits } = await this.#admit(records, context, definition)
    try {
      const work = { records: admitted, withdrawn: await this.#placed(withdrawn, context, definition) }
      const result = await this.#run(work, context, definition)
      if (context.local) refuseDenied(result)
      return { ...derivedRows(result, this.#components.thread, definition), cursors, waits }
    } catch (error) {
      const [chain, ...others] = cursors.keys()
      // Which of several chains it is, net finds out: it then hands over each alone.
      const canWait = !context.local && chain !== undefined && others.length + withdrawn.length === 0
      if (!hasCode(error, 'SANDBOX_DOWN') || !canWait) throw error
      const rest = { untilMs: this.#nowMs() + SANDBOX_REST_MS, alone: admitted.length === 1 }
      this.#resting.set(chain, rest)
      return waiting(records, { kind: 'sandbox', alone: rest.alone }, context)
    }
  }

  /** The log is tried again without a rest. */
  retry(chain: ChainKey): void {
    this.#resting.delete(chain)
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

  /** Gives records their positions; those ahead of the clock, and what follows them in their chain, stay behind. */
  async #admit(
    records: readonly ThreadRecord[],
    context: FoldContext,
    definition: DatabaseDefinition,
  ): Promise<Admission> {
    const { decisions } = definition
    const cursors = new Map<ChainKey, Cursor>()
    const waits = new Map<ChainKey, WaitReason>()
    const admitted: FoldRecord[] = []
    const { maxClockDriftMs } = this.#components
    const nowMs = this.#nowMs()
    for (const record of records) {
      const { chain, counter } = record
      if (waits.has(chain)) continue
      const rest = context.local ? undefined : this.#restOf(chain)
      if (rest !== undefined) {
        waits.set(chain, { kind: 'sandbox', alone: rest.alone })
        continue
      }
      const previous = cursors.get(chain)?.time ?? (await this.#timeBefore(record, context, definition))
      const folded = foldRecord(record, previous, decisions)
      const { time } = folded.position
      // Further ahead, and this host could not write after it.
      const aheadMs = isAdmitted(decisions, record) ? MAX_AHEAD_MS : maxClockDriftMs
      if (!context.local && time > BigInt(nowMs + aheadMs) * NS_PER_MS) {
        waits.set(chain, { kind: 'clock', untilMs: Number(time / NS_PER_MS) - aheadMs })
        continue
      }
      admitted.push(folded)
      cursors.set(chain, { counter, time })
    }
    return { admitted, cursors, waits }
  }

  /** Withdrawn records, at the positions they were folded at. */
  async #placed(
    withdrawn: readonly ThreadRecord[],
    context: FoldContext,
    definition: DatabaseDefinition,
  ): Promise<FoldRecord[]> {
    const placed: FoldRecord[] = []
    for (const record of withdrawn) {
      placed.push(foldRecord(record, await this.#timeBefore(record, context, definition), definition.decisions))
    }
    return placed
  }

  /** Time of the last record folded of the chain; of the record it parts from, at the start of a branch. */
  async #timeBefore(
    { chain, logId, counter, prev }: ThreadRecord,
    { cursors, view }: FoldContext,
    definition: DatabaseDefinition,
  ): Promise<bigint> {
    const cursor = cursors.get(chain)
    if (cursor !== undefined) return cursor.time
    if (prev === undefined) return 0n
    const place = { logId, counter: counter - 1, digest: prev.multihash.digest }
    const record = (each: RecordPlace): Promise<ThreadRecord> => this.#components.record(each, view)
    return timeOfRecord(place, { state: this.#state(view, definition), record })
  }

  #restOf(chain: ChainKey): Rest | undefined {
    const rest = this.#resting.get(chain)
    if (rest === undefined || rest.untilMs > this.#nowMs()) return rest
    this.#resting.delete(chain)
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
    const { sandbox } = this.#components
    return fold(work, {
      state: this.#state(context.view, definition),
      judge: { judge: (requests) => sandbox.judge(requests, { budget: context.local ? 'author' : 'judge' }) },
      validators: (collection) => validatorsOf(definition, collection),
      pause: () => new Promise((resolve) => setImmediate(resolve)),
    })
  }

  #state(view: ReadView, { generation }: DatabaseDefinition): FoldState {
    const { thread } = this.#components
    const record = async (position: Position): Promise<FoldRecord> => {
      const found = await this.#components.record(position, view)
      return { position, writer: found.author ?? NOBODY, content: contentOf(found) }
    }
    return createFoldState({ view, thread, generation, record })
  }
}

/** The rows that make a result durable, those of indexes included, and what it changes for readers. */
export function derivedRows(
  result: FoldResult,
  thread: number,
  definition: DatabaseDefinition,
): { operations: Operation[]; changes: Change[] } {
  const { operations, changes } = foldOperations(result, thread, definition.generation)
  for (const { key, before, document } of result.instances) {
    const indexed = definition.collections.find((each) => each.name === key.collection)?.indexes ?? []
    if (indexed.length === 0) continue
    const place = { thread, generation: definition.generation, id: key.id }
    const old = before?.document && parseStored(before.document)
    operations.push(...indexOperations(indexed, place, { before: old, after: document?.value }))
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
  readonly cursors: Map<ChainKey, Cursor>
  readonly waits: Map<ChainKey, WaitReason>
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

/** All of them wait for the same. Throws LOG_WAITS where something is to be withdrawn: that does not wait. */
export function waiting(
  records: readonly ThreadRecord[],
  reason: WaitReason,
  { withdrawn = [] }: Pick<FoldContext, 'withdrawn'>,
): FoldOutcome {
  if (withdrawn.length > 0) throw new ThreadsError('LOG_WAITS', `the thread waits: ${reason.kind}`)
  const waits = new Map(records.map((record) => [record.chain, reason]))
  return { operations: [], changes: [], cursors: new Map(), waits }
}

/** A record written here is not stored if it would have no effect. */
function refuseDenied(result: FoldResult): void {
  const [refused] = result.refusals.put
  if (refused !== undefined) throw new ThreadsError('WRITE_DENIED', refused.message)
}
