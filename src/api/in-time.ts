import type { Clock } from '../core/clock.ts'
import { unlessAborted } from '../util/unless-aborted.ts'

export interface InTimeOptions {
  readonly clock: Clock
  readonly ms: number
  /** The failure of what takes longer. */
  readonly late: () => Error
}

/** What `start` promises, if it comes in time. */
export async function inTime<T>(start: () => Promise<T>, { clock, ms, late }: InTimeOptions): Promise<T> {
  const timeout = new AbortController()
  const cancel = clock.after(ms, () => timeout.abort(late()))
  try {
    return await unlessAborted(start, timeout.signal)
  } finally {
    cancel()
  }
}
