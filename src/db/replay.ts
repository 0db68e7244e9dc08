/**
 * Folds a thread from its first records on, into rows of a generation of their own. All logs are taken together in
 * order of position, so that no record is ever late: each is folded once, and what is held in memory does not grow.
 */
import { hasCode } from '../core/errors.ts'
import type { BranchPoint, ChainKey, Cursor, RecordPlace, ThreadRecord } from '../net/index.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import { type DatabaseDefinition, validatorsOf } from './definition.ts'
import { type FoldRecord, type FoldResult, fold, type Judge } from './fold/fold.ts'
import { Heap } from './fold/heap.ts'
import { comparePositions, type Position } from './fold/position.ts'
import { createFoldState } from './fold/store-state.ts'
import { derivedRows, foldRecord } from './folder.ts'

export interface ReplaySource {
  readonly thread: number
  /** How many records of each chain are folded. */
  readonly chains: ReadonlyMap<ChainKey, number>
  /** Where branches part from other chains. */
  readonly branches: ReadonlyMap<ChainKey, BranchPoint>
  /** Throws STORE_CORRUPT. */
  record(chain: ChainKey, counter: number): Promise<ThreadRecord>
  /** Throws STORE_CORRUPT. */
  recordOf(place: RecordPlace): Promise<ThreadRecord>
}

export interface ReplayTarget {
  /** What is stored with what was handed to `store`. */
  readonly view: ReadView
  store(operations: readonly Operation[]): Promise<void>
}

export interface ReplayOptions {
  /** With the generation whose rows are made. There are none of it yet. */
  readonly definition: DatabaseDefinition
  readonly judge: Judge
  readonly signal?: AbortSignal
  /**
   * Told of a record that cannot be folded: it, what follows it in its chain, and the branches that part there are left
   * out. Default: the failure is thrown.
   */
  readonly onStuck?: (record: Position, error: unknown) => void
}

/** Records folded and stored at once, and bytes of their blocks. */
const SLICE_RECORDS = 500
const SLICE_BYTES = 2 * 1024 * 1024

/** Answers the cursors of the chains. Throws SANDBOX_DOWN, STORE_CORRUPT, the reason of the signal. */
export async function replay(
  source: ReplaySource,
  target: ReplayTarget,
  { definition, judge, signal, onStuck }: ReplayOptions,
): Promise<ReadonlyMap<ChainKey, Cursor>> {
  const { thread } = source
  const merge = new Merge(source, definition)
  await merge.start()
  const state = createFoldState({
    view: target.view,
    thread,
    generation: definition.generation,
    record: (position) => merge.read(position),
  })
  const validators = (collection: string) => validatorsOf(definition, collection)
  /** Halves what cannot be folded until it is known which record it is. */
  const take = async (slice: readonly Taken[]): Promise<void> => {
    const left = slice.filter((taken) => !merge.isHeld(taken))
    const [first] = left
    if (first === undefined) return
    signal?.throwIfAborted()
    let result: FoldResult
    try {
      result = await fold({ records: left.map(({ record }) => record) }, { state, judge, validators, pause })
    } catch (error) {
      if (onStuck === undefined || signal?.aborted === true || isOfStore(error)) throw error
      if (left.length === 1) {
        onStuck(first.record.position, error)
        return merge.hold(first.chain, first.before)
      }
      const half = Math.ceil(left.length / 2)
      await take(left.slice(0, half))
      return take(left.slice(half))
    }
    await target.store(derivedRows(result, thread, definition).operations)
    await pause()
  }
  for (let slice = await merge.slice(); slice.length > 0; slice = await merge.slice()) await take(slice)
  return merge.cursors
}

/** Failures that say nothing about a record. */
function isOfStore(error: unknown): boolean {
  return (['STORE_CORRUPT', 'STORE_FAILED', 'CLOSED'] as const).some((code) => hasCode(error, code))
}

