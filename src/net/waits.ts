import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadId } from '../core/thread-id.ts'
import type { WaitReason } from './app.ts'
import type { ChainKey } from './chain-key.ts'

export interface Wait {
  readonly reason: WaitReason
  /** Since when the log waits for this kind of reason, in ms since 1970; after a restart, since then. */
  readonly sinceMs: number
}

interface NotedWait extends Wait {
  /** A line was written about it. */
  told: boolean
}

/** The logs of a thread whose cursors stand before their heads, and what for. */
export class Waits {
  readonly #waits = new Map<ChainKey, NotedWait>()

  get size(): number {
    return this.#waits.size
  }

  has(id: ChainKey): boolean {
    return this.#waits.has(id)
  }

  get(id: ChainKey): WaitReason | undefined {
    return this.#waits.get(id)?.reason
  }

  find(id: ChainKey): Wait | undefined {
    return this.#waits.get(id)
  }

  *reasons(): Generator<WaitReason> {
    for (const { reason } of this.#waits.values()) yield reason
  }

  set(id: ChainKey, reason: WaitReason, nowMs: number): NotedWait {
    const before = this.#waits.get(id)
    const same = before?.reason.kind === reason.kind
    const wait = { reason, sinceMs: same ? before.sinceMs : nowMs, told: same && before.told }
    this.#waits.set(id, wait)
    return wait
  }

  /** Answers the wait that ended. */
  delete(id: ChainKey): NotedWait | undefined {
    const wait = this.#waits.get(id)
    this.#waits.delete(id)
    return wait
  }

  clear(): void {
    this.#waits.clear()
  }
}

/** A log that waits for less is not worth a line. */
const MOMENT_MS = 5_000
/** Lines about waiting logs in a minute, of all threads. */
const MAX_LINES = 50
const MINUTE_MS = 60_000

/** Writes a line when a log has waited for more than a moment, and one when such a log goes on. */
export class WaitLines {
  readonly #clock: Clock
  readonly #logger: Logger
  #minute = 0
  #lines = 0

  constructor({ clock, logger }: { clock: Clock; logger: Logger }) {
    this.#clock = clock
    this.#logger = logger
  }

  /** The log waits, again or still. */
  waits(waits: Waits, log: { thread: ThreadId; id: ChainKey }, reason: WaitReason): void {
    const nowMs = this.#clock.nowMs()
    const wait = waits.set(log.id, reason, nowMs)
    if (wait.told || nowMs - wait.sinceMs < MOMENT_MS) return
    wait.told = true
    this.#line('warn', { thread: log.thread, log: log.id, ...lineFields(reason) }, 'a log waits')
  }

  /** The log is folded again. */
  goesOn(waits: Waits, log: { thread: ThreadId; id: ChainKey }): void {
    if (waits.delete(log.id)?.told === true) {
      this.#line('info', { thread: log.thread, log: log.id }, 'a log that waited goes on')
    }
  }

  #line(level: 'warn' | 'info', fields: Record<string, unknown>, message: string): void {
    const minute = Math.floor(this.#clock.nowMs() / MINUTE_MS)
    if (minute !== this.#minute) this.#lines = 0
    this.#minute = minute
    this.#lines++
    if (this.#lines < MAX_LINES) this.#logger[level](fields, message)
    else if (this.#lines === MAX_LINES) this.#logger.warn({}, 'more logs wait or go on; ListWaitingLogs names them')
  }
}

function lineFields(reason: WaitReason): Record<string, unknown> {
  const { kind } = reason
  return kind === 'clock' ? { reason: kind, until: new Date(reason.untilMs).toISOString() } : { reason: kind }
}
