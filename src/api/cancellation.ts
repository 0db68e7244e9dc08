import { status } from '@grpc/grpc-js'
import type { Clock } from '../core/clock.ts'
import { RpcError } from './errors.ts'

const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }
/** Longer deadlines are none: timers end there. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Ends a call whose caller is gone or whose deadline passed. The reason of `signal` is the status to send. */
export class Cancellation {
  /** Made when it is asked for: most calls end before anybody does. */
  #controller: AbortController | undefined
  #reason: RpcError | undefined
  #isOver = false
  #cancelTimer: () => void = () => {}

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController()
      if (this.#reason !== undefined) this.#controller.abort(this.#reason)
    }
    return this.#controller.signal
  }

  /** Takes the deadline from a `grpc-timeout` header. One that cannot be read is ignored. */
  startDeadline(header: string | undefined, clock: Clock): void {
    const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header ?? '') ?? []
    const timeoutMs = Number(digits) * (UNITS_MS[unit] ?? Number.NaN)
    if (!(timeoutMs <= MAX_TIMEOUT_MS)) return
    this.#cancelTimer = clock.after(timeoutMs, () => this.#end(status.DEADLINE_EXCEEDED, 'context deadline exceeded'))
  }

  cancel(): void {
    this.#cancelTimer()
    this.#end(status.CANCELLED, 'context canceled')
  }

  /** The call is over: nothing cancels it any more. */
  release(): void {
    this.#isOver = true
    this.#cancelTimer()
  }

  #end(code: number, message: string): void {
    if (this.#isOver || this.#reason !== undefined) return
    this.#reason = new RpcError(code, message)
    this.#controller?.abort(this.#reason)
  }
}
