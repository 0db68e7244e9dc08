import { anonymous, type Caller } from '../../src/core/caller.ts'
import { utf8 } from '../../src/core/bytes.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import { threadIdOfAddress, type Address } from '../../src/core/address.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { ThreadKey } from '../../src/core/thread-key.ts'
import type {
  CallOptions,
  Collection,
  CollectionConfig,
  CollectionInfo,
  ConflictPage,
  Database,
  Databases,
  DbInfo,
  DocumentBytes,
  JoinDbOptions,
  ListenFilter,
  NewDbOptions,
  ReadTransaction,
  Refusal,
  Update,
  WaitingRecord,
  WriteTransaction,
} from '../../src/db/index.ts'

/** Databases in memory, without rules: documents are stored as they come, queries find all. For tests of the API. */
export class FakeDatabases implements Databases {
  readonly #databases = new Map<ThreadId, FakeDatabase>()
  readonly #threads: ReadonlySet<ThreadId>
  readonly transactionIdleMs = 10_000
  /** Options of the last call that took some. */
  lastOptions: NewDbOptions | undefined

  /** `threads`: those that exist and have no database. */
  constructor(threads: readonly ThreadId[] = []) {
    this.#threads = new Set(threads)
  }

  async create(id: ThreadId, options: NewDbOptions = {}): Promise<FakeDatabase> {
    this.lastOptions = options
    if (this.#databases.has(id)) throw new ThreadsError('DB_EXISTS', 'db already exists')
    const database = new FakeDatabase(id, options)
    this.#databases.set(id, database)
    return database
  }

  join(address: Address, options: JoinDbOptions): Promise<FakeDatabase> {
    return this.create(threadIdOfAddress(address), options)
  }

  async get(id: ThreadId): Promise<FakeDatabase> {
    const database = this.#databases.get(id)
    if (database !== undefined) return database
    if (this.#threads.has(id)) throw new ThreadsError('DB_NOT_FOUND', 'db not found')
    throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
  }

  async list(): Promise<FakeDatabase[]> {
    return [...this.#databases.values()]
  }

  async delete(id: ThreadId): Promise<void> {
    const database = await this.get(id)
    database.end()
    this.#databases.delete(id)
  }

  async close(): Promise<void> {}
}

const NO_TOKEN = Uint8Array.of(1)
const NO_KEY: ThreadKey = { service: new Uint8Array(32).fill(1), read: new Uint8Array(32).fill(2) }

export class FakeDatabase implements Database {
  readonly id: ThreadId
  /** Commits of write transactions. */
  commits = 0
  /** The transactions begun and not closed. */
  openTransactions = 0
  lastWrite: FakeTransaction | undefined
  readonly #info: DbInfo
  readonly #collections = new Map<string, CollectionInfo>()
  readonly #documents = new Map<string, Map<string, DocumentBytes>>()
  readonly #listeners = new Set<(update: Update | undefined) => void>()

  constructor(id: ThreadId, { name = 'unnamed', key = NO_KEY, collections = [] }: NewDbOptions) {
    this.id = id
    this.#info = { id, name, key, addresses: [] }
    for (const config of collections) this.#put(config)
  }

  async info(): Promise<DbInfo> {
    return this.#info
  }

  async createCollection(config: CollectionConfig): Promise<void> {
    if (this.#collections.has(config.name)) {
      throw new ThreadsError('COLLECTION_EXISTS', 'collection already registered')
    }
    this.#put(config)
  }

  async updateCollection(config: CollectionConfig): Promise<void> {
    await this.collectionInfo(config.name)
    this.#put(config)
  }

  async deleteCollection(name: string): Promise<void> {
    await this.collectionInfo(name)
    this.#collections.delete(name)
  }

  async collectionInfo(name: string): Promise<CollectionInfo> {
    const info = this.#collections.get(name)
    if (info === undefined) throw new ThreadsError('COLLECTION_NOT_FOUND', 'collection not found')
    return info
  }

  async listCollections(): Promise<CollectionInfo[]> {
    return [...this.#collections.values()]
  }

  collection(name: string): Collection {
    const documents = this.#documents.get(name)
    if (documents === undefined || !this.#collections.has(name)) {
      throw new ThreadsError('COLLECTION_NOT_FOUND', 'collection not found')
    }
    return new FakeCollection(documents, (id, kind) => this.#tell({ collection: name, id, kind }))
  }

  async readTransaction(name: string): Promise<ReadTransaction> {
    return this.writeTransaction(name)
  }

  async writeTransaction(name: string, { caller = anonymous }: CallOptions = {}): Promise<FakeTransaction> {
    this.lastWrite = new FakeTransaction(this, this.collection(name), caller)
    return this.lastWrite
  }

  async *listen(_filters: readonly ListenFilter[] = [], { signal }: CallOptions = {}): AsyncGenerator<Update> {
    const queue: (Update | undefined)[] = []
    let wake = () => {}
    const tell = (update: Update | undefined) => {
      queue.push(update)
      wake()
    }
    this.#listeners.add(tell)
    signal?.addEventListener('abort', () => tell(undefined))
    try {
      for (;;) {
        if (queue.length === 0) await new Promise<void>((resolve) => (wake = resolve))
        const update = queue.shift()
        if (update === undefined) return
        yield update
      }
    } finally {
      this.#listeners.delete(tell)
    }
  }

  resumeToken(): Uint8Array {
    return NO_TOKEN
  }

  get listeners(): number {
    return this.#listeners.size
  }

  async refusals(): Promise<Refusal[]> {
    return []
  }

  async waiting(): Promise<WaitingRecord[]> {
    return []
  }

  async conflicts(): Promise<ConflictPage> {
    return { conflicts: [], next: undefined }
  }

  admit(): Promise<void> {
    return this.skip()
  }

  resetClock(): Promise<void> {
    return this.skip()
  }

  async skip(): Promise<void> {
    throw new ThreadsError('NOT_WAITING', 'no log waits')
  }

  /** Ends the listeners. */
  end(): void {
    for (const tell of this.#listeners) tell(undefined)
  }

  #put({ name, schema, indexes = [], writeValidator = '', readFilter = '' }: CollectionConfig): void {
    this.#collections.set(name, { name, schema, indexes, writeValidator, readFilter })
    if (!this.#documents.has(name)) this.#documents.set(name, new Map())
  }

  #tell(change: Omit<Update, 'document' | 'token'>): void {
    const document = this.#documents.get(change.collection)?.get(change.id)
    for (const tell of this.#listeners) tell({ ...change, document, token: NO_TOKEN })
  }
}

class FakeCollection implements Collection {
  readonly #documents: Map<string, DocumentBytes>
  readonly #changed: (id: string, kind: Update['kind']) => void

  constructor(documents: Map<string, DocumentBytes>, changed: (id: string, kind: Update['kind']) => void) {
    this.#documents = documents
    this.#changed = changed
  }

  async has(ids: readonly string[]): Promise<boolean> {
    return ids.every((id) => this.#documents.has(id))
  }

  async find(): Promise<DocumentBytes[]> {
    return [...this.#documents.values()]
  }

  async findById(id: string): Promise<DocumentBytes> {
    const document = this.#documents.get(id)
    if (document === undefined) throw new ThreadsError('INSTANCE_NOT_FOUND', 'instance not found')
    return document
  }

  async create(documents: readonly DocumentBytes[]): Promise<string[]> {
    return documents.map((document) => this.#set(document, 'created'))
  }

  async save(documents: readonly DocumentBytes[]): Promise<void> {
    for (const document of documents) this.#set(document, 'saved')
  }

  async verify(): Promise<void> {}

  async patch(id: string): Promise<void> {
    await this.findById(id)
  }

  async delete(ids: readonly string[]): Promise<void> {
    for (const id of ids) if (this.#documents.delete(id)) this.#changed(id, 'deleted')
  }

  #set(document: DocumentBytes, kind: Update['kind']): string {
    const members: unknown = JSON.parse(Buffer.from(document).toString())
    if (typeof members !== 'object' || members === null) {
      throw new ThreadsError('INVALID_INSTANCE', 'unmarshaling json instance: not an object')
    }
    const id = '_id' in members && typeof members._id === 'string' ? members._id : `id-${this.#documents.size}`
    this.#documents.set(id, utf8(JSON.stringify(members)))
    this.#changed(id, kind)
    return id
  }
}

export class FakeTransaction implements WriteTransaction {
  readonly caller: Caller
  readonly #expiry = new AbortController()
  readonly #database: FakeDatabase
  readonly #collection: Collection
  #writes: (() => Promise<unknown>)[] = []
  #state: 'open' | 'discarded' | 'closed' = 'open'

  constructor(database: FakeDatabase, collection: Collection, caller: Caller) {
    this.#database = database
    this.#collection = collection
    this.caller = caller
    database.openTransactions++
  }

  get expired(): AbortSignal {
    return this.#expiry.signal
  }

  /** Runs out of time. */
  expire(): void {
    this.#expiry.abort(new ThreadsError('TRANSACTION_TIMEOUT', 'the transaction took too long'))
  }

  has(ids: readonly string[]): Promise<boolean> {
    return this.#collection.has(ids)
  }

  find(): Promise<DocumentBytes[]> {
    return this.#collection.find({})
  }

  findById(id: string): Promise<DocumentBytes> {
    return this.#collection.findById(id)
  }

  async create(documents: readonly DocumentBytes[]): Promise<string[]> {
    this.#writes.push(() => this.#collection.create(documents))
    return documents.map((document) => JSON.parse(Buffer.from(document).toString())._id)
  }

  async save(documents: readonly DocumentBytes[]): Promise<void> {
    this.#writes.push(() => this.#collection.save(documents))
  }

  verify(documents: readonly DocumentBytes[]): Promise<void> {
    return this.#collection.verify(documents)
  }

  async delete(ids: readonly string[]): Promise<void> {
    this.#writes.push(() => this.#collection.delete(ids))
  }

  async commit(): Promise<void> {
    if (this.#state !== 'open') {
      throw new ThreadsError('TRANSACTION_CLOSED', "can't commit discarded/committed txn")
    }
    for (const write of this.#writes) await write()
    this.#database.commits++
  }

  discard(): void {
    this.#writes = []
    this.#state = 'discarded'
  }

  async close(): Promise<void> {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#database.openTransactions--
  }
}
