import type { CID } from 'multiformats/cid'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { LogId } from '../core/peer-id.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { App, FoldContext, FoldOutcome, Net, OwnedThread, ThreadRecord } from '../net/index.ts'
import type { HostStore } from '../store/host-store.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { Action } from './actions.ts'
import { Author, type Place } from './author.ts'
import { CollectionRegistry } from './collections.ts'
import { collectionInfo, collectionOf, type DatabaseDefinition, readDefinition } from './definition.ts'
import { Folder, waiting } from './folder.ts'
import type { Position } from './fold/position.ts'
import type {
  CallOptions,
  Collection,
  CollectionConfig,
  CollectionInfo,
  ConflictOptions,
  ConflictPage,
  Database,
  DbInfo,
  ListenFilter,
  ListenOptions,
  ReadTransaction,
  Refusal,
  RefusalOptions,
  Update,
  WaitingOptions,
  WaitingRecord,
  WriteTransaction,
} from './index.ts'
import { listen } from './listen.ts'
import { Operator } from './operator.ts'
import type { ResolvedDbOptions } from './options.ts'
import { InstanceReader } from './reader.ts'
import { clearOthers, needsRebuild, rebuild } from './rebuild.ts'
import { listRefusals } from './refusals.ts'
import { decodeToken, encodeToken, type StateId } from './resume-token.ts'
import type { Sandbox } from './sandbox/index.ts'
import { SingleOperations, type SingleWork } from './single-operations.ts'
import { LockedTransaction, SnapshotTransaction } from './transaction.ts'
import { WriteLock } from './write-lock.ts'

export interface DatabaseComponents {
  readonly net: Net
  readonly thread: OwnedThread
  readonly storeId: Uint8Array
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
  readonly #author: Author
  readonly #operator: Operator
  readonly #writeLock: WriteLock
  readonly #closing = new AbortController()
  #definition: { appData: unknown; definition: DatabaseDefinition } | undefined
  /** The last rebuild failed. */
  #rebuildFailed = false
  /** What calls are refused with while the database is not served. */
  #refusal: ThreadsError | undefined

