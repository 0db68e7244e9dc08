import { equalBytes } from '../core/bytes.ts'
import type { Clock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { type Durability, GroupCommitter } from './committer.ts'
import { openStamp, type Stamp, writeStamp } from './format.ts'
import type { FreeSpace } from './free-space.ts'
import type { HostStore } from './host-store.ts'
import { CommitJournal } from './journal.ts'
import { rowKey } from './key-codec.ts'
import type { KeyRange, Operation, ReadView, Snapshot } from './ordered-store.ts'
import type { ReopenableStore } from './reopenable-store.ts'
import { delRepairMark, putRepairMark, readRepairMark, type RepairMark } from './repair-mark.ts'

const MIB = 1024 * 1024
const MAX_GROUP_BATCHES = 256
const MAX_GROUP_BYTES = 4 * MIB
const MAX_WAITING_BYTES = 256 * MIB
const TAIL_BYTES = 8 * MIB
const DELETE_CHUNK_ROWS = 1000
const REOPEN_MIN_DELAY_MS = 100
const REOPEN_MAX_DELAY_MS = 30_000

/** Number of the host's own rows where a thread's would stand. */
const HOST = 0

export interface LocalHostStoreComponents {
  store: ReopenableStore
  /** As it was found on opening. */
  stamp: Stamp
  space: FreeSpace
  clock: Clock
  logger: Logger
}

/** Joins store, committer and journal, and opens the store again after a failed write. */
export class LocalHostStore implements HostStore {
  readonly committer: GroupCommitter
  readonly journal: CommitJournal
  readonly #components: LocalHostStoreComponents
  readonly #listeners = new Set<() => void | Promise<void>>()
  readonly #closing = new AbortController()
  #damage: RepairMark | undefined
  /** Newest commit found when the store was opened. */
  #foundSeq = 0
  #recovering: Promise<void> | undefined
  #trimming: Promise<void> | undefined
  #closed: Promise<void> | undefined

  constructor(components: LocalHostStoreComponents, options: { durability: Durability; feedBytes: number }) {
    const { store, space, clock } = components
    this.#components = components
    this.journal = new CommitJournal(store, {
      feedBytes: options.feedBytes,
      tailBytes: TAIL_BYTES,
      onOverfull: () => {
        this.#trimming ??= this.#trim().finally(() => {
          this.#trimming = undefined
        })
      },
    })
    this.committer = new GroupCommitter(
      { store, journal: this.journal, space, clock, onFailed: (error) => this.#failed(error) },
      {
        durability: options.durability,
        maxGroupBatches: MAX_GROUP_BATCHES,
        maxGroupBytes: MAX_GROUP_BYTES,
        maxWaitingBytes: MAX_WAITING_BYTES,
      },
    )
  }

  get id(): Uint8Array {
    return this.#components.stamp.id
  }

  /** The mark may be older than the commits, where the write that clears it was lost too. */
  get cleanlyClosed(): boolean {
    const { cleanlyClosed, lastSeq } = this.#components.stamp
    return cleanlyClosed && (lastSeq === undefined || lastSeq === this.#foundSeq)
  }

  get damage(): RepairMark | undefined {
    return this.#damage
  }

  get reads(): ReadView & { snapshot(): Snapshot } {
    return this.#components.store
  }

  /** Reads where the journal stands. Comes before everything else. */
  async load(): Promise<void> {
    await this.journal.load()
    this.#foundSeq = this.journal.lastSeq
    await this.#lookForDamage({ closed: this.cleanlyClosed, synced: this.#components.stamp.lastSeq ?? 0 })
  }

  async mend(operations: readonly Operation[]): Promise<void> {
    await this.#components.store.batch(operations, { sync: true })
  }

  async mended(): Promise<void> {
    await this.mend([delRepairMark()])
    this.#damage = undefined
  }

  async deleteRange(range: KeyRange, signal?: AbortSignal): Promise<void> {
    let found: number
    do {
      signal?.throwIfAborted()
      const deletions: Operation[] = []
      for await (const [key] of this.reads.entries({ ...range, limit: DELETE_CHUNK_ROWS })) {
        deletions.push({ type: 'del', key })
      }
      found = deletions.length
      if (found > 0) await this.#submitDeletions(deletions)
    } while (found === DELETE_CHUNK_ROWS)
  }

  onReset(listener: () => void | Promise<void>): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { store, stamp } = this.#components
    this.#closing.abort()
    const healthy = this.committer.state === 'open'
    await this.committer.close()
    await this.#recovering
    await this.#trimming
    this.journal.close()
    try {
      if (healthy && this.#recovering === undefined) {
        await writeStamp(store, { ...stamp, cleanlyClosed: true, lastSeq: this.journal.lastSeq })
      }
    } finally {
      await store.close()
    }
  }

  /**
   * Marks the store as damaged if commits are missing, and forgets the journal before them. `synced` is a commit that was
   * stored once: it cannot be missing at the end.
   */
  async #lookForDamage({ closed, synced }: { closed: boolean; synced: number }): Promise<void> {
    const { store, logger } = this.#components
    const last = this.journal.lastSeq
    const gap = last < synced ? { before: last, after: synced + 1 } : closed ? undefined : await this.journal.findGap()
    this.#damage = await readRepairMark(store)
    if (gap !== undefined) {
      logger.error({ ...gap }, 'commits are missing in the store, part of its files was lost; it is repaired now')
      this.#damage = { completeFrom: gap.after }
      await this.mend([putRepairMark(this.#damage)])
    }
    if (this.#damage !== undefined) await this.#forgetJournal(this.#damage.completeFrom)
  }

  /** A journal is dense. The newest row stays in any case: it says which number comes next. */
  async #forgetJournal(completeFrom: number): Promise<void> {
    const range = { gte: rowKey('f'), lt: rowKey('f', Math.min(completeFrom, this.journal.lastSeq)) }
    for (let more = true; more; ) {
      const deletions: Operation[] = []
      for await (const [key] of this.reads.entries({ ...range, limit: DELETE_CHUNK_ROWS })) {
        deletions.push({ type: 'del', key })
      }
      if (deletions.length > 0) await this.mend(deletions)
      more = deletions.length === DELETE_CHUNK_ROWS
    }
    this.journal.renounce()
    await this.journal.load()
  }

  async #submitDeletions(deletions: Operation[]): Promise<void> {
    const batch = { thread: HOST, operations: () => deletions, heads: [], changes: [] }
    await this.committer.submit(batch, { frees: true })
  }

  /** Keeps the journal within its size. What fails here is tried again after a later commit. */
  async #trim(): Promise<void> {
    try {
      while (this.journal.overfull && !this.#closing.signal.aborted) {
        await this.#submitDeletions(await this.journal.trim())
      }
    } catch (error) {
      this.#components.logger.warn({ error }, 'the commit journal was not trimmed')
    }
  }

  #failed(error: ThreadsError): void {
    this.#components.logger.error({ error }, 'a write failed, the store takes no writes until it is open again')
    this.#recovering ??= this.#recover()
  }

  async #recover(): Promise<void> {
    const { logger } = this.#components
    const { signal } = this.#closing
    for (let delayMs = REOPEN_MIN_DELAY_MS; !signal.aborted; delayMs = Math.min(delayMs * 2, REOPEN_MAX_DELAY_MS)) {
      try {
        await this.#reopen()
        logger.info({}, 'the store is open again')
        return
      } catch (error) {
        logger.error({ error, delayMs }, 'the store could not be opened again')
      }
      if (!signal.aborted) await this.#pause(delayMs)
    }
  }

  async #reopen(): Promise<void> {
    const { store } = this.#components
    await store.reopen()
    // Also shows that writes work again.
    const stamp = await openStamp(store, 'after a failed write', noNewStore)
    if (!equalBytes(stamp.id, this.id)) throw new ThreadsError('STORE_CORRUPT', 'the store was replaced by another one')
    const synced = this.journal.lastSeq
    await this.journal.load()
    await this.#lookForDamage({ closed: false, synced })
    this.committer.reopened()
    for (const listener of this.#listeners) await listener()
    // From here on a write may fail again, and starts a recovery of its own.
    this.#recovering = undefined
    this.committer.resume()
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#closing
    return new Promise((resolve) => {
      const stop = (): void => {
        cancel()
        resolve()
      }
      const cancel = this.#components.clock.after(delayMs, () => {
        signal.removeEventListener('abort', stop)
        resolve()
      })
      signal.addEventListener('abort', stop, { once: true })
    })
  }
}

function noNewStore(): never {
  throw new ThreadsError('STORE_CORRUPT', 'the store is gone')
}
