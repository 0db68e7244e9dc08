/** Whether the threads of a store that no host has open are what they were, and mending them. */
import { equalBytes } from '../core/bytes.ts'
import { cidOf } from '../core/cbor.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Findings } from '../store/findings.ts'
import { KeyReader, parseKey, rowRange } from '../store/key-codec.ts'
import type { Mendable } from '../store/mendable.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf } from './chains.ts'
import {
  cutLog,
  logsWithRecords,
  putRecordIds,
  removeLog,
  removeRecords,
  removeThreadRows,
  threadsWithRows,
} from './mend.ts'
import { decodeKnown } from './peer-addresses.ts'
import {
  decodeLogRow,
  decodeRecordRow,
  decodeThreadRow,
  type LogState,
  readRecordIdKey,
  recordIdKey,
  recordRowKey,
  recordRowRange,
  type ThreadRow,
  type ThreadState,
  threadOf,
} from './rows.ts'
import { StoredThread } from './stored-thread.ts'
import { lastSigned, type LogCheck, verifyLog } from './verify-log.ts'

export interface CheckedThread {
  readonly thread: StoredThread
  /** Whether the records that its owner has folded can be read. */
  readonly foldable: boolean
}

export interface ThreadsCheck {
  readonly threads: readonly CheckedThread[]
  readonly logs: number
  readonly records: number
  /** Records that the read key of their thread does not open: they came so. */
  readonly unreadable: number
  /** Mends what was found; nothing that is good is touched. Threads whose logs were cut are stale then. */
  mend(): Promise<void>
}

/** Reads all threads, logs and records of a store. */
export async function verifyThreads(store: Mendable, findings: Findings): Promise<ThreadsCheck> {
  const check = new Check(store, findings)
  await check.run()
  return check
}

type Mending = () => Promise<void>

class Check implements ThreadsCheck {
  readonly threads: CheckedThread[] = []
  logs = 0
  records = 0
  unreadable = 0
  readonly #store: Mendable
  readonly #findings: Findings
  readonly #mendings: Mending[] = []

  constructor(store: Mendable, findings: Findings) {
    this.#store = store
    this.#findings = findings
  }

