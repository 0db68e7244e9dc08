import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Batch, Commit } from './commit.ts'
import type { FreeSpace } from './free-space.ts'
import type { CommitJournal } from './journal.ts'
import { rowKey } from './key-codec.ts'
import type { Operation, OrderedStore, ReadView } from './ordered-store.ts'
import { Overlay, OverlayView } from './overlay.ts'

/** `read-only` after a failed write, until the store is open again. */
export type CommitterState = 'open' | 'read-only' | 'closed'

/** `full`: the caller waits for the fsync. `relaxed`: it follows within 100 ms. */
export type Durability = 'full' | 'relaxed'

/** The only writer of a store. Merges the batches of all threads into few synced writes. */
export interface Committer {
  readonly state: CommitterState
  /** Goes up whenever the store was reopened after a failed write: what was read before may be untrue. */
  readonly generation: number
  /** What is stored, with the batches of this thread that are queued on top. */
  view(thread: number): ReadView
  /**
   * Queues a batch before it returns: `view(batch.thread)` shows it at once. Resolves when it is stored, in the order of
   * `seq`. A batch that is refused (STORE_READONLY, NO_SPACE, STORE_BUSY, CLOSED) was never queued: `operations` was not
   * called. After STORE_FAILED it is unknown whether the batch is stored.
   */
  submit(batch: Batch, options?: SubmitOptions): Promise<Commit>
  /** Resolves when every batch of the thread submitted so far is stored; rejects when one of them failed. */
  settled(thread: number): Promise<void>
}

export interface SubmitOptions {
  /** The batch is part of making room: it is taken when the disk is nearly full too. Default false. */
  frees?: boolean
}

export interface CommitterOptions {
  durability: Durability
  /** Batches merged into one write. */
  maxGroupBatches: number
  /** Bytes of keys and values merged into one write; a larger batch goes alone. */
  maxGroupBytes: number
  /** Bytes of keys and values that may wait. More are refused with STORE_BUSY. */
  maxWaitingBytes: number
}

export interface CommitterComponents {
  store: OrderedStore
  journal: CommitJournal
  space: FreeSpace
  clock: Clock
  /** Called once per failed write, after its batches were rejected. */
  onFailed(error: ThreadsError): void
}

/** Time after an unsynced write at which the fsync starts, so that it ends within 100 ms. */
const RELAXED_SYNC_DELAY_MS = 50

/** Deleting what never exists: the smallest write that takes an fsync along. */
const SYNC_ONLY: Operation = { type: 'del', key: rowKey('s', 'sync') }

interface Waiting {
  readonly commit: Commit
  readonly operations: readonly Operation[]
  readonly bytes: number
  /** What the overlay knows the batch by. */
  readonly names: readonly string[]
  readonly lane: Lane
  readonly resolve: (commit: Commit) => void
  readonly reject: (error: ThreadsError) => void
}

/** The batches of a thread that are on their way. */
interface Lane {
  readonly thread: number
  readonly overlay: Overlay
  count: number
  last: Promise<Commit> | undefined
}

export class GroupCommitter implements Committer {
  readonly #components: CommitterComponents
  readonly #options: CommitterOptions
  readonly #lanes = new Map<number, Lane>()
  #state: CommitterState = 'open'
  #generation = 1
  #waiting: Waiting[] = []
  #waitingBytes = 0
  /** Written without fsync, in order. Only with relaxed durability. */
  #unsynced: Commit[] = []
  #syncDue = false
  #cancelSync: (() => void) | undefined
  #running: Promise<void> | undefined

  constructor(components: CommitterComponents, options: CommitterOptions) {
    this.#components = components
    this.#options = options
  }

  get state(): CommitterState {
    return this.#state
  }

  get generation(): number {
    return this.#generation
  }

