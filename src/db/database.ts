import { monotonicFactory, type ULIDFactory } from 'ulid'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { encodeEvents } from '../core/events.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { App, Draft, FoldContext, FoldOutcome, Net, OwnedThread, ThreadRecord } from '../net/index.ts'
import type { HostStore } from '../store/host-store.ts'
import type { ReadView } from '../store/ordered-store.ts'
import { Mutex } from '../util/mutex.ts'
import { type Action, refuseSecondCreate } from './actions.ts'
import { CollectionWrites } from './collection-writes.ts'
import { CollectionRegistry } from './collections.ts'
import {
  type CollectionDefinition,
  collectionInfo,
  collectionOf,
  type DatabaseDefinition,
  readDefinition,
  validatorsOf,
} from './definition.ts'
import { Folder } from './folder.ts'
import type { JudgeRequest } from './fold/judge.ts'
import type {
  CallOptions,
  Collection,
  CollectionConfig,
  CollectionInfo,
  Database,
  DbInfo,
  ListenFilter,
  ReadTransaction,
  Refusal,
  Update,
  WriteTransaction,
} from './index.ts'
import { listen } from './listen.ts'
import type { ResolvedDbOptions } from './options.ts'
import { InstanceReader } from './reader.ts'
import type { Sandbox } from './sandbox/index.ts'
import { listRefusals } from './refusals.ts'
import { SingleOperations, type SingleWork } from './single-operations.ts'
import { stampTime } from './stamp.ts'
import { LockedTransaction, SnapshotTransaction } from './transaction.ts'

export interface DatabaseComponents {
  readonly net: Net
  readonly thread: OwnedThread
  /** Stored state, of which read transactions take snapshots. */
  readonly reads: HostStore['reads']
  readonly sandbox: Sandbox
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  readonly options: ResolvedDbOptions
}

/** A thread read as state: collections of documents, and the only writer of its records on this host. */
export class ThreadDatabase implements Database, App {
  readonly id: ThreadId
  readonly #components: DatabaseComponents
  readonly #folder: Folder
  readonly #collections: CollectionRegistry
  /** Held by one write at a time; by an explicit transaction from its start to its end. */
  readonly #writeLock = new Mutex()
  #transactionOpen = false
  readonly #closed = new AbortController()
  #definition: { appData: unknown; definition: DatabaseDefinition } | undefined
  readonly #newId: ULIDFactory
  #lastModified = 0

