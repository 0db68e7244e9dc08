import type { Address } from '../core/address.ts'
import type { PeerId } from '../core/peer-id.ts'

/** Settings of the net layer. All optional; bounds are checked by `resolveNetOptions`. */
export interface NetOptions {
  /** Where to listen, as multiaddrs. @default ['/ip4/127.0.0.1/tcp/0'] */
  listen?: Address[]
  /** If not empty, the only addresses told to others. @default [] */
  announce?: Address[]
  /** Connections above which idle ones are closed. @default 400, as go-threads */
  maxConnections?: number
  /** Also exchange records on the gossipsub topics of their threads. @default false, as go-threads */
  gossip?: boolean
  /** Ask peers for what is missing at intervals. @default true */
  pull?: boolean
  /** Records of one log asked for at once; 1 or more. @default 10000, as go-threads */
  pullRecords?: number
  /** Time from start to the first pull, in ms. @default 1000 */
  pullStartAfterMs?: number
  /** Length of the first pull cycle, in ms. @default 1000 */
  pullInitialIntervalMs?: number
  /** Length of the later pull cycles, in ms. @default 10000 */
  pullIntervalMs?: number
  /** Largest record written here, all blocks together. A message of the protocol holds 4 MiB. @default 3.5 MiB */
  maxRecordBytes?: number
  /**
   * Largest record taken from others. go-threads writes larger ones, and what came in one message can be passed on in one.
   * @default 8 KiB less than a message
   */
  maxReceivedRecordBytes?: number
  /** Logs of one thread. Keeps a peer from filling the thread's row space. @default 5000 */
  maxLogs?: number
  /** Addresses of one log. @default 16 */
  maxLogAddresses?: number
  /** Whose unknown threads are kept when asked: of anyone, of nobody, or of these peers. @default 'anyone', as go-threads */
  replicateFor?: 'anyone' | 'none' | readonly PeerId[]
  /** Threads kept for peers who asked, without a user of this host. @default 10000 */
  maxUnsolicitedThreads?: number
  /** Bytes of their records. A host that serves anyone should not fill its disk with it. @default 10 GiB */
  maxUnsolicitedBytes?: number
}

export type ResolvedNetOptions = Required<NetOptions>

const MIB = 1024 * 1024
/** A message, less what goes with a record. */
const LARGEST_RECORD = 4 * MIB - 8 * 1024

const DEFAULTS: ResolvedNetOptions = {
  listen: ['/ip4/127.0.0.1/tcp/0' as Address],
  announce: [],
  maxConnections: 400,
  gossip: false,
  pull: true,
  pullRecords: 10_000,
  pullStartAfterMs: 1_000,
  pullInitialIntervalMs: 1_000,
  pullIntervalMs: 10_000,
  maxRecordBytes: 3.5 * MIB,
  maxReceivedRecordBytes: LARGEST_RECORD,
  maxLogs: 5_000,
  maxLogAddresses: 16,
  replicateFor: 'anyone',
  maxUnsolicitedThreads: 10_000,
  maxUnsolicitedBytes: 10 * 1024 * MIB,
}

const BOUNDS: Partial<Record<keyof NetOptions, readonly [min: number, max: number]>> = {
  maxConnections: [1, 100_000],
  pullRecords: [1, 1_000_000],
  pullStartAfterMs: [1, 86_400_000],
  pullInitialIntervalMs: [1, 86_400_000],
  pullIntervalMs: [1, 86_400_000],
  maxRecordBytes: [1024, Math.floor(3.9 * MIB)],
  maxReceivedRecordBytes: [1024, LARGEST_RECORD],
  maxLogs: [1, 1_000_000],
  maxLogAddresses: [1, 1_000],
  maxUnsolicitedThreads: [0, 10_000_000],
  maxUnsolicitedBytes: [0, Number.MAX_SAFE_INTEGER],
}

/** Fills in defaults, also for `undefined`. Throws TypeError naming the option, its value and what is allowed. */
export function resolveNetOptions(options: NetOptions): ResolvedNetOptions {
  const given = Object.entries(options).filter(([, value]) => value !== undefined)
  const resolved: ResolvedNetOptions = { ...DEFAULTS, ...Object.fromEntries(given) }
  for (const [name, [min, max]] of Object.entries(BOUNDS)) {
    const value: unknown = resolved[name as keyof NetOptions]
    if (!Number.isInteger(value) || Number(value) < min || Number(value) > max) {
      throw new TypeError(`${name} is ${String(value)}, must be a whole number from ${min} to ${max}`)
    }
  }
  const { replicateFor } = resolved
  if (!Array.isArray(replicateFor) && replicateFor !== 'anyone' && replicateFor !== 'none') {
    throw new TypeError(`replicateFor is ${String(replicateFor)}, must be anyone, none or a list of peer ids`)
  }
  return resolved
}
