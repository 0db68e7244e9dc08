import { type Address, threadIdOfAddress } from '../core/address.ts'
import type { Clock, Random } from '../core/clock.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { Net, NewThreadOptions } from '../net/index.ts'
import type { HostStore } from '../store/host-store.ts'
import { defineDatabase } from './configure.ts'
import { ThreadDatabase } from './database.ts'
import { readDefinition } from './definition.ts'
import type { CallOptions, Databases, JoinDbOptions, NewDbOptions } from './index.ts'
import { Openings } from './openings.ts'
import { type DbOptions, type ResolvedDbOptions, resolveDbOptions } from './options.ts'
import { databaseRebuilds } from './rebuild.ts'
import { createSandbox, type Sandbox } from './sandbox/index.ts'

export interface DbComponents {
  readonly net: Net
  readonly store: HostStore
  readonly clock: Clock
  readonly random: Random
  readonly logger: Logger
  /** What runs validators and read filters. Default: QuickJS on worker threads. It is closed with the databases. */
  readonly sandbox?: Sandbox
}

/** How long after the store was reopened, or an interrupted call, it is looked at what is there. */
const TAKE_UP_DELAY_MS = 500
/** The same after a rebuild that failed: the sandbox may be down. */
const RETRY_DELAY_MS = 5_000

/**
 * Makes the databases of a host known. That takes no longer for long histories: each is opened when it is asked for, or a
 * little later. One that cannot be opened is logged and left out; the others serve.
 */
export async function createDb(components: DbComponents, options: DbOptions = {}): Promise<Databases> {
  const resolved = resolveDbOptions(options)
  const logger = components.logger.child('db')
  const { sandbox = createSandbox({ logger, clock: components.clock }) } = components
  const databases = new HostDatabases({ ...components, logger, sandbox }, resolved)
  databases.open()
  return databases
}

interface HostDatabasesComponents extends DbComponents {
  readonly sandbox: Sandbox
}

class HostDatabases implements Databases {
  readonly #components: HostDatabasesComponents
  readonly #options: ResolvedDbOptions
  readonly #databases = new Map<ThreadId, ThreadDatabase>()
  /** Being created or joined. */
  readonly #starting = new Set<ThreadId>()
  readonly #openings: Openings
  readonly #stopListening: () => void
  #cancelTakeUp: (() => void) | undefined
  /** Work on databases that were not left as they should be, one at a time: the others keep most of the machine. */
  #tidying: Promise<void> = Promise.resolve()
  #closed = false

  constructor(components: HostDatabasesComponents, options: ResolvedDbOptions) {
    this.#components = components
    this.#options = options
    this.#openings = new Openings(components.clock)
    this.#stopListening = components.store.onReset(() => this.#reset())
  }

  get transactionIdleMs(): number {
    return this.#options.transactionIdleMs
  }

  open(): void {
    for (const { id, appData } of this.#components.net.ownedThreads()) this.#take(id, appData)
  }

  create(id: ThreadId, options: NewDbOptions = {}): Promise<ThreadDatabase> {
    return this.#start(id, options, (thread) => this.#components.net.createThread(id, thread))
  }

  async join(address: Address, options: JoinDbOptions): Promise<ThreadDatabase> {
    const { net } = this.#components
    const id = threadIdOfAddress(address)
    const { key, block, signal } = options
    const database = await this.#start(id, options, (thread) => net.addThread(address, { ...thread, key }))
    if (block === true) await net.pullThread(id, signal === undefined ? {} : { signal })
    return database
  }

  async get(id: ThreadId, options: CallOptions = {}): Promise<ThreadDatabase> {
    const opening = this.#openings.wait(id, options)
    if (opening !== undefined) await opening
    return this.#find(id, options)
  }

  async #find(id: ThreadId, options: CallOptions): Promise<ThreadDatabase> {
    const database = this.#databases.get(id)
    if (database !== undefined) return database
    // Says that there is no such thread, if so.
    await this.#components.net.getThread(id, options)
    throw dbNotFound()
  }

