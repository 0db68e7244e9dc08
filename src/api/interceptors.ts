import type { Clock } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import { isForeseen, toRpcError } from './errors.ts'
import type { RpcMethod } from './service.ts'

/** A call on its way to its handler. */
export interface Call {
  readonly path: string
  readonly method: RpcMethod
}

/** Work around every call: runs what comes next. It can see the call before it goes in, and its outcome. */
export type Interceptor = <T>(call: Call, next: () => Promise<T>) => Promise<T>

/** One after the other, the first of them outermost. */
export function inOrder(outer: Interceptor, inner: Interceptor): Interceptor {
  return (call, next) => outer(call, () => inner(call, next))
}

/** Writes a line for each call. */
export function logged(logger: Logger, clock: Clock): Interceptor {
  return async (call, next) => {
    const startedMs = clock.nowMs()
    const fields = () => ({ rpc: call.path, durationMs: clock.nowMs() - startedMs })
    try {
      const answer = await next()
      logger.debug(fields(), 'call answered')
      return answer
    } catch (error) {
      const { code, message } = toRpcError(error)
      logger.debug({ ...fields(), code, message }, 'call failed')
      throw error
    }
  }
}

/** Makes every failure one that a caller can be told. One that nobody foresaw is written down. */
export function converted(logger: Logger): Interceptor {
  return async (call, next) => {
    try {
      return await next()
    } catch (error) {
      if (!isForeseen(error)) logger.error({ rpc: call.path, error }, 'call failed unexpectedly')
      throw toRpcError(error, call.method.codes)
    }
  }
}
