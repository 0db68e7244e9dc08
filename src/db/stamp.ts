import { ThreadsError } from '../core/errors.ts'

export const NS_PER_MS = 1_000_000n
const DAY_MS = 86_400_000

/** No record can be older than the program, which is of this year. A clock before that was never set. */
const RELEASE_MS: number = Date.UTC(2026, 0, 1)

/** How far stamps may run ahead of this host's clock before it stops writing. */
export const MAX_AHEAD_MS: number = DAY_MS

/**
 * Time of the next record written here, in ns: after everything that was folded before, so that cause comes before
 * effect. Throws CLOCK_SKEW if the clock cannot be right.
 */
export function stampTime(nowMs: number, latestTime: bigint): bigint {
  if (nowMs < RELEASE_MS) {
    throw new ThreadsError(
      'CLOCK_SKEW',
      `the clock of this host says ${new Date(nowMs).toISOString()}, writes wait until it is set`,
    )
  }
  const now = BigInt(Math.trunc(nowMs)) * NS_PER_MS
  const time = now > latestTime ? now : latestTime + 1n
  const aheadMs = Number(time / NS_PER_MS) - nowMs
  if (aheadMs > MAX_AHEAD_MS) {
    throw new ThreadsError(
      'CLOCK_SKEW',
      `records of this thread are stamped ${Math.round(aheadMs / 1000)} s ahead of the clock of this host, at most ${MAX_AHEAD_MS / 1000} s are allowed`,
      { hint: 'Set the clock of this host. If it was ahead when it wrote, reset the clock of the database.' },
    )
  }
  return time
}
