import type { CID } from 'multiformats/cid'
import { ThreadsError } from '../core/errors.ts'
import type { RecordBlocks } from '../core/record.ts'
import type { Batch, Change, Commit, HeadMove } from '../store/commit.ts'
import type { Committer } from '../store/committer.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import { RememberingView } from '../store/remembering-view.ts'
import { recordBytes } from './append.ts'
import type { ChainKey } from './chain-key.ts'
import {
  encodeLogRow,
  encodeRecordRow,
  encodeThreadRow,
  lazyPeers,
  type LogState,
  logRowKey,
  recordIdKey,
  recordRowKey,
  type ThreadState,
  threadRowKey,
} from './rows.ts'

interface NewRecord {
  readonly log: number
  readonly counter: number
  readonly cid: CID
  readonly blocks: RecordBlocks
}

/** Collects what becomes one atomic batch of a thread: rows, records, and the thread's next state. */
export class ThreadDraft {
  /** What is stored or waits to be stored before this draft. */
  readonly view: ReadView
  state: ThreadState
  readonly #committer: Committer
  readonly #generation: number
  readonly #operations: Operation[] = []
  readonly #changes: Change[] = []
  readonly #records: NewRecord[] = []
  readonly #heads = new Map<number, { from: number; to: number }>()
  readonly #touchedLogs = new Set<ChainKey>()
  /** The logs of `state`, once they are this draft's own copy. */
  #logs: Map<ChainKey, LogState> | undefined
  #threadTouched = false
  /** Of all logs; known once it was asked for. */
  #lastLogNumber: number | undefined

  /** Throws STORE_READONLY after a failed write, until the state in memory is that of the store again. */
  constructor(state: ThreadState, committer: Committer) {
    if (committer.state === 'read-only') throw storeReopens()
    this.state = state
    this.#committer = committer
    this.#generation = committer.generation
    this.view = new RememberingView(committer.view(state.number))
  }

  log(id: ChainKey): LogState {
    const log = this.state.logs.get(id)
    if (log === undefined) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
    return log
  }

  operations(operations: readonly Operation[]): void {
    for (const operation of operations) this.#operations.push(operation)
  }

  changes(changes: readonly Change[]): void {
    for (const change of changes) this.#changes.push(change)
  }

  setThread(changes: Partial<Omit<ThreadState, 'logs'>>): void {
    this.state = { ...this.state, ...changes }
    this.#threadTouched = true
  }

  setLog(log: LogState): void {
    const before = this.state.logs.get(log.chain)
    if (this.#logs === undefined) {
      this.#logs = new Map(this.state.logs)
      this.state = { ...this.state, logs: this.#logs }
    }
    this.#logs.set(log.chain, log)
    this.#touchedLogs.add(log.chain)
    const bytes = this.state.bytes + log.bytes - (before?.bytes ?? 0)
    if (bytes !== this.state.bytes) this.state = { ...this.state, bytes }
    this.#noteTime(log.cursor.time, before?.cursor.time ?? 0n)
    if (log.addresses !== before?.addresses) this.state = { ...this.state, peers: lazyPeers(this.#logs) }
  }

  #noteTime(time: bigint, before: bigint): void {
    const { latestTime, logs } = this.state
    if (time > latestTime) this.state = { ...this.state, latestTime: time }
    else if (time < before && before === latestTime) this.state = { ...this.state, latestTime: latestTimeOf(logs) }
  }

  /** Number for a log that is new in the thread; another one each time. */
  nextLogNumber(): number {
    if (this.#lastLogNumber === undefined) {
      this.#lastLogNumber = 0
      for (const { number } of this.state.logs.values()) this.#lastLogNumber = Math.max(this.#lastLogNumber, number)
    }
    return ++this.#lastLogNumber
  }

  /** Adds the record after the log's head and moves the head. */
  addRecord(id: ChainKey, cid: CID, blocks: RecordBlocks): number {
    const log = this.log(id)
    const counter = log.head.counter + 1
    this.#records.push({ log: log.number, counter, cid, blocks })
    const move = this.#heads.get(log.number)
    if (move === undefined) this.#heads.set(log.number, { from: counter - 1, to: counter })
    else move.to = counter
    this.setLog({ ...log, head: { counter, cid }, attestation: undefined, bytes: log.bytes + recordBytes(blocks) })
    return counter
  }

  /** Takes the last record of a chain out, which has this id. To be called before records are added. */
  removeHead(id: ChainKey, { cid, prev, blocks }: { cid: CID; prev?: CID; blocks: RecordBlocks }): void {
    const log = this.log(id)
    const { counter } = log.head
    const place = [this.state.number, log.number, counter] as const
    this.operations([
      { type: 'del', key: recordIdKey(cid, ...place) },
      { type: 'del', key: recordRowKey(...place) },
    ])
    // A second envelope of a record has the events of the first; only first records differ in them.
    const { time } = log.cursor
    const cursor = log.cursor.counter < counter ? log.cursor : { counter: counter - 1, time: counter === 1 ? 0n : time }
    const bytes = log.bytes - recordBytes(blocks)
    this.setLog({ ...log, head: { counter: counter - 1, cid: prev }, attestation: undefined, cursor, bytes })
  }

  /**
   * Queues the batch; `onQueued` is called when it is, in the same turn. `undefined` if there is nothing to store. The
   * draft must not be used afterwards.
   */
  submit(options: { nowMs: number; frees: boolean; onQueued: () => void }): Promise<Commit> | undefined {
    if (this.#committer.generation !== this.#generation) throw storeReopens()
    const { number } = this.state
    if (this.#threadTouched) {
      this.#operations.push({ type: 'put', key: threadRowKey(number), value: encodeThreadRow(this.state) })
    }
    for (const id of this.#touchedLogs) {
      const log = this.log(id)
      this.#operations.push({ type: 'put', key: logRowKey(number, log.number), value: encodeLogRow(log) })
    }
    if (this.#operations.length + this.#records.length === 0) return undefined
    return this.#committer.submit(this.#batch(options), { frees: options.frees })
  }

  #batch({ nowMs, onQueued }: { nowMs: number; onQueued: () => void }): Batch {
    const { number } = this.state
    const operations = this.#operations
    const heads: HeadMove[] = [...this.#heads].map(([log, move]) => ({ log, ...move }))
    return {
      thread: number,
      heads,
      changes: this.#changes,
      operations: (seq) => {
        for (const { log, counter, cid, blocks } of this.#records) {
          const value = encodeRecordRow(blocks, nowMs, seq)
          operations.push({ type: 'put', key: recordRowKey(number, log, counter), value })
          operations.push({ type: 'put', key: recordIdKey(cid, number, log, counter), value: NOTHING })
        }
        onQueued()
        return operations
      },
    }
  }
}

const NOTHING = new Uint8Array(0)

function latestTimeOf(logs: ReadonlyMap<ChainKey, LogState>): bigint {
  let latest = 0n
  for (const { cursor } of logs.values()) if (cursor.time > latest) latest = cursor.time
  return latest
}

function storeReopens(): ThreadsError {
  return new ThreadsError('STORE_READONLY', 'the store takes no writes after a failed one', {
    hint: 'It is being opened again. Try later.',
  })
}
