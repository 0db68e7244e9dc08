import { hasCode } from '../src/core/errors.ts'
import type { ThreadId } from '../src/core/thread-id.ts'
import type { CollectionConfig, Database } from '../src/db/index.ts'
import type { Net } from '../src/net/index.ts'
import type { Running, SimHost } from './host.ts'
import { type PlannedThread, redefined } from './plan.ts'
import type { SeededRandom } from './random.ts'
import { fail, type World } from './world.ts'

/** What the operator of a host does: creates, joins and deletes threads, defines collections, and tries again. */
export class Entrance {
  readonly #host: SimHost
  readonly #world: World
  readonly #random: SeededRandom
  /** Deleted, to be joined again later. */
  readonly #absent = new Set<ThreadId>()
  readonly #entering = new Map<ThreadId, Running>()
  /** The validators that were put in force last, by thread and collection; `undefined` where that is not known. */
  readonly #rules = new Map<string, string | undefined>()
  /** Digests, in hex, of the records that the operator skipped. */
  readonly #skipped = new Map<ThreadId, Set<string>>()
  /** Called when a thread is about to be deleted here. */
  onForget: (id: ThreadId) => void = () => {}

  constructor(host: SimHost, { world, random }: { world: World; random: SeededRandom }) {
    this.#host = host
    this.#world = world
    this.#random = random
  }