function pause(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A record in its turn. */
interface Taken {
  readonly chain: ChainKey
  readonly record: FoldRecord
  /** Where its chain stood before it. */
  readonly before: Cursor
}

/** The next record of a chain. */
interface Next {
  readonly chain: ChainKey
  readonly position: Position
  readonly bytes: number
  /** Absent if it is so large that it is better read again than held: there may be thousands of logs. */
  readonly record: FoldRecord | undefined
}

const HELD_BYTES = 16 * 1024
/** Records read before other work of the process gets its turn. */
const READ_AT_ONCE = 100

/** The records of all chains in order of position. */
class Merge {
  readonly cursors: Map<ChainKey, Cursor> = new Map()
  readonly #source: ReplaySource
  readonly #definition: DatabaseDefinition
  /** By the chain and the counter of the record they follow. */
  readonly #branches: ReadonlyMap<string, ChainKey[]>
  /** Chains that are left out from a record on. */
  readonly #held = new Set<ChainKey>()
  readonly #heap = new Heap<Next>((a, b) => comparePositions(a.position, b.position))
  #reads = 0

  constructor(source: ReplaySource, definition: DatabaseDefinition) {
    this.#source = source
    this.#definition = definition
    const places = [...source.branches].map(([chain, { parent, base }]) => ({ chain, place: `${parent} ${base}` }))
    const grouped = Map.groupBy(places, ({ place }) => place)
    this.#branches = new Map([...grouped].map(([place, branches]) => [place, branches.map(({ chain }) => chain)]))
  }

  async start(): Promise<void> {
    for (const chain of this.#source.chains.keys()) {
      const base = this.#source.branches.get(chain)?.base ?? 0
      this.cursors.set(chain, { counter: base, time: 0n })
      if (base === 0) await this.#advance(chain)
    }
  }

  /** The next records; none at the end. */
  async slice(): Promise<Taken[]> {
    const taken: Taken[] = []
    let bytes = 0
    while (taken.length < SLICE_RECORDS && bytes < SLICE_BYTES) {
      const next = this.#heap.pop()
      if (next === undefined) break
      if (this.isHeld(next)) continue
      const { chain, position } = next
      const { counter, time } = position
      const record = next.record ?? (await this.#fold(chain, counter)).record
      taken.push({ chain, record, before: this.cursors.get(chain) ?? { counter: counter - 1, time: 0n } })
      bytes += next.bytes
      this.cursors.set(chain, { counter, time })
      await this.#advance(chain)
      for (const branch of this.#branches.get(`${chain} ${counter}`) ?? []) {
        this.cursors.set(branch, { counter, time })
        await this.#advance(branch)
      }
    }
    return taken
  }

  isHeld({ chain }: { readonly chain: ChainKey }): boolean {
    return this.#held.has(chain)
  }

  /** Leaves out what follows in a chain, and the branches that part behind there. */
  hold(chain: ChainKey, before: Cursor): void {
    this.#held.add(chain)
    this.cursors.set(chain, before)
    for (const [branch, { parent, base }] of this.#source.branches) {
      const parts = parent === chain && base > before.counter
      if (parts && !this.#held.has(branch)) this.hold(branch, { counter: base, time: 0n })
    }
  }

  /** A record that was folded already. */
  async read(position: Position): Promise<FoldRecord> {
    // Its own time is that of the record before it, or later.
    return foldRecord(await this.#source.recordOf(position), position.time, this.#definition.decisions)
  }

  async #advance(chain: ChainKey): Promise<void> {
    const counter = (this.cursors.get(chain)?.counter ?? 0) + 1
    if (counter > (this.#source.chains.get(chain) ?? 0)) return
    const { record, bytes } = await this.#fold(chain, counter)
    const held = bytes > HELD_BYTES ? undefined : record
    this.#heap.push({ chain, position: record.position, bytes, record: held })
    if (++this.#reads % READ_AT_ONCE === 0) await pause()
  }

  /** The record behind the cursor of its chain. */
  async #fold(chain: ChainKey, counter: number): Promise<{ record: FoldRecord; bytes: number }> {
    const read = await this.#source.record(chain, counter)
    const { recordNode, eventNode, headerNode, bodyNode } = read.blocks
    const bytes = recordNode.length + eventNode.length + headerNode.length + bodyNode.length
    const record = foldRecord(read, this.cursors.get(chain)?.time ?? 0n, this.#definition.decisions)
    return { record, bytes }
  }
}