  view(thread: number): ReadView {
    return new OverlayView(this.#components.store, () => this.#lanes.get(thread)?.overlay)
  }

  submit(batch: Batch, options: SubmitOptions = {}): Promise<Commit> {
    try {
      this.#assertTakes(options)
      return this.#queue(batch)
    } catch (error) {
      return Promise.reject(error)
    }
  }

  async settled(thread: number): Promise<void> {
    await this.#lanes.get(thread)?.last
  }

  /** The store was reopened. Writes go on after {@link resume}, when everyone has read anew. */
  reopened(): void {
    this.#generation++
  }

  resume(): void {
    if (this.#state === 'read-only') this.#state = 'open'
  }

  /** Takes no more batches and waits for those it has. They are synced before this resolves, unless a write failed. */
  async close(): Promise<void> {
    this.#state = 'closed'
    await this.#running
    if (this.#unsynced.length > 0) {
      this.#requestSync()
      await this.#running
    }
  }

  #assertTakes(options: SubmitOptions): void {
    if (this.#state === 'closed') throw new ThreadsError('CLOSED', 'the store is closed')
    if (this.#state === 'read-only') {
      throw new ThreadsError('STORE_READONLY', 'the store takes no writes after a failed one', {
        hint: 'It is being opened again. Try later.',
      })
    }
    if (this.#waitingBytes >= this.#options.maxWaitingBytes) {
      throw new ThreadsError('STORE_BUSY', 'too many writes wait for the disk', { hint: 'Try again later.' })
    }
    if (this.#components.space.isLow() && options.frees !== true) {
      throw new ThreadsError('NO_SPACE', 'the disk is nearly full', { hint: 'Free some space. Reading still works.' })
    }
  }

  #queue(batch: Batch): Promise<Commit> {
    const { journal } = this.#components
    const { thread, heads, changes } = batch
    const commit: Commit = { seq: journal.nextSeq, thread, heads, changes }
    const operations = [...batch.operations(commit.seq), journal.prepare(commit)]
    const lane = this.#lane(thread)
    const names = lane.overlay.add(commit.seq, operations)
    lane.count++
    const bytes = operationBytes(operations)
    this.#waitingBytes += bytes
    lane.last = new Promise<Commit>((resolve, reject) => {
      this.#waiting.push({ commit, operations, bytes, names, lane, resolve, reject })
    })
    this.#running ??= this.#run()
    return lane.last
  }

  #lane(thread: number): Lane {
    let lane = this.#lanes.get(thread)
    if (lane === undefined) {
      lane = { thread, overlay: new Overlay(), count: 0, last: undefined }
      this.#lanes.set(thread, lane)
    }
    return lane
  }

  /** One write at a time, as long as something waits. */
  async #run(): Promise<void> {
    // Batches submitted in the same turn as the first one travel with it.
    await Promise.resolve()
    while (this.#waiting.length > 0 || this.#syncDue) {
      const group = this.#takeGroup()
      const sync = this.#options.durability === 'full' || this.#syncDue
      this.#syncDue = false
      const operations = group.length > 0 ? group.flatMap((waiting) => waiting.operations) : [SYNC_ONLY]
      try {
        await this.#components.store.batch(operations, { sync })
      } catch (error) {
        this.#running = undefined
        this.#fail(group, error)
        return
      }
      this.#stored(group, sync)
    }
    this.#running = undefined
  }

  #takeGroup(): Waiting[] {
    const { maxGroupBatches, maxGroupBytes } = this.#options
    let count = 0
    let bytes = 0
    for (const waiting of this.#waiting) {
      if (count === maxGroupBatches || (count > 0 && bytes + waiting.bytes > maxGroupBytes)) break
      count++
      bytes += waiting.bytes
    }
    return this.#waiting.splice(0, count)
  }

  #stored(group: readonly Waiting[], synced: boolean): void {
    const commits = group.map((waiting) => waiting.commit)
    for (const { commit, names, bytes, lane } of group) {
      this.#waitingBytes -= bytes
      lane.overlay.remove(commit.seq, names)
      lane.count--
      if (lane.count === 0) this.#lanes.delete(lane.thread)
    }
    this.#unsynced.push(...commits)
    if (synced) this.#announce()
    else this.#scheduleSync()
    for (const { commit, resolve } of group) resolve(commit)
  }

  #announce(): void {
    this.#cancelSync?.()
    this.#cancelSync = undefined
    this.#components.journal.announce(this.#unsynced)
    this.#unsynced = []
  }

  #scheduleSync(): void {
    this.#cancelSync ??= this.#components.clock.after(RELAXED_SYNC_DELAY_MS, () => this.#requestSync())
  }

  #requestSync(): void {
    this.#syncDue = true
    this.#running ??= this.#run()
  }

  /** LevelDB takes no further writes after a failed one, and nobody knows how much of it will be found. */
  #fail(group: readonly Waiting[], cause: unknown): void {
    const error = new ThreadsError('STORE_FAILED', 'a write failed; it is unknown whether it is stored', { cause })
    const rejected = [...group, ...this.#waiting]
    this.#waiting = []
    this.#waitingBytes = 0
    this.#unsynced = []
    this.#cancelSync?.()
    this.#cancelSync = undefined
    this.#lanes.clear()
    if (this.#state === 'open') this.#state = 'read-only'
    for (const waiting of rejected) waiting.reject(error)
    this.#components.onFailed(error)
  }
}

function operationBytes(operations: readonly Operation[]): number {
  let bytes = 0
  for (const operation of operations) {
    bytes += operation.key.length + (operation.type === 'put' ? operation.value.length : 0)
  }
  return bytes
}