  /** Goes on where an earlier life was interrupted. */
  enterAll(): void {
    for (const thread of this.#world.plan.threads) void this.#enter(thread)
  }

  /** The validator that must be in force; `undefined` if it is not known. */
  ruleOf(id: ThreadId, collection: string): string | undefined {
    return this.#rules.get(`${id} ${collection}`)
  }

  skippedOf(id: ThreadId): ReadonlySet<string> {
    return this.#skipped.get(id) ?? new Set()
  }

  /** The operator heard that a record is skipped. */
  noteSkipped(id: ThreadId, digest: string): void {
    this.#skipped.set(id, new Set([...this.skippedOf(id), digest]))
  }

  /** Acknowledged definitions and decisions may be gone. */
  forgetRules(): void {
    this.#rules.clear()
    this.#skipped.clear()
  }

  async #enter(thread: PlannedThread): Promise<void> {
    const { running } = this.#host
    if (running === undefined || this.#entering.get(thread.id) === running) return
    this.#entering.set(thread.id, running)
    try {
      while (this.#host.running === running && !this.#absent.has(thread.id)) {
        if (await this.#triesToEnter(running, thread)) return
        const delayMs = this.#random.between(500, 3_000)
        await this.#world.scheduler.sleep(delayMs, 'tries to enter again', running.life)
      }
    } finally {
      if (this.#entering.get(thread.id) === running) this.#entering.delete(thread.id)
    }
  }

  /** Answers whether there is nothing left to try. */
  async #triesToEnter(running: Running, thread: PlannedThread): Promise<boolean> {
    try {
      if (this.#host.isRelay) await this.#follow(running, thread)
      else await this.#open(running, thread)
      return true
    } catch (error) {
      if (this.#host.running !== running) return true
      if (hasCode(error, 'CLOCK_SKEW')) this.#host.operator.cannotWrite(thread)
      if (isTransient(error)) return false
      fail(this.#world, `${this.#host.name} cannot enter a thread: ${String((error as Error).stack)}`)
      return true
    }
  }

  async #follow({ net }: Running, { id, key, number }: PlannedThread): Promise<void> {
    if (net.listThreads().includes(id)) return
    await net.addThread(await this.#addressOf(id), { key: { service: key.service } })
    this.#world.scheduler.tell(`${this.#host.name}  follows thread ${number}`)
  }

  async #open(running: Running, thread: PlannedThread): Promise<void> {
    const { id } = thread
    const database = await this.#database(running, thread)
    const known = new Set((await database.listCollections()).map(({ name }) => name))
    const { registersLate } = this.#host.planned
    const due = thread.collections.filter(({ name }) => !this.#world.trouble || !registersLate.includes(name))
    for (const config of due) if (!known.has(config.name)) await this.#register(thread, database, config)
    if (this.#absent.has(id)) return
    if (!running.open.has(id)) {
      running.open.set(id, database)
      this.#world.scheduler.tell(`${this.#host.name}  has opened thread ${thread.number}`)
      await this.#host.watch.listen(running, database)
    }
    if (due.length === thread.collections.length) running.complete.add(id)
  }

  async #database({ databases }: Running, { id, key }: PlannedThread): Promise<Database> {
    const open = (await databases.list()).find((each) => each.id === id)
    if (open !== undefined) return open
    const isFirst = this.#host === this.#world.hosts[0]
    if (isFirst && this.#holders(id).length === 0) return databases.create(id, { key })
    return databases.join(await this.#addressOf(id), { key })
  }

  async #register(thread: PlannedThread, database: Database, config: CollectionConfig): Promise<void> {
    try {
      await this.#put(thread, config, () => database.createCollection(config))
    } catch (error) {
      if (hasCode(error, 'COLLECTION_EXISTS')) return
      if (!hasCode(error, 'INVALID_INDEX')) throw error
      // Two hosts wrote equal values at once.
      const indexes = (config.indexes ?? []).map((index) => ({ ...index, unique: false }))
      await this.#put(thread, config, () => database.createCollection({ ...config, indexes }))
    }
  }

  async #put(thread: PlannedThread, config: CollectionConfig, put: () => Promise<void>): Promise<void> {
    const key = `${thread.id} ${config.name}`
    const before = this.#rules.get(key)
    this.#rules.set(key, undefined)
    const { scheduler } = this.#world
    const what = `${this.#host.name}  defines ${config.name} of thread ${thread.number}`
    try {
      await put()
      this.#rules.set(key, config.writeValidator ?? '')
      const paths = config.indexes?.map(({ path }) => path).join(', ') || 'none'
      scheduler.tell(`${what}: rule ${config.writeValidator ? 'set' : 'none'}, indexes ${paths}`)
    } catch (error) {
      if (isRefused(error)) this.#rules.set(key, before)
      scheduler.tell(`${what}: ${String(error)}`)
      throw error
    }
  }

  /** Registers a collection, or changes one. */
  async define(thread: PlannedThread, random: SeededRandom): Promise<void> {
    const { running } = this.#host
    const database = running?.open.get(thread.id)
    if (running === undefined || database === undefined) return
    const config = random.pick(thread.collections)
    try {
      const known = (await database.listCollections()).find(({ name }) => name === config.name)
      if (known === undefined) return await this.#register(thread, database, config)
      const next = redefined({ ...config, indexes: known.indexes }, random)
      await this.#put(thread, next, () => database.updateCollection(next))
    } catch (error) {
      if (this.#host.running !== running || isTransient(error) || isRefused(error)) return
      fail(this.#world, `${this.#host.name} cannot define a collection: ${String((error as Error).stack)}`)
    }
  }

  /** Deletes a thread, unless nobody else would have it, and joins it again after a time. */
  async forget({ id, number }: PlannedThread, backMs: number): Promise<void> {
    const { running } = this.#host
    const others = this.#world.hosts.filter((host) => host !== this.#host && host.running?.open.has(id) === true)
    if (running?.open.has(id) !== true || others.length === 0) return
    const { scheduler } = this.#world
    this.#absent.add(id)
    running.open.delete(id)
    running.complete.delete(id)
    for (const key of this.#rules.keys()) if (key.startsWith(id)) this.#rules.delete(key)
    this.#skipped.delete(id)
    this.onForget(id)
    scheduler.tell(`${this.#host.name}  deletes thread ${number}`)
    scheduler.after(backMs, `${this.#host.name} may join a thread again`, () => {
      this.#absent.delete(id)
      this.enterAll()
    })
    try {
      await running.databases.delete(id)
    } catch (error) {
      if (this.#host.running !== running) return
      scheduler.tell(`${this.#host.name}  cannot delete thread ${number}: ${String(error)}`)
      if (!isTransient(error)) fail(this.#world, `${this.#host.name} cannot delete a thread: ${String(error)}`)
    }
  }

  /** A host that only followed is given the whole key. */
  promote(): void {
    if (!this.#host.isRelay) return
    this.#host.isRelay = false
    this.#world.scheduler.tell(`${this.#host.name}  is given the read keys`)
    this.enterAll()
  }

  #holders(id: ThreadId): SimHost[] {
    return this.#world.hosts.filter((host) => host.running?.net.listThreads().includes(id) === true)
  }

  /** An address of the thread at a host that has it. */
  async #addressOf(id: ThreadId): Promise<ReturnType<Net['hostAddresses']>[number]> {
    const holders = this.#holders(id).filter((host) => host !== this.#host)
    if (holders.length === 0) throw new NobodyThere()
    const info = await this.#random
      .pick(holders)
      .running?.net.getThread(id)
      .catch(() => undefined)
    const [address] = info?.addresses ?? []
    if (address === undefined) throw new NobodyThere()
    return address
  }
}

class NobodyThere extends Error {}

/** What goes by when it is tried again. */
export function isTransient(error: unknown): boolean {
  if (error instanceof NobodyThere) return true
  const codes = [
    'PEER_UNREACHABLE',
    'PEER_REFUSED',
    'STORE_FAILED',
    'STORE_READONLY',
    'SANDBOX_DOWN',
    'CLOCK_SKEW',
    'CLOSED',
    'TRANSACTION_TIMEOUT',
    // The thread is being deleted.
    'DB_EXISTS',
    'DB_NOT_FOUND',
    'THREAD_IN_USE',
    'THREAD_NOT_FOUND',
  ] as const
  return codes.some((code) => hasCode(error, code))
}

/** Nothing was changed. */
function isRefused(error: unknown): boolean {
  const codes = ['INVALID_INDEX', 'COLLECTION_EXISTS', 'SANDBOX_DOWN', 'CLOCK_SKEW'] as const
  return codes.some((code) => hasCode(error, code))
}