  async list(_options: CallOptions = {}): Promise<ThreadDatabase[]> {
    return [...this.#databases.values()].toSorted((a, b) => a.thread.number - b.thread.number)
  }

  async delete(id: ThreadId, options: CallOptions = {}): Promise<void> {
    const database = await this.#find(id, options)
    if (!this.#databases.delete(id)) throw dbNotFound()
    database.close(dbNotFound())
    try {
      await this.#components.net.deleteThread(id, { ...options, owner: database.thread })
    } catch (error) {
      // If the deletion did not take place, the database is served again.
      database.thread.detach()
      this.#takeUpLater()
      throw error
    }
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#stopListening()
    this.#cancelTakeUp?.()
    this.#openings.stop()
    for (const database of this.#databases.values()) database.close(closed())
    this.#databases.clear()
    await this.#tidying
    await this.#components.sandbox.close()
  }

  /** Makes a database of a thread that `addThread` stores. All of its definition comes in the batch of the thread. */
  async #start(
    id: ThreadId,
    options: NewDbOptions,
    addThread: (options: NewThreadOptions) => Promise<unknown>,
  ): Promise<ThreadDatabase> {
    const { net, sandbox } = this.#components
    this.#refuseKnown(id)
    const appData = await defineDatabase(options, sandbox)
    this.#refuseKnown(id)
    this.#starting.add(id)
    const isNew = !net.listThreads().includes(id)
    try {
      await addThread({ ...threadOptions(options), appData })
      return await this.#serve(id)
    } catch (error) {
      if (this.#isOwned(id)) await this.#undo(id, isNew)
      throw error
    } finally {
      this.#starting.delete(id)
    }
  }

  /** Throws DB_EXISTS, also for one that could not be opened. */
  #refuseKnown(id: ThreadId): void {
    if (this.#closed) throw closed()
    if (this.#isOwned(id) || this.#starting.has(id)) throw new ThreadsError('DB_EXISTS', 'db already exists')
  }

  #isOwned(id: ThreadId): boolean {
    return this.#components.net.ownedThreads().some((thread) => thread.id === id)
  }

  /** The definition was stored, then something failed. A thread that was here before stays, and is a database then. */
  async #undo(id: ThreadId, isNew: boolean): Promise<void> {
    const { net, logger } = this.#components
    if (!isNew) return this.#takeUpLater()
    try {
      await net.deleteThread(id)
    } catch (error) {
      logger.warn({ thread: id, error }, 'a database that was not made to the end could not be deleted')
      this.#takeUpLater()
    }
  }

  /** The database of a thread that was just made. Throws if it cannot be served. */
  async #serve(id: ThreadId): Promise<ThreadDatabase> {
    const database = this.#attach(id)
    try {
      await open(database)
      if (this.#closed) throw closed()
      this.#databases.set(id, database)
      return database
    } catch (error) {
      database.thread.detach()
      throw error
    }
  }

  /** Owns a thread from now on, without a look at its records. */
  #attach(id: ThreadId): ThreadDatabase {
    const { store, ...shared } = this.#components
    const database = shared.net.attach(id, (thread) => {
      return new ThreadDatabase({ ...shared, thread, storeId: store.id, reads: store.reads, options: this.#options })
    })
    if (database.needsRebuild) database.refuse(databaseRebuilds())
    return database
  }

  /** Serves a database that is stored, as it is; it is opened soon. */
  #take(id: ThreadId, appData: unknown): void {
    try {
      if (readDefinition(appData) === undefined) return
      const database = this.#attach(id)
      this.#databases.set(id, database)
      this.#openings.add(id, () => this.#open(database))
    } catch (error) {
      this.#components.logger.error({ thread: id, error }, 'a database cannot be opened; it is not served')
    }
  }

  async #open(database: ThreadDatabase): Promise<void> {
    const isHere = (): boolean => this.#databases.get(database.id) === database
    if (!isHere()) return
    try {
      await open(database)
    } catch (error) {
      if (!isHere()) return
      const { logger } = this.#components
      logger.warn({ thread: database.id, error }, 'a database could not be opened to the end; that is tried again')
      this.#takeUpLater(RETRY_DELAY_MS)
    }
    this.#tidySoon(database)
  }

  #tidySoon(database: ThreadDatabase): void {
    this.#tidying = this.#tidying.then(() => this.#tidy(database))
  }

  /** Makes the documents anew if they must be, and removes what such work has left behind. */
  async #tidy(database: ThreadDatabase): Promise<void> {
    const isHere = (): boolean => this.#databases.get(database.id) === database
    try {
      if (!isHere()) return
      if (database.needsRebuild) await database.rebuild()
      await database.clearLeftovers()
    } catch (error) {
      if (!isHere()) return
      const { logger } = this.#components
      if (hasCode(error, 'STORE_CORRUPT')) return database.damaged(error)
      logger.error({ thread: database.id, error }, 'a database could not be made anew; that is tried again')
      this.#takeUpLater(RETRY_DELAY_MS)
    }
  }

  /** The store was opened again. It may have been repaired: then documents are not what they should be. */
  #reset(): void {
    for (const database of this.#databases.values()) if (database.thread.stale()) database.refuse(databaseRebuilds())
    this.#takeUpLater()
  }

  #takeUpLater(delayMs: number = TAKE_UP_DELAY_MS): void {
    if (this.#closed) return
    this.#cancelTakeUp?.()
    this.#cancelTakeUp = this.#components.clock.after(delayMs, () => void this.#takeUp())
  }

  /** After a failed write nobody knows what is stored: databases come, go and finish what was cut off. */
  async #takeUp(): Promise<void> {
    const { net, logger } = this.#components
    const owned = new Map(net.ownedThreads().map(({ id, appData }) => [id, appData]))
    for (const database of this.#databases.values()) {
      if (owned.has(database.id)) continue
      this.#databases.delete(database.id)
      database.close(dbNotFound())
    }
    for (const [id, appData] of owned) {
      if (this.#closed) return
      const database = this.#databases.get(id)
      if (database === undefined && !this.#starting.has(id)) this.#take(id, appData)
      if (database?.needsRebuild === true) {
        this.#tidySoon(database)
        continue
      }
      if (database === undefined) continue
      await complete(database).catch((error: unknown) => {
        logger.warn({ thread: id, error }, 'could not finish what a failed write cut off')
      })
    }
  }
}

/** Folds what waits and finishes what was cut off. */
async function open(database: ThreadDatabase): Promise<void> {
  await database.thread.resume()
  if (!database.needsRebuild) await complete(database)
}

/** A damaged database is there all the same, and tells its callers. */
async function complete(database: ThreadDatabase): Promise<void> {
  try {
    await database.complete()
  } catch (error) {
    if (!hasCode(error, 'STORE_CORRUPT')) throw error
    database.damaged(error)
  }
}

function threadOptions({ key, logKey, caller, signal }: NewDbOptions): NewThreadOptions {
  return {
    ...(key === undefined ? {} : { key }),
    ...(logKey === undefined ? {} : { logKey }),
    ...(caller === undefined ? {} : { caller }),
    ...(signal === undefined ? {} : { signal }),
  }
}

function dbNotFound(): ThreadsError {
  return new ThreadsError('DB_NOT_FOUND', 'db not found')
}

function closed(): ThreadsError {
  return new ThreadsError('CLOSED', 'the databases of this host are closed')
}
