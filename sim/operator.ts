import { toHex } from '../src/core/bytes.ts'
import { hasCode } from '../src/core/errors.ts'
import type { Database, WaitingRecord } from '../src/db/index.ts'
import { isTransient } from './entrance.ts'
import type { SimHost } from './host.ts'
import type { PlannedThread } from './plan.ts'
import type { SeededRandom } from './random.ts'
import { fail, type World } from './world.ts'

/** Time until he sees to it, at most. */
const REACTS_MS = 5_000

/** What the operator of a host does about logs that wait, and about a clock that was ahead. */
export class Operator {
  readonly #host: SimHost
  readonly #world: World
  readonly #random: SeededRandom

  constructor(host: SimHost, { world, random }: { world: World; random: SeededRandom }) {
    this.#host = host
    this.#world = world
    this.#random = random
  }

  /** The host says that a log of a thread waits. */
  told(id: unknown): void {
    const thread = this.#world.plan.threads.find((each) => each.id === id)
    if (thread !== undefined) this.#soon(thread, (database) => this.#decide(thread, database))
  }

  /** The host does not write, for its clock. */
  cannotWrite(thread: PlannedThread): void {
    this.#soon(thread, async (database) => {
      const done = await unlessOver(() => database.resetClock())
      if (done) this.#world.scheduler.tell(`${this.#host.name}  resets the clock of thread ${thread.number}`)
    })
  }

  #soon(thread: PlannedThread, act: (database: Database) => Promise<void>): void {
    const { running, planned, name } = this.#host
    if (!planned.isOperated || running === undefined) return
    const delayMs = this.#random.unit() * REACTS_MS
    const work = async (): Promise<void> => {
      const database = running.open.get(thread.id)
      if (database === undefined) return
      try {
        await act(database)
      } catch (error) {
        if (!running.life.alive || running.open.get(thread.id) !== database || isTransient(error)) return
        fail(this.#world, `the operator of ${name} fails: ${String((error as Error).stack)}`)
      }
    }
    this.#world.scheduler.after(delayMs, 'the operator looks', () => void work(), running.life)
  }

  async #decide(thread: PlannedThread, database: Database): Promise<void> {
    for (const waiting of await database.waiting()) {
      if (this.#random.chance(0.3)) continue
      const { logId, counter, recordId, reason } = waiting
      const done = await unlessOver(() => decideAbout(database, waiting))
      if (!done) continue
      const verb = reason.kind === 'clock' ? 'admits' : 'skips'
      if (verb === 'skips' && recordId !== undefined) {
        this.#host.entrance.noteSkipped(thread.id, toHex(recordId.multihash.digest))
      }
      const place = `record ${counter} of log ${logId.slice(-4)} of thread ${thread.number}`
      this.#world.scheduler.tell(`${this.#host.name}  ${verb} ${place}`)
    }
  }
}

/** Throws NOT_WAITING where nothing can be decided. */
async function decideAbout(database: Database, { logId, recordId, reason }: WaitingRecord): Promise<void> {
  if (reason.kind === 'clock') await database.admit(logId)
  else if (recordId !== undefined) await database.skip(logId, recordId)
}

/** Answers false if there is nothing to decide any more, or not yet. */
async function unlessOver(act: () => Promise<void>): Promise<boolean> {
  try {
    await act()
    return true
  } catch (error) {
    if (hasCode(error, 'NOT_WAITING') || hasCode(error, 'CLOCK_SKEW')) return false
    throw error
  }
}
