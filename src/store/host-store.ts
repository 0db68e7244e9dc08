import type { Clock, Random } from '../core/clock.ts'
import type { Logger } from '../core/logger.ts'
import type { Committer, Durability } from './committer.ts'
import { openStamp } from './format.ts'
import { DiskSpace, type FreeSpace, unlimitedSpace } from './free-space.ts'
import type { Journal } from './journal.ts'
import { openLevelStore } from './level-store.ts'
import { LocalHostStore } from './local-host-store.ts'
import { openMemoryStore } from './memory-store.ts'
import type { KeyRange, Operation, OrderedStore, ReadView, Snapshot } from './ordered-store.ts'
import type { RepairMark } from './repair-mark.ts'
import { ReopenableStore } from './reopenable-store.ts'

export interface HostStoreOptions {
  /** Directory. Absent: the store lives in memory. */
  location?: string
  /** How the store under it is opened, again after a failed write. Default: by `location`. */
  open?: () => Promise<OrderedStore>
  /** Default `full`. */
  durability?: Durability
  /** What the commit journal may take on disk: how far back a listener can resume. @default 64 MiB */
  feedBytes?: number
  /** Below this much room on the disk writes are refused. @default 64 MiB */
  minFreeBytes?: number
  clock: Clock
  random: Random
  logger: Logger
}

/** All state of a host. */
export interface HostStore {
  /** Random, made with the store: tells commit numbers of this store from those of another. */
  readonly id: Uint8Array
  /** Whether the last owner closed the store. True for a new one. */
  readonly cleanlyClosed: boolean
  /**
   * Set if commits were lost, until `mended`. Looked for after an unclean close and after a failed write. Whoever reads
   * rows must mend them first.
   */
  readonly damage: RepairMark | undefined
  /** What is stored, without queued batches. */
  readonly reads: ReadView & { snapshot(): Snapshot }
  readonly committer: Committer
  readonly journal: Journal
  /**
   * Deletes all rows of a range, in chunks, each its own commit, also when the disk is nearly full. Rows written
   * meanwhile may stay. Ended early, it has deleted a part.
   */
  deleteRange(range: KeyRange, signal?: AbortSignal): Promise<void>
  /** Writes durably, past the journal: to mend what lost commits left, while nothing is served and nobody else writes. */
  mend(operations: readonly Operation[]): Promise<void>
  /** All is mended. */
  mended(): Promise<void>
  /**
   * `listener` runs when the store was reopened after a failed write, before writes go on: what was read or queued
   * before must be read anew. When it throws, the store is opened once more. The returned function takes it back.
   */
  onReset(listener: () => void | Promise<void>): () => void
  /** Writes what is queued and closes. Calling it again waits for the same. */
  close(): Promise<void>
}

const MIB = 1024 * 1024

/** Opens the store of a host. STORE_LOCKED, STORE_VERSION and STORE_CORRUPT say why it cannot. */
export async function openHostStore(options: HostStoreOptions): Promise<HostStore> {
  const { location, clock, logger, durability = 'full', feedBytes = 64 * MIB } = options
  const store = new ReopenableStore(options.open ?? backendOf(location))
  await store.reopen()
  try {
    const stamp = await openStamp(store, location ?? 'in memory', options.random)
    const space = await freeSpace(options)
    const host = new LocalHostStore({ store, stamp, space, clock, logger }, { durability, feedBytes })
    await host.load()
    return host
  } catch (error) {
    await store.close()
    throw error
  }
}

function backendOf(location: string | undefined): () => Promise<OrderedStore> {
  return location === undefined ? openMemoryStore : () => openLevelStore({ location })
}

async function freeSpace({ location, minFreeBytes = 64 * MIB, clock }: HostStoreOptions): Promise<FreeSpace> {
  if (location === undefined) return unlimitedSpace
  const space = new DiskSpace({ location, minFreeBytes, clock })
  await space.look()
  return space
}
