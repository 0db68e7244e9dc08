import { utf8 } from '../src/core/bytes.ts'
import { type ErrorCode, hasCode } from '../src/core/errors.ts'
import type { LogId } from '../src/core/peer-id.ts'
import type { ThreadId } from '../src/core/thread-id.ts'
import type { Collection, Database, WriteTransaction } from '../src/db/index.ts'
import type { CrashKind } from './disk.ts'
import type { Running, SimHost } from './host.ts'
import { PAIR, type PlannedThread } from './plan.ts'
import type { SeededRandom } from './random.ts'
import { checkSnapshot } from './snapshot.ts'
import { fail, type World } from './world.ts'

/** A write of a client and what it heard. */
export interface Write {
  /** Stands in every document it writes. */
  readonly mark: number
  readonly host: SimHost
  readonly thread: ThreadId
  /** Documents written. */
  documents: number
  /** `unknown`: the host went away, or said that it does not know. */
  outcome: 'pending' | 'acknowledged' | 'refused' | 'unknown'
  /** When it was acknowledged: what the logs of the host then held, and how many writes were on its disk. */
  heads: readonly { readonly log: LogId; readonly counter: number; readonly cid: string }[]
  written: number
  atMs: number
}

/** Failures after which nothing was written. */
const REFUSALS: readonly ErrorCode[] = [
  'UNIQUE_VIOLATION',
  'WRITE_DENIED',
  'INSTANCE_EXISTS',
  'SANDBOX_DOWN',
  'STORE_READONLY',
  'TRANSACTION_TIMEOUT',
  'TRANSACTION_CLOSED',
  'CLOSED',
]

/** Documents of a collection that clients write to, so that their writes meet. */
const IDS: readonly string[] = Array.from({ length: 24 }, (_, index) => `d${index}`)

/** With relaxed durability, an acknowledged write is on disk after this time at the latest. */
const RELAXED_MS = 1_000

/** The clients of all hosts. */
export class Work {
  readonly writes: Write[] = []
  readonly #world: World
  readonly #random: SeededRandom

  constructor(world: World) {
    this.#world = world
    this.#random = world.random.fork('work')
    for (const host of world.hosts) host.onEnd = (kept, kind) => this.#hostEnded(host, kept, kind)
  }

  /** Spreads the operations over the time of trouble. */
  schedule(): void {
    const { plan, scheduler } = this.#world
    for (let i = 0; i < plan.operations; i++) {
      scheduler.after(this.#random.between(0, plan.troubleMs), 'a client calls', () => this.#operate())
    }
  }

  /** Writes without an answer. */
  get pending(): readonly Write[] {
    return this.writes.filter(({ outcome }) => outcome === 'pending')
  }

  #operate(): void {
    const host = this.#random.pick(this.#world.hosts)
    const thread = this.#random.pick(this.#world.plan.threads)
    const database = host.running?.open.get(thread.id)
    if (host.running === undefined || database === undefined) return
    const { name } = this.#random.pick(thread.collections)
    const place = { host, running: host.running, thread, database, name }
    if (this.#random.chance(0.15)) void this.#read(place)
    else void this.#write(place)
  }

  async #read({ host, running, thread, database, name }: Place): Promise<void> {
    try {
      const fault = await checkSnapshot(database, thread, name)
      if (fault !== undefined && running.life.alive) fail(this.#world, `${host.name} shows ${fault}`)
    } catch (error) {
      if (running.life.alive && !hasCode(error, 'STORE_FAILED') && !hasCode(error, 'CLOSED')) {
        fail(this.#world, `${host.name} cannot be read: ${String((error as Error).stack)}`)
      }
    }
  }

  async #write(place: Place): Promise<void> {
    const { host, running, thread } = place
    const { scheduler } = this.#world
    const mark = this.writes.length + 1
    const write: Write = {
      mark,
      host,
      thread: thread.id,
      documents: 0,
      outcome: 'pending',
      heads: [],
      written: 0,
      atMs: 0,
    }
    this.writes.push(write)
    try {
      const isWritten = await this.#perform(place, write)
      if (write.outcome !== 'pending') return
      write.outcome = isWritten ? 'acknowledged' : 'refused'
      write.written = host.disk.length
      write.atMs = scheduler.nowMs
      if (isWritten) await this.#noteHeads(running, write)
      scheduler.note(`${host.name}  write ${mark} of ${write.documents} is ${isWritten ? 'acknowledged' : 'dropped'}`)
    } catch (error) {
      if (write.outcome !== 'pending') return
      const isRefused = REFUSALS.some((code) => hasCode(error, code))
      write.outcome = isRefused ? 'refused' : 'unknown'
      scheduler.note(`${host.name}  write ${mark} of ${write.documents} fails: ${String(error)}`)
      if (isRefused || hasCode(error, 'STORE_FAILED')) return
      fail(this.#world, `write ${mark} at ${host.name} fails: ${String((error as Error).stack)}`)
    }
  }

  /** What must be there for ever after: the heads of the logs written on the host. */
  async #noteHeads(running: Running, write: Write): Promise<void> {
    const { logs } = await running.net.getThread(write.thread)
    write.heads = logs.flatMap(({ id, privateKey, head }) =>
      privateKey === undefined || head.cid === undefined
        ? []
        : [{ log: id, counter: head.counter, cid: head.cid.toString() }],
    )
  }

  /** Answers whether something was to be written. */
  async #perform(place: Place, write: Write): Promise<boolean> {
    const { database, name } = place
    const kind = this.#random.unit()
    if (kind < 0.25) return this.#transaction(place, write)
    const collection = database.collection(name)
    if (kind < 0.45) {
      const n = this.#random.between(0, 9)
      await this.#save(
        collection,
        write,
        PAIR.map((_id) => ({ _id, n, u: _id, w: write.mark })),
      )
    } else if (kind < 0.85) await this.#save(collection, write, this.#documents(write, this.#size()))
    else if (kind < 0.95) await this.#create(collection, write)
    else await collection.delete(this.#ids(this.#random.between(1, 3)))
    return true
  }

