import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { isForeseen, toRpcError } from './errors.ts'
import type { RpcContext, RpcMethod } from './service.ts'

/** A call on its way to its handler. */
export interface Call {
  readonly path: string
  readonly method: RpcMethod
  readonly context: RpcContext
  readonly requests: AsyncIterable<Uint8Array>
  /** Resolves when the transport can take the next reply. */
  readonly send: (reply: Uint8Array) => Promise<void>
}

/** Resolves when the call is answered. */
export type Run = (call: Call) => Promise<void>

/**
 * Work around every call: takes what comes next and gives what is run in its place. The first of a list is the
 * outermost. It can see the call before it goes in, and its outcome.
 */
export type Interceptor = (next: Run) => Run

export function intercept(run: Run, interceptors: readonly Interceptor[]): Run {
  return interceptors.reduceRight((next, interceptor) => interceptor(next), run)
}

/** Writes a line for each call. */
export function logged(logger: Logger, clock: Clock): Interceptor {
  return (next) => async (call) => {
    const startedMs = clock.nowMs()
    const fields = () => ({ rpc: call.path, durationMs: clock.nowMs() - startedMs })
    try {
      await next(call)
      logger.debug(fields(), 'call answered')
    } catch (error) {
      const { code, message } = toRpcError(error)
      logger.debug({ ...fields(), code, message }, 'call failed')
      throw error
    }
  }
}

/** Makes every failure one that a caller can be told. One that nobody foresaw is written down. */
export function converted(logger: Logger): Interceptor {
  return (next) => async (call) => {
    try {
      await next(call)
    } catch (error) {
      if (!isForeseen(error)) logger.error({ rpc: call.path, error }, 'call failed unexpectedly')
      throw toRpcError(error, call.method.codes)
    }
  }
}
