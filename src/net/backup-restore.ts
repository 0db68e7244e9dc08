import type { Clock, Random } from '../core/clock.ts'
import { cidOf } from '../core/cbor.ts'
import { peerIdFromBytes } from '../core/peer-id.ts'
import { beginRestore, endRestore } from '../store/format.ts'
import { mendable } from '../store/mendable.ts'
import type { Operation, OrderedStore } from '../store/ordered-store.ts'
import { recordBytes } from './append.ts'
import { BackupCheck, type ChainInBackup, type CheckedRecords } from './backup-check.ts'
import type { BackupFrame } from './backup-frame.ts'
import { invalidBackup } from './backup-rows.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf, partsTo } from './chains.ts'
import { decodeRecordRow, encodeLogRow, encodeRecordRow, encodeThreadRow, type LogState, logRowKey } from './rows.ts'
import {
  peerRowKey,
  recordIdKey,
  recordRowKey,
  type ThreadRow,
  type ThreadState,
  threadOf,
  threadRowKey,
} from './rows.ts'
import { StoredThread } from './stored-thread.ts'

/** Rows of threads and logs written in one batch. */
const BATCH_ROWS = 1_000
/** The journal of a restored store begins anew: its records come before all commits. */
const BEFORE_ALL_COMMITS = 0
const NOTHING = new Uint8Array(0)

export interface RestoreComponents {
  /** Empty, and opened by nobody else. */
  readonly store: OrderedStore
  readonly clock: Clock
  readonly random: Random
}

/** What a restore has brought. */
export interface Restored {
  /** As they are stored. Those that have an owner are stale: what it makes of their records is not there. */
  readonly threads: readonly StoredThread[]
  readonly logs: number
  readonly records: number
}

/**
 * Fills a store with the frames of a backup, which are looked at as they come. Nobody can open the store before `finish`;
 * after anything has failed it is to be thrown away.
 */
export class Restore {
  readonly #components: RestoreComponents
  readonly #check = new BackupCheck()
  readonly #bytes = new Map<ChainInBackup, number>()
  #begun = false
  #records = 0

  constructor(components: RestoreComponents) {
    this.#components = components
  }

  /** Throws INVALID_BACKUP. */
  async take(frame: BackupFrame): Promise<void> {
    if (!this.#begun) await beginRestore(this.#components.store)
    this.#begun = true
    const records = this.#check.take(frame)
    if (records !== undefined) await this.#storeRecords(records)
    if (frame.$case === 'peer') {
      const { peerID, row } = frame.value
      await this.#write([{ type: 'put', key: peerRowKey(peerIdFromBytes(peerID)), value: row }])
    }
  }

  /** After the last frame. What `complete` does with the threads is done before the store can be opened. */
  async finish(complete: (threads: readonly StoredThread[]) => Promise<void>): Promise<Restored> {
    if (!this.#check.ended) throw invalidBackup('it has no end')
    const chains = [...this.#check.chains]
    const states = this.#statesOf(chains)
    for (const chain of chains) await this.#checkStart(states.get(chain.thread), chain)
    for (const state of states.values()) await this.#storeRows(state)
    const store = mendable(this.#components.store)
    const threads = [...states.values()].map((state) => new StoredThread(store, state))
    await complete(threads)
    await endRestore(this.#components.store, this.#components.random)
    return { threads, logs: chains.length, records: this.#records }
  }

  async #storeRecords({ chain, first, records }: CheckedRecords): Promise<void> {
    const operations: Operation[] = []
    const nowMs = this.#components.clock.nowMs()
    let bytes = this.#bytes.get(chain) ?? 0
    for (const [index, { record, blocks }] of records.entries()) {
      const place = [chain.thread.number, chain.log.number, first + index] as const
      const value = encodeRecordRow(blocks, nowMs, BEFORE_ALL_COMMITS)
      operations.push({ type: 'put', key: recordRowKey(...place), value })
      operations.push({ type: 'put', key: recordIdKey(record.cid, ...place), value: NOTHING })
      bytes += recordBytes(blocks)
    }
    this.#bytes.set(chain, bytes)
    this.#records += records.length
    await this.#write(operations)
  }

  #statesOf(chains: readonly ChainInBackup[]): Map<ThreadRow, ThreadState> {
    const logs = new Map<ThreadRow, Map<ChainKey, LogState>>(this.#check.threads.map((row) => [row, new Map()]))
    for (const chain of chains) {
      const { log, thread } = chain
      logs.get(thread)?.set(log.chain, { ...log, bytes: this.#bytes.get(chain) ?? 0 })
    }
    return new Map([...logs].map(([row, ofThread]) => [row, threadOf(row, ofThread)]))
  }

  /** A branch follows the record that it is said to follow. */
  async #checkStart(thread: ThreadState | undefined, { log, first }: ChainInBackup): Promise<void> {
    const parent = log.branch && thread?.logs.get(log.branch.parent)
    if (thread === undefined || parent === undefined || baseOf(log) === 0) return
    const place = partsTo(thread, { log: parent, counter: baseOf(log) }).at(-1)
    const key = place && recordRowKey(thread.number, place.log.number, place.counter)
    const row = key && (await this.#components.store.get(key))
    const cid = row && cidOf(decodeRecordRow(row).recordNode)
    if (cid === undefined || first?.prev?.equals(cid) !== true) {
      throw invalidBackup(`record ${baseOf(log) + 1} of log ${log.id}: it does not follow the chain it parts from`)
    }
  }

  async #storeRows(state: ThreadState): Promise<void> {
    let operations: Operation[] = [{ type: 'put', key: threadRowKey(state.number), value: encodeThreadRow(state) }]
    for (const log of state.logs.values()) {
      operations.push({ type: 'put', key: logRowKey(state.number, log.number), value: encodeLogRow(log) })
      if (operations.length < BATCH_ROWS) continue
      await this.#write(operations)
      operations = []
    }
    await this.#write(operations)
  }

  async #write(operations: readonly Operation[]): Promise<void> {
    if (operations.length > 0) await this.#components.store.batch(operations, { sync: true })
  }
}
