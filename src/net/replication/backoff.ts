import type { Random } from '../../core/clock.ts'

/** Waiting before a peer that could not be reached is tried again: at most this much after the first failure, */
const FIRST_RETRY_MS = 1_000
/** doubled with each further one, up to this. */
const LAST_RETRY_MS = 2 * 60_000
/** Waiting before something that brought nothing is asked again. */
const FIRST_REPEAT_MS = 10_000
const LAST_REPEAT_MS = 10 * 60_000

/** Full jitter: any time up to the bound, so that peers cut off together do not come back together. */
export function retryDelayMs(failures: number, random: Random): number {
  const bound = Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(failures - 1, 20))
  const bytes = random(4)
  const fraction = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0) / 2 ** 32
  return Math.ceil(bound * fraction)
}

/** Wait after `times` attempts in a row that brought nothing. */
export function repeatDelayMs(times: number): number {
  return Math.min(LAST_REPEAT_MS, FIRST_REPEAT_MS * 2 ** Math.min(times - 1, 20))
}