  constructor(components: DatabaseComponents) {
    const { thread, sandbox, clock, random, options } = components
    this.id = thread.id
    this.#components = components
    this.#newId = monotonicFactory(() => unitInterval(random))
    this.#folder = new Folder({
      sandbox,
      clock,
      thread: thread.number,
      maxClockDriftMs: options.maxClockDriftMs,
      record: (logId, counter, view) => thread.record(logId, counter, view),
      transactionOpen: () => this.#transactionOpen,
    })
    this.#collections = new CollectionRegistry({ thread, sandbox, clock, folder: this.#folder })
  }

  get thread(): OwnedThread {
    return this.#components.thread
  }

  /** The stored definition, with the changes under way. */
  get definition(): DatabaseDefinition {
    const appData = this.#components.thread.appData()
    if (this.#definition === undefined || this.#definition.appData !== appData) {
      const definition = readDefinition(appData)
      if (definition === undefined) throw new ThreadsError('DB_NOT_FOUND', 'db not found')
      this.#definition = { appData, definition }
    }
    return this.#definition.definition
  }

  fold(records: readonly ThreadRecord[], context: FoldContext): Promise<FoldOutcome> {
    return this.#folder.fold(records, context, this.definition)
  }

  async info(options: CallOptions = {}): Promise<DbInfo> {
    const { key, addresses } = await this.#components.net.getThread(this.id, options)
    return { id: this.id, name: this.definition.name, key, addresses }
  }

  createCollection(config: CollectionConfig, _options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.create(config, () => this.definition))
  }

  updateCollection(config: CollectionConfig, _options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.update(config, () => this.definition))
  }

  deleteCollection(name: string, _options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.remove(name, () => this.definition))
  }

  async collectionInfo(name: string, _options: CallOptions = {}): Promise<CollectionInfo> {
    return collectionInfo(collectionOf(this.definition, name))
  }

  async listCollections(_options: CallOptions = {}): Promise<CollectionInfo[]> {
    return this.definition.collections.map(collectionInfo)
  }

  collection(name: string, options: CallOptions = {}): Collection {
    const caller = options.caller ?? {}
    collectionOf(this.definition, name)
    const place = { name, caller }
    return new SingleOperations({
      reader: this.#reader(place, this.#components.thread.reads),
      writes: this.#writes(place),
      write: (work) => this.#write(place, work),
    })
  }

  async readTransaction(name: string, options: CallOptions = {}): Promise<ReadTransaction> {
    collectionOf(this.definition, name)
    const snapshot = this.#components.reads.snapshot()
    const reader = this.#reader({ name, caller: options.caller ?? {} }, snapshot)
    return new SnapshotTransaction(reader, () => snapshot.close())
  }

  async writeTransaction(name: string, options: CallOptions = {}): Promise<WriteTransaction> {
    collectionOf(this.definition, name)
    const { thread, clock, options: limits } = this.#components
    const release = await this.#writeLock.acquire(options.signal === undefined ? {} : { signal: options.signal })
    this.#transactionOpen = true
    const place = { name, caller: options.caller ?? {} }
    const end = (): void => {
      this.#transactionOpen = false
      release()
      this.#resume()
    }
    try {
      // Reads in the transaction see what is stored: nothing may be under way.
      await thread.settled()
      collectionOf(this.definition, name)
      const commit = (actions: readonly Action[]): Promise<void> => this.#store(actions, place.caller)
      const reader = this.#reader(place, thread.reads)
      return new LockedTransaction({
        ...place,
        reader,
        writes: this.#writes(place),
        clock,
        limits,
        commit,
        release: end,
      })
    } catch (error) {
      end()
      throw error
    }
  }

  listen(filters: readonly ListenFilter[] = [], options: CallOptions = {}): AsyncIterable<Update> {
    const { net, thread } = this.#components
    const { signal: closed } = this.#closed
    const signal = options.signal === undefined ? closed : AbortSignal.any([closed, options.signal])
    const readerOf = (name: string): InstanceReader =>
      this.#reader({ name, caller: options.caller ?? {} }, this.#components.thread.reads)
    const isVisible = (name: string): boolean => this.definition.collections.some((each) => each.name === name)
    return listen(
      {
        journal: net.journal,
        thread: thread.number,
        isVisible,
        current: ({ collection, id }) => readerOf(collection).stored(id),
        serve: (collection, document) => readerOf(collection).serve(document),
      },
      { filters, signal },
    )
  }

  refusals(): Promise<Refusal[]> {
    const { thread } = this.#components
    return listRefusals(thread.reads, { thread: thread.number, generation: this.definition.generation })
  }

  /** Takes up what a crash cut off: indexes that were being built. */
  open(): Promise<void> {
    return this.#writeLock.run(() => this.#collections.buildIndexes(() => this.definition))
  }

  /** Ends listeners. Nothing can be written afterwards. */
  close(): void {
    this.#closed.abort()
  }

  /** Runs one operation as a transaction of its own. */
  async #write<T>(place: Place, work: SingleWork<T>): Promise<T> {
    const { thread } = this.#components
    const { result, stored } = await this.#writeLock.run(() =>
      thread.write(async (draft) => {
        const done = await work(this.#reader(place, draft.view))
        await this.#append(draft, done.actions, place.caller)
        return done.result
      }),
    )
    await stored
    return result
  }

  async #store(actions: readonly Action[], caller: Caller): Promise<void> {
    const { stored } = await this.#components.thread.write((draft) => this.#append(draft, actions, caller))
    await stored
  }

  /** Adds the actions to a draft as one record. */
  async #append(draft: Draft, actions: readonly Action[], caller: Caller): Promise<void> {
    if (actions.length === 0) return
    refuseSecondCreate(actions)
    const time = stampTime(this.#components.clock.nowMs(), draft.latestTime)
    const events = actions.map((action, index) => ({ ...action, timestamp: time + BigInt(index) }))
    await this.#collections.refuseConflicts(events, draft.view, this.definition)
    await draft.append(caller, encodeEvents(events))
  }

  #reader(place: Place, view: ReadView): InstanceReader {
    const { thread, sandbox } = this.#components
    const { generation } = this.definition
    const collection = (): CollectionDefinition => collectionOf(this.definition, place.name)
    return new InstanceReader({ view, thread: thread.number, generation, sandbox, collection, caller: place.caller })
  }

  #writes(place: Place): CollectionWrites {
    const { clock } = this.#components
    return new CollectionWrites({
      collection: () => collectionOf(this.definition, place.name),
      schema: () => this.#collections.schemaOf(collectionOf(this.definition, place.name)),
      newId: () => this.#newId(clock.nowMs()).toLowerCase(),
      modified: () => this.#nextModified(),
      judge: (actions, reader) => this.#judge(actions, { reader, caller: place.caller }),
    })
  }

  /** What the write validator in force would say to these actions now. */
  async #judge(actions: readonly Action[], by: { reader: InstanceReader; caller: Caller }): Promise<void> {
    const { net, sandbox, clock } = this.#components
    const time = BigInt(clock.nowMs()) * 1_000_000n
    const writer = by.caller.identity ?? net.identity
    const requests: JudgeRequest[] = []
    for (const [index, action] of actions.entries()) {
      const rule = validatorsOf(this.definition, action.collection).at(-1)
      if (rule === undefined || rule.validator === '') continue
      const event = { ...action, timestamp: time + BigInt(index) }
      requests.push({ ...rule, writer, event, time, instance: await by.reader.stored(action.id) })
    }
    const verdicts = await sandbox.judge(requests, { budget: 'author' })
    for (const verdict of verdicts) if (!verdict.accepted) throw new ThreadsError('WRITE_DENIED', verdict.message)
  }

  /** Time for `_mod`, in ns; two writes never get the same, as a number can tell them apart. */
  #nextModified(): number {
    const now = this.#components.clock.nowMs() * 1e6
    this.#lastModified = Math.max(now, this.#lastModified + MOD_STEP_NS)
    return this.#lastModified
  }

  #resume(): void {
    const { thread, logger } = this.#components
    thread.resume().catch((error: unknown) => {
      logger.warn({ thread: this.id, error }, 'could not fold what waited for a transaction')
    })
  }
}

/** A number from 0 up to, not including, 1. */
function unitInterval(random: Random): number {
  const [byte = 0] = random(1)
  return byte / 256
}

/** Doubles of the size of today's time in ns are 256 apart. */
const MOD_STEP_NS = 1_000

interface Place {
  readonly name: string
  readonly caller: Caller
}
