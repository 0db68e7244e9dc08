import { type PeerId, peerIdOf } from '../src/core/peer-id.ts'
import type { ThreadId } from '../src/core/thread-id.ts'
import { createDb, type Database, type Databases } from '../src/db/index.ts'
import { createNet, type Net } from '../src/net/index.ts'
import { type HostStore, openHostStore } from '../src/store/host-store.ts'
import { checkTold } from './check-told.ts'
import { hostClock } from './clock.ts'
import { type CrashKind, SimDisk } from './disk.ts'
import { Entrance } from './entrance.ts'
import { breakFold } from './faults.ts'
import { simSandbox } from './judge.ts'
import { Operator } from './operator.ts'
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
  /** Databases that may be written and read. */
  readonly open: Map<ThreadId, Database>
  /** Those of them that have all their collections. */
  readonly complete: Set<ThreadId>
}

export class SimHost {
  readonly planned: PlannedHost
  readonly id: PeerId
  readonly disk: SimDisk
  readonly watch: Watch
  readonly entrance: Entrance
  readonly operator: Operator
  readonly #world: World
  readonly #random: SeededRandom
  /** Called when a life ended, with the number of writes that are left. */
  onEnd: (kept: number, kind: CrashKind) => void = () => {}
  /** How wrong the clock is. */
  skewMs: number
  /** Has the service keys only. */
  isRelay: boolean
  /** It may have written a second record after one. */
  isRestored = false
  #life: Life | undefined
  #running: Running | undefined
  #lives = 0
  #stopping = false

  constructor(planned: PlannedHost, world: World) {
    this.planned = planned
    this.id = peerIdOf(planned.key.publicKey)
    this.skewMs = planned.skewMs
    this.isRelay = planned.isRelay
    this.#world = world
    this.#random = world.random.fork(`host ${planned.name}`)
    const { scheduler, fault } = world
    this.disk = new SimDisk({ scheduler, fault, random: this.#random.fork('disk'), syncMs: planned.syncMs })
    this.watch = new Watch(this, world, this.#random.fork('watch'))
    this.entrance = new Entrance(this, { world, random: this.#random.fork('entrance') })
    this.operator = new Operator(this, { world, random: this.#random.fork('operator') })
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

  /** Whether it has all threads, with all their collections. */
  get isOpen(): boolean {
    const { running } = this
    if (running === undefined) return false
    const { threads } = this.#world.plan
    if (this.isRelay) return running.net.listThreads().length === threads.length
    return running.complete.size === threads.length
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
    const written = this.disk.length
    const { kept, lost } = this.disk.crash(kind)
    const how = kind === 'power' ? 'loses power' : 'is killed'
    const loss = kept < written ? `, the last ${written - kept} writes to its disk are lost` : ''
    this.#world.scheduler.tell(`${this.name}  ${how}${loss}`)
    this.onEnd(kept, kind)
    // A host with an older copy of its disk may be handed its own records by others.
    if (this.isRestored) return
    checkTold(this.#world, this, lost).catch((error: unknown) => {
      fail(this.#world, `the disk of ${this.name} cannot be read: ${String(error)}`)
    })
  }

  /** Takes the last writes from the disk of a host that is down. Answers how many are left. */
  restore(writes: number): number {
    const kept = this.disk.rewind(writes)
    this.isRestored = true
    this.watch.restored()
    return kept
  }

  /** Ends the host as its operator would. */
  async stop(): Promise<void> {
    const running = this.running
    if (running === undefined) return
    this.#stopping = true
    this.#world.scheduler.tell(`${this.name}  stops`)
    await running.net.stop()
    await running.databases.close()
    await running.store.close()
    if (!running.life.alive) return
    running.life.alive = false
    this.#world.scheduler.tell(`${this.name}  has stopped`)
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
    const { scheduler, network, plan, fault, engine } = this.#world
    const { durability, feedBytes, gossips, syncs, pullIntervalMs, pullRecords } = this.planned
    const random = this.#random.fork(`life ${++this.#lives}`)
    const onWaits = (thread: unknown): void => this.operator.told(thread)
    const logger = simLogger(this.#world, { life, isRestored: this.isRestored, onWaits })
    const shared = { clock: hostClock(scheduler, life, () => this.skewMs), random: random.bytes, logger }
    const journal = feedBytes === undefined ? {} : { feedBytes }
    const store = await openHostStore({ open: () => this.disk.open(life), durability, ...journal, ...shared })
    const joined = network.join({ id: this.id, life, address: this.address, gossips, syncs })
    const components = { store, privateKey: this.planned.key, network: joined, ...shared }
    const net = await createNet(components, { pullIntervalMs, pullRecords })
    breakFold(net, fault)
    const down = (): number => (this.#world.trouble ? plan.sandboxDown : 0)
    const sandbox = simSandbox({ scheduler, random: random.fork('sandbox'), life, fault, down, engine })
    const databases = await createDb({ net, store, sandbox, ...shared })
    await net.start()
    if (!life.alive) return
    this.#running = { life, store, net, databases, open: new Map(), complete: new Set() }
    this.disk.failures = this.#world.trouble ? plan.writeFailures : 0
    scheduler.tell(`${this.name}  has started`)
    this.watch.follow(this.#running)
    this.entrance.enterAll()
  }
}
