import { utf8 } from '../src/core/bytes.ts'
import { hasCode } from '../src/core/errors.ts'
import { identityOf } from '../src/core/identity.ts'
import type { CallOptions, Collection, Database, WriteTransaction } from '../src/db/index.ts'
import type { Running, SimHost } from './host.ts'
import { PAIR, type PlannedThread } from './plan.ts'
import type { SeededRandom } from './random.ts'
import type { Scheduler } from './scheduler.ts'
import type { Write } from './work.ts'

/** Where a client works. */
export interface Place {
  readonly host: SimHost
  readonly running: Running
  readonly thread: PlannedThread
  readonly database: Database
  readonly name: string
}

export interface ClientComponents {
  readonly write: Write
  readonly random: SeededRandom
  readonly scheduler: Scheduler
}

interface Document {
  readonly _id: string
  readonly n: number
  readonly u: string
  /** The mark of the write. */
  readonly w: number
  /** Members that come and go. */
  readonly o?: { readonly p?: string }
  readonly z?: boolean | null
}

/** Documents of a collection that clients write to, so that their writes meet. */
const IDS: readonly string[] = Array.from({ length: 24 }, (_, index) => `d${index}`)

/** Carries out one write. */
export class Client {
  readonly #place: Place
  readonly #write: Write
  readonly #random: SeededRandom
  readonly #scheduler: Scheduler
  readonly #caller: CallOptions
  readonly #told: string[] = []
  /** What the documents written have in the unique member, by id; those without one have a name of their own. */
  readonly #texts = new Map<string, string>()

  constructor(place: Place, { write, random, scheduler }: ClientComponents) {
    this.#place = place
    this.#write = write
    this.#random = random
    this.#scheduler = scheduler
    const isGuest = random.chance(0.15)
    this.#caller = isGuest ? { caller: { identity: identityOf(place.host.planned.guest.publicKey) } } : {}
  }

  /** What was asked for, for people. */
  get told(): string {
    const { thread, name } = this.#place
    return `${this.#told.join(', ')} in ${name} of thread ${thread.number}`
  }

  /** Answers whether something was to be written. Throws if a value of a unique index could be written twice. */
  async perform(): Promise<boolean> {
    const before = await this.#isUnique()
    const isWritten = await this.#perform()
    const values = [...this.#texts.values()]
    if (!isWritten || new Set(values).size === values.length) return isWritten
    if (before && (await this.#isUnique())) throw new Error(`a unique value was written twice: ${values.join(', ')}`)
    return isWritten
  }

  async #isUnique(): Promise<boolean> {
    const { database, name } = this.#place
    const { indexes } = await database.collectionInfo(name)
    return indexes.some(({ path, unique }) => path === 'u' && unique === true)
  }

  async #perform(): Promise<boolean> {
    const { database, name } = this.#place
    const kind = this.#random.unit()
    if (kind < 0.25) return this.#transaction()
    const collection = database.collection(name, this.#caller)
    if (kind < 0.45) await this.#save(collection, this.#pair())
    else if (kind < 0.85) await this.#save(collection, this.#documents(this.#size()))
    else if (kind < 0.95) await this.#create(collection)
    else await this.#delete(collection, this.#random.between(1, 3))
    return true
  }

  async #transaction(): Promise<boolean> {
    const { running, database, name } = this.#place
    this.#told.push('transaction')
    const transaction = await database.writeTransaction(name, this.#caller)
    for (let calls = this.#random.between(1, 4); calls > 0; calls--) {
      await this.#callIn(transaction)
      const pauseMs = this.#random.chance(0.05) ? 12_000 : this.#random.between(0, 400)
      await this.#scheduler.sleep(pauseMs, 'a client goes on', running.life)
    }
    if (this.#random.chance(0.1)) {
      transaction.discard()
      await transaction.close()
      return false
    }
    await transaction.commit()
    return true
  }

  async #callIn(transaction: WriteTransaction): Promise<void> {
    try {
      if (this.#random.chance(0.2)) await this.#delete(transaction, 2)
      else if (this.#random.chance(0.3)) await this.#create(transaction)
      else await this.#save(transaction, this.#documents(this.#random.between(1, 5)))
    } catch (error) {
      // A transaction goes on without the call that was refused.
      if (!hasCode(error, 'INSTANCE_EXISTS')) throw error
    }
  }

  async #save(collection: Pick<Collection, 'save'>, documents: readonly Document[]): Promise<void> {
    this.#told.push(`save ${documents.map(briefly).join(' ')}`)
    await this.#count(collection, documents, () => collection.save(documents.map(bytesOf)))
  }

  async #create(collection: Pick<Collection, 'create'>): Promise<void> {
    const documents = this.#documents(this.#random.between(1, 4)).map((document) =>
      this.#random.chance(0.5) ? { ...document, _id: '', u: `new ${document.w} ${document._id}` } : document,
    )
    this.#told.push(`create ${documents.map(briefly).join(' ')}`)
    await this.#count(collection, documents, () => collection.create(documents.map(bytesOf)))
  }

  /** Of a single call all documents may be there as soon as it is made; of a transaction only what it took. */
  async #count(collection: object, documents: readonly Document[], call: () => Promise<unknown>): Promise<void> {
    const isTransaction = 'commit' in collection
    if (!isTransaction) this.#write.documents = documents.length
    await call()
    if (isTransaction) this.#write.documents += documents.length
    for (const { _id, u } of documents) this.#texts.set(_id || `new ${this.#texts.size}`, u)
  }

  async #delete(collection: Pick<Collection, 'delete'>, count: number): Promise<void> {
    const ids = this.#ids(count)
    this.#told.push(`delete ${ids.join(' ')}`)
    await collection.delete(ids)
    for (const id of ids) this.#texts.delete(id)
  }

  #pair(): Document[] {
    const n = this.#random.between(0, 9)
    return PAIR.map((_id) => ({ _id, n, u: _id, w: this.#write.mark }))
  }

  #documents(count: number): Document[] {
    const sharing = this.#random.chance(0.15) ? this.#random.between(1, 2) : 0
    return this.#ids(count).map((_id, index) => {
      const u = index < sharing ? `shared ${this.#random.between(1, 3)}` : _id
      return { _id, n: this.#random.between(0, 9), u, w: this.#write.mark, ...this.#extras() }
    })
  }

  #extras(): Pick<Document, 'o' | 'z'> {
    return this.#random.pick<Pick<Document, 'o' | 'z'>>([
      {},
      {},
      { o: {} },
      { o: { p: 'x' } },
      { o: { p: 'y' } },
      { z: true },
      { o: { p: 'x' }, z: null },
    ])
  }

  #size(): number {
    const unit = this.#random.unit()
    if (unit < 0.7) return this.#random.between(1, 4)
    return unit < 0.97 ? this.#random.between(5, 12) : IDS.length
  }

  /** Different ones. */
  #ids(count: number): string[] {
    const first = this.#random.between(0, IDS.length - 1)
    return Array.from({ length: count }, (_, index) => IDS[(first + index * 5) % IDS.length] ?? '')
  }
}

function briefly({ _id, n }: Document): string {
  return `${_id || 'new'}=${n}`
}

function bytesOf(document: Document): Uint8Array {
  return utf8(JSON.stringify(document))
}