  constructor(components: DatabaseComponents) {
    const { net, thread, sandbox, clock, random, logger, options } = components
    this.id = thread.id
    this.#components = components
    this.#writeLock = new WriteLock({ thread, clock, logger, closed: this.#closing.signal })
    this.#folder = new Folder({
      sandbox,
      clock,
      thread: thread.number,
      maxClockDriftMs: options.maxClockDriftMs,
      record: (place, view) => thread.recordOf(place, view),
      holdsBack: () => this.#writeLock.holdsBack(),
    })
    const collections = new CollectionRegistry({ thread, sandbox, clock, folder: this.#folder })
    this.#collections = collections
    const definition = (): DatabaseDefinition => this.definition
    this.#author = new Author({ identity: net.identity, collections, sandbox, clock, random, definition })
    const { maxClockDriftMs } = options
    const shared = { thread, folder: this.#folder, writeLock: this.#writeLock, definition }
    this.#operator = new Operator({ ...shared, clock, logger, maxClockDriftMs })
  }

  get thread(): OwnedThread {
    return this.#components.thread
  }

  /**
   * The stored definition, with the changes under way. Throws the reason of `close` once that was called, and what calls
   * are refused with while the database is not served.
   */
  get definition(): DatabaseDefinition {
    if (this.#refusal !== undefined && !this.#closing.signal.aborted) throw this.#refusal
    return this.#stored()
  }

  #stored(): DatabaseDefinition {
    this.#closing.signal.throwIfAborted()
    const appData = this.#components.thread.appData()
    if (this.#definition === undefined || this.#definition.appData !== appData) {
      const definition = readDefinition(appData)
      if (definition === undefined) throw new ThreadsError('DB_NOT_FOUND', 'db not found')
      this.#definition = { appData, definition }
    }
    return this.#definition.definition
  }

  async fold(records: readonly ThreadRecord[], context: FoldContext): Promise<FoldOutcome> {
    if (this.needsRebuild) return waiting(records, { kind: 'rebuild' }, context)
    return this.#folder.fold(records, context, this.definition)
  }

  /** Whether the documents must be made anew before they are served. Nothing is folded until then. */
  get needsRebuild(): boolean {
    return needsRebuild(this.#components.thread, this.#stored())
  }

  /** Calls are refused with this error from now on; a rebuild ends that. */
  refuse(error: ThreadsError): void {
    this.#refusal = error
  }

  damaged(cause: ThreadsError): void {
    if (this.#refusal?.code === 'STORE_CORRUPT') return
    this.refuse(new ThreadsError('STORE_CORRUPT', `the database is damaged: ${cause.message}`, { cause }))
  }

  /**
   * Makes the documents anew, then serves them. Ends early, with its reason, when the database is closed. Fails if a record
   * cannot be judged; called again it goes on without, and the log of the record waits.
   */
  async rebuild(): Promise<void> {
    const { thread, sandbox, logger } = this.#components
    logger.warn({ thread: this.id }, 'the documents of a database are made anew from its records')
    const onStuck = ({ logId, counter }: Position, error: unknown): void =>
      logger.warn({ thread: this.id, log: logId, counter, error }, 'a record cannot be folded, its log waits')
    const patience = this.#rebuildFailed ? { onStuck } : {}
    // The sandbox may be down for a moment.
    this.#rebuildFailed = true
    await rebuild({ thread, sandbox, signal: this.#closing.signal, ...patience }, this.#stored())
    this.#rebuildFailed = false
    this.#refusal = undefined
    logger.warn({ thread: this.id }, 'the documents of a database were made anew')
    await thread.resume()
    await this.complete()
  }

  /** Removes what a rebuild has left behind. */
  clearLeftovers(): Promise<void> {
    const { thread } = this.#components
    return clearOthers({ thread, signal: this.#closing.signal }, this.#stored())
  }

  async info(options: CallOptions = {}): Promise<DbInfo> {
    const { key, addresses } = await this.#components.net.getThread(this.id, options)
    return { id: this.id, name: this.#stored().name, key, addresses }
  }

  createCollection(config: CollectionConfig, options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.create(config, () => this.definition), options)
  }

  updateCollection(config: CollectionConfig, options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.update(config, () => this.definition), options)
  }

  deleteCollection(name: string, options: CallOptions = {}): Promise<void> {
    return this.#writeLock.run(() => this.#collections.remove(name, () => this.definition), options)
  }

  async collectionInfo(name: string, _options: CallOptions = {}): Promise<CollectionInfo> {
    return collectionInfo(collectionOf(this.definition, name))
  }

  async listCollections(_options: CallOptions = {}): Promise<CollectionInfo[]> {
    return this.definition.collections.map(collectionInfo)
  }

  collection(name: string, options: CallOptions = {}): Collection {
    const place = placeOf(name, options)
    collectionOf(this.definition, name)
    return new SingleOperations({
      reader: this.#reader(place, this.#components.thread.reads),
      writes: this.#author.writes(place),
      onSnapshot: (work) => this.#onSnapshot(place, work),
      write: (work) => this.#write(place, work, options),
    })
  }

  async readTransaction(name: string, options: CallOptions = {}): Promise<ReadTransaction> {
    collectionOf(this.definition, name)
    const { clock, options: limits, reads } = this.#components
    const snapshot = reads.snapshot()
    const reader = this.#snapshotReader(placeOf(name, options), snapshot)
    const closed = this.#closing.signal
    return new SnapshotTransaction({ reader, clock, limits, closed, release: () => snapshot.close() })
  }

  async writeTransaction(name: string, options: CallOptions = {}): Promise<WriteTransaction> {
    collectionOf(this.definition, name)
    const { thread, clock, options: limits } = this.#components
    const place = placeOf(name, options)
    const release = await this.#writeLock.begin(options)
    try {
      collectionOf(this.definition, name)
      return new LockedTransaction({
        reader: this.#reader(place, thread.reads),
        writes: this.#author.writes(place),
        clock,
        limits,
        closed: this.#closing.signal,
        commit: (actions) => this.#store(actions, place.caller),
        release,
      })
    } catch (error) {
      release()
      throw error
    }
  }

  resumeToken(): Uint8Array {
    return encodeToken(this.#stateId(), { seq: this.#components.net.journal.lastSeq, changes: 0 })
  }

  listen(filters: readonly ListenFilter[] = [], options: ListenOptions = {}): AsyncIterable<Update> {
    const { net, thread } = this.#components
    const { signal: closing } = this.#closing
    const signal = options.signal === undefined ? closing : AbortSignal.any([closing, options.signal])
    const readerOf = (name: string): InstanceReader => this.#reader(placeOf(name, options), thread.reads)
    const isVisible = (name: string): boolean => this.definition.collections.some((each) => each.name === name)
    const state = this.#stateId()
    // The place in the journal is taken at the call, not when the first update is asked for.
    const now = { seq: net.journal.lastSeq, changes: 0 }
    const after = options.after === undefined ? now : decodeToken(options.after, state)
    return listen(
      {
        journal: net.journal,
        thread: thread.number,
        token: (place) => encodeToken(state, place),
        isVisible,
        current: ({ collection, id }) => readerOf(collection).stored(id),
        serve: (collection, document) => readerOf(collection).serve(document),
      },
      { filters, signal, after },
    )
  }

  async refusals(options: RefusalOptions = {}): Promise<Refusal[]> {
    const { thread } = this.#components
    return listRefusals(thread.reads, { thread: thread.number, generation: this.definition.generation }, options)
  }

  waiting(options: WaitingOptions = {}): Promise<WaitingRecord[]> {
    return this.#operator.waiting(options)
  }

  admit(logId: LogId, options: CallOptions = {}): Promise<void> {
    return this.#operator.admit(logId, options)
  }

  skip(logId: LogId, recordId: CID, options: CallOptions = {}): Promise<void> {
    return this.#operator.skip(logId, recordId, options)
  }

  resetClock(options: CallOptions = {}): Promise<void> {
    return this.#operator.resetClock(options)
  }

  conflicts(collection: string, path: string, options: ConflictOptions = {}): Promise<ConflictPage> {
    return this.#onSnapshot(placeOf(collection, options), (reader) => reader.conflicts(path, options))
  }

  /** Finishes changes of collections that a crash or a failed write cut off. */
  complete(): Promise<void> {
    return this.#writeLock.run(() => this.#collections.complete(() => this.definition))
  }

  /** Ends listeners and transactions. Nothing can be read or written afterwards: calls throw `reason`. */
  close(reason: ThreadsError): void {
    this.#closing.abort(reason)
  }

  #stateId(): StateId {
    const { storeId, thread } = this.#components
    return { store: storeId, thread: thread.number, generation: this.definition.generation }
  }

  async #onSnapshot<T>(place: Place, work: (reader: InstanceReader) => Promise<T>): Promise<T> {
    const snapshot = this.#components.reads.snapshot()
    try {
      return await work(this.#snapshotReader(place, snapshot))
    } finally {
      await snapshot.close()
    }
  }

  /** Runs one operation as a transaction of its own. */
  async #write<T>(place: Place, work: SingleWork<T>, options: CallOptions): Promise<T> {
    const { thread } = this.#components
    const { result, stored } = await this.#writeLock.run(
      () =>
        thread.write(async (draft) => {
          const done = await work(this.#reader(place, draft.view))
          await this.#author.append(draft, done.actions, place.caller)
          return done.result
        }),
      options,
    )
    await stored
    return result
  }

  async #store(actions: readonly Action[], caller: Caller): Promise<void> {
    const { stored } = await this.#components.thread.write((draft) => this.#author.append(draft, actions, caller))
    await stored
  }

  /** Reads by the generation and the indexes that the snapshot holds: later ones are not in it. */
  #snapshotReader({ name, caller }: Place, view: ReadView): InstanceReader {
    const { thread, sandbox } = this.#components
    const then = readDefinition(thread.storedAppData()) ?? this.definition
    const held = then.collections.find((each) => each.name === name)?.indexes ?? []
    const collection = () => ({ ...collectionOf(this.definition, name), indexes: held })
    return new InstanceReader({ view, thread: thread.number, generation: then.generation, sandbox, collection, caller })
  }

  #reader({ name, caller }: Place, view: ReadView): InstanceReader {
    const { thread, sandbox } = this.#components
    const { generation } = this.definition
    const collection = () => collectionOf(this.definition, name)
    return new InstanceReader({ view, thread: thread.number, generation, sandbox, collection, caller })
  }
}

function placeOf(name: string, { caller = {} }: CallOptions): Place {
  return { name, caller }
}