  async #transaction({ running, database, name }: Place, write: Write): Promise<boolean> {
    const { scheduler } = this.#world
    const transaction = await database.writeTransaction(name)
    for (let calls = this.#random.between(1, 4); calls > 0; calls--) {
      await this.#callIn(transaction, write)
      const pauseMs = this.#random.chance(0.05) ? 12_000 : this.#random.between(0, 400)
      await scheduler.sleep(pauseMs, 'a client goes on', running.life)
    }
    if (this.#random.chance(0.1)) {
      transaction.discard()
      await transaction.close()
      return false
    }
    await transaction.commit()
    return true
  }

  async #callIn(transaction: WriteTransaction, write: Write): Promise<void> {
    try {
      if (this.#random.chance(0.2)) await transaction.delete(this.#ids(2))
      else if (this.#random.chance(0.3)) await this.#create(transaction, write)
      else await this.#save(transaction, write, this.#documents(write, this.#random.between(1, 5)))
    } catch (error) {
      // A transaction goes on without the call that was refused.
      if (!hasCode(error, 'INSTANCE_EXISTS')) throw error
    }
  }

  async #save(collection: Pick<Collection, 'save'>, write: Write, documents: readonly object[]): Promise<void> {
    if (!('commit' in collection)) write.documents = documents.length
    await collection.save(documents.map(bytesOf))
    if ('commit' in collection) write.documents += documents.length
  }

  async #create(collection: Pick<Collection, 'create'>, write: Write): Promise<void> {
    const documents = this.#documents(write, this.#random.between(1, 4)).map((document) =>
      this.#random.chance(0.5) ? { ...document, _id: '', u: `new ${write.mark} ${document._id}` } : document,
    )
    if (!('commit' in collection)) write.documents = documents.length
    await collection.create(documents.map(bytesOf))
    if ('commit' in collection) write.documents += documents.length
  }

  #documents(write: Write, count: number): { _id: string; n: number; u: string; w: number }[] {
    const shared = this.#random.chance(0.15)
    return this.#ids(count).map((_id, index) => {
      const u = shared && index === 0 ? `shared ${this.#random.between(1, 3)}` : _id
      return { _id, n: this.#random.between(0, 9), u, w: write.mark }
    })
  }

  #size(): number {
    return this.#random.chance(0.7) ? this.#random.between(1, 4) : this.#random.between(5, 20)
  }

  /** Different ones. */
  #ids(count: number): string[] {
    const first = this.#random.between(0, IDS.length - 1)
    return Array.from({ length: count }, (_, index) => IDS[(first + index * 5) % IDS.length] ?? '')
  }

  #hostEnded(host: SimHost, kept: number, kind: CrashKind): void {
    const { scheduler } = this.#world
    for (const write of this.writes) {
      if (write.host !== host) continue
      if (write.outcome === 'pending') write.outcome = 'unknown'
      const mayBeLost = kind === 'power' && host.planned.durability === 'relaxed' && write.written > kept
      const isRecent = scheduler.nowMs - write.atMs < RELAXED_MS
      if (write.outcome === 'acknowledged' && mayBeLost && isRecent) {
        write.outcome = 'unknown'
        write.heads = []
      }
    }
  }
}

interface Place {
  readonly host: SimHost
  readonly running: Running
  readonly thread: PlannedThread
  readonly database: Database
  readonly name: string
}

function bytesOf(document: object): Uint8Array {
  return utf8(JSON.stringify(document))
}
