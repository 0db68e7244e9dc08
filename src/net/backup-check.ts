/**
 * Looks at all frames of a backup, in order, as they come: hashes, links and the place of every record, and the
 * signature of every head, which vouches for all records before it.
 */
import type { CID } from 'multiformats/cid'
import { equalBytes, toHex } from '../core/bytes.ts'
import { cidFromBytes } from '../core/cbor.ts'
import { hasCode, type ThreadsError } from '../core/errors.ts'
import { type Record, verifyRecord } from '../core/record.ts'
import { BACKUP_FORMAT, type BackupBegin, type BackupChain, type BackupFrame, chainName } from './backup-frame.ts'
import type { BackupLog, BackupRecords } from './backup-frame.ts'
import { checkPeer, countOf, invalidBackup, logInBackup, threadInBackup } from './backup-rows.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf } from './chains.ts'
import { type OpenedRecord, openRun } from './check-run.ts'
import type { LogState, ThreadRow } from './rows.ts'

/** Threads, logs and branches of one backup: all are held in memory. */
const MAX_ROWS = 1_000_000
/** Far above what any host takes: what is stored was small enough once. */
const MAX_RECORD_BYTES = 64 * 1024 * 1024

/** A chain, as far as its records came. */
export interface ChainInBackup {
  readonly thread: ThreadRow
  readonly log: LogState
  counter: number
  cid: CID | undefined
  /** The first and the last that came. */
  first: Record | undefined
  last: Record | undefined
}

/** Records that were looked at. */
export interface CheckedRecords {
  readonly chain: ChainInBackup
  readonly first: number
  readonly records: readonly OpenedRecord[]
}

/** Every method throws INVALID_BACKUP, and nothing may be taken after that. */
export class BackupCheck {
  readonly #held: ReadonlyMap<string, BackupChain>
  readonly #chains = new Map<string, ChainInBackup>()
  readonly #threads = new Map<string, { row: ThreadRow; logs: Map<ChainKey, LogState>; lastNumber: number }>()
  #begin: BackupBegin | undefined
  #last: BackupFrame['$case'] | undefined

  /** `held`: chains of which an earlier backup has the records up to these heads. */
  constructor(held: readonly BackupChain[] = []) {
    this.#held = new Map(held.map((chain) => [chainName(chain), chain]))
  }

  /** What the first frame says; `undefined` before it. */
  get begin(): BackupBegin | undefined {
    return this.#begin
  }

  get ended(): boolean {
    return this.#last === 'end'
  }

  /** In the order in which they came. */
  get threads(): ThreadRow[] {
    return [...this.#threads.values()].map(({ row }) => row)
  }

  get chains(): IterableIterator<ChainInBackup> {
    return this.#chains.values()
  }

  /** Takes the next frame. Answers the records in it, if it is one of records. */
  take(frame: BackupFrame): CheckedRecords | undefined {
    this.#checkOrder(frame)
    this.#last = frame.$case
    switch (frame.$case) {
      case 'begin':
        if (frame.value.format > BACKUP_FORMAT) {
          throw invalidBackup(`it was written by a newer version (format ${frame.value.format})`)
        }
        this.#begin = frame.value
        return undefined
      case 'thread': {
        const row = threadInBackup(frame.value, this.#threads.size + 1)
        const name = toHex(frame.value.threadID)
        if (this.#threads.has(name)) throw invalidBackup(`thread ${row.id} is there twice`)
        this.#threads.set(name, { row, logs: new Map(), lastNumber: 0 })
        return this.#limitRows()
      }
      case 'log':
        this.#takeLog(frame.value)
        return this.#limitRows()
      case 'peer':
        checkPeer(frame.value)
        return undefined
      case 'records':
        return this.#takeRecords(frame.value)
      case 'end':
        for (const chain of this.#chains.values()) checkWhole(chain)
        return undefined
    }
  }

  #checkOrder({ $case }: BackupFrame): void {
    const last = this.#last
    if ((last === undefined) !== ($case === 'begin')) throw invalidBackup('it does not begin with the first frame')
    if (last === 'end') throw invalidBackup('there is something behind its end')
    if (last === 'records' && $case !== 'records' && $case !== 'end') {
      throw invalidBackup('there is a row behind the first records')
    }
  }

  #limitRows(): undefined {
    const rows = this.#threads.size + this.#chains.size
    if (rows > MAX_ROWS) throw invalidBackup(`it has more than ${MAX_ROWS} threads and logs`)
  }

  #takeLog({ chain, ...frame }: BackupLog): void {
    const thread = chain && this.#threads.get(toHex(chain.threadID))
    if (chain === undefined || thread === undefined) throw invalidBackup('there is a log of no thread')
    const log = logInBackup({ ...frame, chain }, { thread: thread.row, before: thread.logs })
    if (log.number <= thread.lastNumber) throw invalidBackup(`the logs of thread ${thread.row.id} are out of order`)
    thread.lastNumber = log.number
    thread.logs.set(log.chain, log)
    const after = countOf(frame.after)
    const cid = after === baseOf(log) ? undefined : this.#heldHead(chain, after)
    const state = { thread: thread.row, log, counter: after, cid, first: undefined, last: undefined }
    this.#chains.set(chainName(chain), state)
  }

  /** Records up to `after` are to be in an earlier backup. */
  #heldHead(chain: BackupChain, after: number): CID {
    const held = this.#held.get(chainName(chain))
    if (held?.base !== chain.base || held.counter !== BigInt(after)) {
      throw invalidBackup(`of log ${chain.number} records up to ${after} are missing`)
    }
    return cidFromBytes(held.head)
  }

  #takeRecords({ threadID, number, first, records: blocks }: BackupRecords): CheckedRecords {
    const chain = this.#chains.get(chainName({ threadID, number }))
    if (chain === undefined) throw invalidBackup('there are records of a log that is not there')
    const { thread, log } = chain
    const start = chain.counter + 1
    if (first !== BigInt(start)) throw faultOf(log, start, `record ${first} stands in its place`)
    const run = openRun(blocks, { serviceKey: thread.key.service, maxRecordBytes: MAX_RECORD_BYTES })
    for (const { record } of run.records) {
      chain.counter++
      // What a branch follows is known once all is there.
      const isStart = chain.first === undefined && chain.cid === undefined && baseOf(log) > 0
      if (!isStart && !sameCid(record.prev, chain.cid)) {
        throw faultOf(log, chain.counter, 'it does not name the one before it')
      }
      chain.first ??= record
      chain.last = record
      chain.cid = record.cid
    }
    if (run.fault !== undefined) throw faultOf(log, chain.counter + 1, run.fault.message, run.fault)
    return { chain, first: start, records: run.records }
  }
}

function checkWhole({ log, counter, cid, last }: ChainInBackup): void {
  if (counter !== log.head.counter)
    throw faultOf(log, counter + 1, `it is missing, the last one is ${log.head.counter}`)
  if (!sameCid(cid, log.head.cid)) throw faultOf(log, counter, 'it is not the head')
  if (last === undefined) return
  try {
    verifyRecord(last, log.publicKey)
  } catch (error) {
    if (!hasCode(error, 'BAD_SIGNATURE')) throw error
    throw faultOf(log, counter, 'it is the head, and not signed by the log', error)
  }
}

function faultOf({ id }: LogState, counter: number, what: string, cause?: unknown): ThreadsError {
  return invalidBackup(`record ${counter} of log ${id}: ${what}`, cause)
}

function sameCid(a: CID | undefined, b: CID | undefined): boolean {
  return a === undefined ? b === undefined : b !== undefined && equalBytes(a.bytes, b.bytes)
}
