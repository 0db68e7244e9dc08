import { status } from '@grpc/grpc-js'
import type { Clock } from '../core/clock.ts'
import { RpcError } from './errors.ts'

const UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 }
/** Longer deadlines are none: timers end there. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1

/** Ends a call whose caller is gone or whose deadline passed. The reason of `signal` is the status to send. */
export class Cancellation {
  readonly #controller = new AbortController()
  #cancelTimer: () => void = () => {}

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  /** Takes the deadline from a `grpc-timeout` header. One that cannot be read is ignored. */
  startDeadline(header: string | undefined, clock: Clock): void {
    const [, digits, unit = ''] = /^(\d{1,8})([HMSmun])$/.exec(header ?? '') ?? []
    const timeoutMs = Number(digits) * (UNITS_MS[unit] ?? Number.NaN)
    if (!(timeoutMs <= MAX_TIMEOUT_MS)) return
    this.#cancelTimer = clock.after(timeoutMs, () => {
      this.#controller.abort(new RpcError(status.DEADLINE_EXCEEDED, 'context deadline exceeded'))
    })
  }

  cancel(): void {
    this.#cancelTimer()
    this.#controller.abort(new RpcError(status.CANCELLED, 'context canceled'))
  }

  /** The call is over. */
  release(): void {
    this.#cancelTimer()
  }
}
