import { hasCode } from '../src/core/errors.ts'
import { type PeerId, peerIdOf } from '../src/core/peer-id.ts'
import type { ThreadId } from '../src/core/thread-id.ts'
import { createDb, type Database, type Databases } from '../src/db/index.ts'
import { createNet, type Net } from '../src/net/index.ts'
import { type HostStore, openHostStore } from '../src/store/host-store.ts'
import { hostClock } from './clock.ts'
import { type CrashKind, SimDisk } from './disk.ts'
import { breakFold } from './faults.ts'
import { simSandbox } from './judge.ts'
import type { PlannedHost } from './plan.ts'
import type { SeededRandom } from './random.ts'
import type { Life } from './scheduler.ts'
import { Watch } from './watch.ts'
import { fail, simLogger, type World } from './world.ts'

/** A host between its start and its end. */
export interface Running {
  readonly life: Life
  readonly store: HostStore
  readonly net: Net
  readonly databases: Databases
  /** Databases with all their collections: those that may be written and read. */
  readonly open: Map<ThreadId, Database>
}

export class SimHost {
  readonly planned: PlannedHost
  readonly id: PeerId
  readonly disk: SimDisk
  readonly watch: Watch
  readonly #world: World
  readonly #random: SeededRandom
  /** Called when a life ended, with the number of writes that are left. */
  onEnd: (kept: number, kind: CrashKind) => void = () => {}
  #life: Life | undefined
  #running: Running | undefined
  #lives = 0
  #stopping = false

  constructor(planned: PlannedHost, world: World) {
    this.planned = planned
    this.id = peerIdOf(planned.key.publicKey)
    this.#world = world
    this.#random = world.random.fork(`host ${planned.name}`)
    const { scheduler, fault } = world
    this.disk = new SimDisk({ scheduler, fault, random: this.#random.fork('disk') })
    this.watch = new Watch(this, world)
  }

  get name(): string {
    return this.planned.name
  }

  /** The host, if it has started and not ended. */
  get running(): Running | undefined {
    return this.#stopping ? undefined : this.#running
  }

  get isDown(): boolean {
    return this.#life === undefined
  }

  /** Whether it has all threads. */
  get isOpen(): boolean {
    const { running } = this
    if (running === undefined) return false
    const { threads } = this.#world.plan
    if (this.planned.isRelay) return running.net.listThreads().length === threads.length
    return running.open.size === threads.length
  }

  get address(): string {
    return `/ip4/10.0.0.${this.name.charCodeAt(0)}/tcp/4006`
  }

  start(): void {
    const life = { name: this.name, alive: true }
    this.#life = life
    this.#boot(life).catch((error: unknown) => {
      if (life.alive) fail(this.#world, `${this.name} does not start: ${String(error)}`)
    })
  }

  /** Ends the host where it stands. */
  crash(kind: CrashKind): void {
    if (this.#life === undefined) return
    this.#life.alive = false
    this.#down()
    const kept = this.disk.crash(kind)
    this.#world.scheduler.note(`${this.name}  crashes (${kind}), ${kept} writes are left`)
    this.onEnd(kept, kind)
  }

  /** Ends the host as its operator would. */
  async stop(): Promise<void> {
    const running = this.running
    if (running === undefined) return
    this.#stopping = true
    this.#world.scheduler.note(`${this.name}  stops`)
    await running.net.stop()
    await running.databases.close()
    await running.store.close()
    if (!running.life.alive) return
    running.life.alive = false
    this.#world.scheduler.note(`${this.name}  has stopped`)
    this.#down()
    this.onEnd(this.disk.length, 'process')
  }

  /** Ends it without a word, when a run is over. */
  abandon(): void {
    if (this.#life !== undefined) this.#life.alive = false
  }

  #down(): void {
    this.#life = undefined
    this.#running = undefined
    this.#stopping = false
    this.disk.failures = 0
  }

  async #boot(life: Life): Promise<void> {
    const { scheduler, network, plan, fault } = this.#world
    const random = this.#random.fork(`life ${++this.#lives}`)
    const logger = simLogger(this.#world, life)
    const shared = { clock: hostClock(scheduler, life, this.planned.skewMs), random: random.bytes, logger }
    const { durability } = this.planned
    const store = await openHostStore({ open: () => this.disk.open(life), durability, ...shared })
    const net = await createNet({
      store,
      privateKey: this.planned.key,
      network: network.join(this.id, life, this.address),
      ...shared,
    })
    breakFold(net, fault)
    const down = (): number => (this.#world.trouble ? plan.sandboxDown : 0)
    const sandbox = simSandbox({ scheduler, random: random.fork('sandbox'), life, fault, down })
    const databases = await createDb({ net, store, sandbox, ...shared })
    await net.start()
    if (!life.alive) return
    this.#running = { life, store, net, databases, open: new Map() }
    this.disk.failures = this.#world.trouble ? plan.writeFailures : 0
    scheduler.note(`${this.name}  has started`)
    this.watch.follow(this.#running)
    for (const thread of plan.threads) void this.#enter(this.#running, thread.id)
  }

  /** Creates or joins a thread, and goes on where an earlier life was interrupted. */
  async #enter(running: Running, id: ThreadId): Promise<void> {
    const { scheduler } = this.#world
    while (running.life.alive && !this.#stopping) {
      try {
        await this.#tryToEnter(running, id)
        return
      } catch (error) {
        if (!running.life.alive || this.#stopping) return
        if (!isTransient(error)) {
          fail(this.#world, `${this.name} cannot enter a thread: ${String((error as Error).stack)}`)
          return
        }
      }
      await scheduler.sleep(this.#random.between(500, 3_000), 'tries to enter again', running.life)
    }
  }

  async #tryToEnter(running: Running, id: ThreadId): Promise<void> {
    const thread = this.#world.plan.threads.find((each) => each.id === id)
    if (thread === undefined) return
    const { net, databases } = running
    if (this.planned.isRelay) {
      if (net.listThreads().includes(id)) return
      await net.addThread(await this.#addressOf(id), { key: { service: thread.key.service } })
      return
    }
    let database = (await databases.list()).find((each) => each.id === id)
    if (database === undefined) {
      const isFirst = this === this.#world.hosts[0]
      database = isFirst
        ? await databases.create(id, { key: thread.key })
        : await databases.join(await this.#addressOf(id), { key: thread.key })
    }
    const known = new Set((await database.listCollections()).map(({ name }) => name))
    for (const { isJudged: _, ...config } of thread.collections) {
      if (!known.has(config.name)) await database.createCollection(config)
    }
    running.open.set(id, database)
    this.#world.scheduler.note(`${this.name}  has opened a database`)
    this.watch.listen(running, database)
  }

  /** An address of the thread at a host that has it. */
  async #addressOf(id: ThreadId): Promise<ReturnType<Net['hostAddresses']>[number]> {
    const holders = this.#world.hosts.filter((host) => host.running?.net.listThreads().includes(id) === true)
    const [first] = this.#world.hosts
    const holder = holders.length === 0 ? first : this.#random.pick(holders)
    const info = await holder?.running?.net.getThread(id).catch(() => undefined)
    const [address] = info?.addresses ?? []
    if (address === undefined) throw new NobodyThere()
    return address
  }
}

class NobodyThere extends Error {}

function isTransient(error: unknown): boolean {
  if (error instanceof NobodyThere) return true
  const codes = ['PEER_UNREACHABLE', 'PEER_REFUSED', 'STORE_FAILED', 'STORE_READONLY', 'SANDBOX_DOWN'] as const
  return codes.some((code) => hasCode(error, code))
}