  async run(): Promise<void> {
    const { reads } = this.#store
    const known = new Set<number>()
    for await (const [key, value] of reads.entries(rowRange('t'))) {
      const number = new KeyReader(key).number()
      const row = this.#attempt(() => decodeThreadRow(number, value), {
        what: `the row of thread ${number} is damaged`,
      })
      if (row === undefined) {
        // Its keys are gone: whoever has them joins it again.
        this.#mendings.push(() => removeThread(this.#store, { number, key }))
        known.add(number)
        continue
      }
      known.add(number)
      if (row.phase === 'live') await this.#checkThread(row)
    }
    for (const number of await threadsWithRows(reads)) {
      if (known.has(number)) continue
      this.#findings.add({ what: `there are rows of a thread ${number} that does not exist` })
      this.#mendings.push(() => removeThreadRows(this.#store, number))
    }
    await this.#checkIds(known)
    await this.#checkPeers()
  }

  async mend(): Promise<void> {
    for (const mending of this.#mendings) await mending()
  }

  async #checkThread(row: ThreadRow): Promise<void> {
    const { reads } = this.#store
    const logs = await this.#readLogs(row)
    const state = threadOf(row, logs)
    const checks: LogCheck[] = []
    // In order of number, in which a branch comes after the chain it parts from.
    for (const log of logs.values()) checks.push(await this.#checkLog(state, log))
    const numbers = new Set([...logs.values()].map(({ number }) => number))
    for (const log of await logsWithRecords(reads, row.number)) {
      if (numbers.has(log)) continue
      this.#findings.add({ thread: row.id, what: `there are records of a log ${log} that does not exist` })
      this.#mendings.push(() => removeRecords(this.#store, recordRowRange(row.number, log, 1)))
    }
    const thread = new StoredThread(this.#store, state)
    this.threads.push({ thread, foldable: checks.every(({ foldable }) => foldable) })
    const lost = [...row.writers].filter(([, id]) => !logs.has(id))
    for (const [, id] of lost)
      this.#findings.add({ thread: row.id, log: id, what: 'the log of a writer does not exist' })
    if (checks.some(({ whole }) => !whole) || lost.length > 0)
      this.#mendings.push(() => this.#mendThread(state, checks))
  }

  async #readLogs(row: ThreadRow): Promise<Map<ChainKey, LogState>> {
    const logs = new Map<ChainKey, LogState>()
    for await (const [key, value] of this.#store.reads.entries(rowRange('l', row.number))) {
      const parts = new KeyReader(key)
      parts.number()
      const number = parts.number()
      const finding = { thread: row.id, what: `the row of log ${number} is damaged` }
      const log = this.#attempt(() => decodeLogRow(number, value), finding)
      if (log !== undefined) logs.set(log.chain, log)
      else this.#mendings.push(() => this.#store.mend([{ type: 'del', key }]))
    }
    return logs
  }

  async #checkLog(thread: ThreadState, log: LogState): Promise<LogCheck> {
    const check = await verifyLog(this.#store.reads, { thread, log }, (finding) => this.#findings.add(finding))
    this.logs++
    this.records += check.good - baseOf(log)
    this.unreadable += check.unreadable
    if (!check.found) this.#mendings.push(() => putRecordIds(this.#store, { thread: thread.number, log }))
    return check
  }

  /** Cuts logs behind their last good record. Own ones may have been longer: they are written no more. */
  async #mendThread(state: ThreadState, checks: readonly LogCheck[]): Promise<void> {
    const logs = new Map(state.logs)
    for (const { log, good, whole } of checks) {
      const parent = log.branch && logs.get(log.branch.parent)
      const parts = log.branch === undefined || (parent !== undefined && parent.head.counter >= log.branch.base)
      if (whole && parts) continue
      const counter = await lastSigned(this.#store.reads, { thread: state, log }, good)
      if (log.branch !== undefined && (!parts || counter === log.branch.base)) {
        await removeLog(this.#store, state.number, log.number)
        logs.delete(log.chain)
        continue
      }
      const retire = log.privateKey !== undefined || log.managed
      logs.set(log.chain, await cutLog(this.#store, { thread: state.number, log }, { counter, retire }))
    }
    const writers = new Map([...state.writers].filter(([, id]) => logs.has(id)))
    const mended = new StoredThread(this.#store, threadOf({ ...state, writers }, logs))
    await mended.spoil()
  }

  async #checkIds(threads: ReadonlySet<number>): Promise<void> {
    let strays = 0
    for await (const _ of strayIds(this.#store.reads, threads)) strays++
    if (strays === 0) return
    this.#findings.add({ what: `${strays} rows by id find no record` })
    this.#mendings.push(() => removeStrayIds(this.#store, threads))
  }

  async #checkPeers(): Promise<void> {
    const { reads } = this.#store
    for await (const [key, value] of reads.entries(rowRange('p'))) {
      const known = this.#attempt(() => decodeKnown(value), { what: 'the addresses of a peer cannot be read' })
      if (known === undefined) this.#mendings.push(() => this.#store.mend([{ type: 'del', key }]))
    }
  }

  /** What a row says; if it cannot be read, that is a finding. */
  #attempt<T>(read: () => T, finding: Parameters<Findings['add']>[0]): T | undefined {
    try {
      return read()
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      this.#findings.add(finding)
      return undefined
    }
  }
}

async function removeThread(store: Mendable, { number, key }: { number: number; key: Uint8Array }): Promise<void> {
  await removeThreadRows(store, number)
  await store.mend([{ type: 'del', key }])
}

/** Keys of rows by id that find no record, or another. */
async function* strayIds(reads: ReadView, threads: ReadonlySet<number>): AsyncGenerator<Uint8Array> {
  for await (const [key] of reads.entries(rowRange('c'))) {
    const parts = parseKey(key)
    parts.bytes()
    const thread = parts.number()
    if (!threads.has(thread) || !(await findsRecord(reads, key, thread))) yield key
  }
}

async function removeStrayIds(store: Mendable, threads: ReadonlySet<number>): Promise<void> {
  for await (const key of strayIds(store.reads, threads)) await store.mend([{ type: 'del', key }])
}

async function findsRecord(reads: ReadView, key: Uint8Array, thread: number): Promise<boolean> {
  const { log, counter } = readRecordIdKey(key)
  const row = await reads.get(recordRowKey(thread, log, counter))
  if (row === undefined) return false
  try {
    const cid = cidOf(decodeRecordRow(row).recordNode)
    return equalBytes(recordIdKey(cid, thread, log, counter), key)
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
}
