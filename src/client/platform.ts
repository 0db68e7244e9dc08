/** The only door to the randomness and the timers of the platform: Node and browsers have the same. */
import type { Random } from '../core/clock.ts'

export const randomBytes: Random = (length) => crypto.getRandomValues(new Uint8Array(length))

/** Resolves after the time, or when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const end = (): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', end)
      resolve()
    }
    const timer = setTimeout(end, ms)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  })
}
