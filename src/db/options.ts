/** Settings of the db layer. All optional. */
export interface DbOptions {
  /**
   * Records stamped further ahead of this host's clock are stored and passed on, but wait to be folded, in ms.
   * Large enough for hosts without a time server, small enough that a wrong clock is noticed. @default 600000
   */
  maxClockDriftMs?: number
  /** A transaction in which nothing happens ends after this time, in ms. @default 10000 */
  transactionIdleMs?: number
  /** A transaction ends after this time, in ms: others wait for one that writes, one that reads keeps old state. @default 30000 */
  transactionTotalMs?: number
}

export type ResolvedDbOptions = Required<DbOptions>

const DEFAULTS: ResolvedDbOptions = {
  maxClockDriftMs: 600_000,
  transactionIdleMs: 10_000,
  transactionTotalMs: 30_000,
}

const MAX_MS = 86_400_000

/** Fills in defaults. Throws TypeError naming the option, its value and what is allowed. */
export function resolveDbOptions(options: DbOptions): ResolvedDbOptions {
  const resolved = { ...DEFAULTS, ...options }
  for (const [name, value] of Object.entries(resolved)) {
    if (!Number.isInteger(value) || value < 1 || value > MAX_MS) {
      throw new TypeError(`${name} is ${String(value)}, must be a whole number of milliseconds from 1 to ${MAX_MS}`)
    }
  }
  return resolved
}
