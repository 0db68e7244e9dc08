import { type ErrorCode, hasCode } from '../src/core/errors.ts'
import type { LogId } from '../src/core/peer-id.ts'
import type { ThreadId } from '../src/core/thread-id.ts'
import { Client, type Place } from './client.ts'
import type { CrashKind } from './disk.ts'
import type { Running, SimHost } from './host.ts'
import type { PlannedThread } from './plan.ts'
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
  'LOG_WAITS',
  'CLOCK_SKEW',
  'CLOSED',
]

/** With relaxed durability, the sync of an acknowledged write begins within this time. */
const RELAXED_MS = 100

/** The clients of all hosts, and what they heard. */
export class Work {
  readonly writes: Write[] = []
  /** Called when a write is acknowledged. */
  onAcknowledged: (host: SimHost, thread: ThreadId) => void = () => {}
  readonly #world: World

  constructor(world: World) {
    this.#world = world
    for (const host of world.hosts) {
      host.onEnd = (kept, kind) => this.#hostEnded(host, kept, kind)
      host.entrance.onForget = (id) => this.#forgotten(host, id)
    }
  }

  /** Writes without an answer. */
  get pending(): readonly Write[] {
    return this.writes.filter(({ outcome }) => outcome === 'pending')
  }

  /** Lets a client do something on a host. */
  call(host: SimHost, thread: PlannedThread, random: SeededRandom): void {
    this.#call(host, thread, random).catch((error: unknown) => {
      fail(this.#world, `a client fails: ${String((error as Error).stack)}`)
    })
  }

  async #call(host: SimHost, thread: PlannedThread, random: SeededRandom): Promise<void> {
    const { running } = host
    const database = running?.open.get(thread.id)
    if (running === undefined || database === undefined) return
    const registered = await database.listCollections()
    if (registered.length === 0) return
    const place = { host, running, thread, database, name: random.pick(registered).name }
    await (random.chance(0.15) ? this.#read(place) : this.#write(place, random))
  }

  async #read({ host, running, database, name, thread }: Place): Promise<void> {
    try {
      const fault = await checkSnapshot(database, name)
      if (fault !== undefined && running.life.alive) fail(this.#world, `${host.name} shows ${fault}`)
    } catch (error) {
      if (!running.life.alive || running.open.get(thread.id) !== database) return
      if (hasCode(error, 'STORE_FAILED') || hasCode(error, 'CLOSED')) return
      fail(this.#world, `${host.name} cannot be read: ${String((error as Error).stack)}`)
    }
  }

  async #write(place: Place, random: SeededRandom): Promise<void> {
    const { host, running, thread } = place
    const { scheduler } = this.#world
    const mark = this.writes.length + 1
    const begun = { documents: 0, outcome: 'pending', heads: [], written: 0, atMs: 0 } as const
    const write: Write = { mark, host, thread: thread.id, ...begun }
    this.writes.push(write)
    const client = new Client(place, { write, random, scheduler })
    const isOver = (): boolean => write.outcome !== 'pending'
    try {
      const isWritten = await client.perform()
      if (isOver()) return
      write.outcome = isWritten ? 'acknowledged' : 'refused'
      write.written = host.disk.length
      write.atMs = scheduler.nowMs
      if (isWritten) this.onAcknowledged(host, thread.id)
      if (isWritten) await this.#noteHeads(running, write)
      const answer = isWritten ? 'acknowledged' : 'given up'
      scheduler.tell(`${host.name}  write ${mark} (${client.told}) is ${answer}`)
    } catch (error) {
      if (isOver()) return
      const isRefused = REFUSALS.some((code) => hasCode(error, code))
      write.outcome = isRefused ? 'refused' : 'unknown'
      scheduler.tell(`${host.name}  write ${mark} (${client.told}) fails: ${String(error)}`)
      if (hasCode(error, 'CLOCK_SKEW')) host.operator.cannotWrite(thread)
      if (isRefused || hasCode(error, 'STORE_FAILED')) return
      fail(this.#world, `write ${mark} at ${host.name} fails: ${String((error as Error).stack)}`)
    }
  }

  /** What must be there for ever after: the heads of the logs written on the host. */
  async #noteHeads(running: Running, write: Write): Promise<void> {
    const { logs } = await running.net.getThread(write.thread)
    if (write.outcome !== 'acknowledged') return
    write.heads = logs.flatMap(({ id, privateKey, head }) =>
      privateKey === undefined || head.cid === undefined
        ? []
        : [{ log: id, counter: head.counter, cid: head.cid.toString() }],
    )
  }

  /** A host has an older copy of its disk: what it wrote since is there only if others have it. */
  restored(host: SimHost, kept: number): void {
    host.entrance.forgetRules()
    for (const write of this.writes) {
      if (write.host === host && write.outcome === 'acknowledged' && write.written > kept) unsure(write)
    }
  }

  #hostEnded(host: SimHost, kept: number, kind: CrashKind): void {
    const { scheduler } = this.#world
    const isLossy = kind === 'power' && host.planned.durability === 'relaxed'
    if (isLossy) host.entrance.forgetRules()
    for (const write of this.writes) {
      if (write.host !== host) continue
      if (write.outcome === 'pending') write.outcome = 'unknown'
      const mayBeLost = isLossy && write.written > kept
      const isRecent = scheduler.nowMs - write.atMs < RELAXED_MS + host.planned.syncMs
      if (write.outcome === 'acknowledged' && mayBeLost && isRecent) unsure(write)
    }
  }

  /** What was written on a host and not sent yet goes with the thread that is deleted there. */
  #forgotten(host: SimHost, thread: ThreadId): void {
    for (const write of this.writes) {
      const isUnsure = write.outcome === 'pending' || write.outcome === 'acknowledged'
      if (write.host === host && write.thread === thread && isUnsure) unsure(write)
    }
  }
}

function unsure(write: Write): void {
  write.outcome = 'unknown'
  write.heads = []
}
