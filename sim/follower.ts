import { hasCode } from '../src/core/errors.ts'
import type { Commit } from '../src/store/commit.ts'
import type { Running, SimHost } from './host.ts'
import type { SeededRandom } from './random.ts'
import { fail, type World } from './world.ts'

export interface FollowerOptions {
  /** Longest rest after each commit, in ms; 0: none. Whoever is slow may find that the journal was trimmed. */
  readonly restMs: number
  readonly random: SeededRandom
  readonly describe: (commit: Commit) => string
}

/** Reads the journal of a host over all its lives: goes on where it was after a crash. */
export class Follower {
  readonly #host: SimHost
  readonly #world: World
  readonly #options: FollowerOptions
  /** Commits that were visible, by number: what was told once must stay. */
  readonly #seen = new Map<number, string>()
  #last = 0

  constructor(host: SimHost, world: World, options: FollowerOptions) {
    this.#host = host
    this.#world = world
    this.#options = options
  }

  get seen(): ReadonlyMap<number, string> {
    return this.#seen
  }

  follow(running: Running): void {
    this.#follow(running).catch((error: unknown) => {
      if (!running.life.alive || hasCode(error, 'CLOSED')) return
      fail(this.#world, `who follows ${this.#host.name} ends: ${String(error)}`)
    })
  }

  /** The host has an older copy of its disk, with commits up to `last`: begins anew, as after a resync. */
  restored(last: number): void {
    this.#last = last
    for (const seq of this.#seen.keys()) if (seq > last) this.#seen.delete(seq)
  }

  async #follow(running: Running): Promise<void> {
    const { restMs, random } = this.#options
    for (let isBehind = true; isBehind; ) {
      isBehind = false
      for await (const update of running.net.journal.subscribe({ after: this.#last })) {
        if (!running.life.alive) return
        if (update.kind === 'resync') isBehind = this.#missed(update.seq)
        else this.#read(update.commit)
        if (restMs > 0) await this.#world.scheduler.sleep(random.unit() * restMs, 'a follower rests', running.life)
      }
    }
  }

  #read(commit: Commit): void {
    const { seq } = commit
    if (seq !== this.#last + 1) fail(this.#world, `${this.#host.name} tells of commit ${seq} after ${this.#last}`)
    const text = this.#options.describe(commit)
    if (this.#options.restMs === 0) this.#world.scheduler.tell(`${this.#host.name}  commit ${seq}: ${text}`)
    this.#seen.set(seq, text)
    this.#last = seq
  }

  /** Answers whether it may go on with what is new. Only rows that were trimmed may be missing. */
  #missed(seq: number): boolean {
    const { name, planned } = this.#host
    const isTrimmed = planned.feedBytes !== undefined && seq > this.#last
    if (!isTrimmed) {
      fail(this.#world, `${name} lost the commits after ${this.#last}, it is at ${seq}`)
      return false
    }
    this.#world.scheduler.tell(`${name}  has no commits after ${this.#last} any more, it is at ${seq}`)
    this.#last = seq
    return true
  }
}
