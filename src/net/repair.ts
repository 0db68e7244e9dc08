/**
 * Mends what lost commits leave behind. LevelDB may have left out any of them without a word, each as a whole: then logs
 * have holes, and rows of databases do not fit their records.
 *
 * Every log is cut to its last record before a hole; what is behind is fetched again from peers. A log of this host is
 * kept only if nothing can be missing at its end: its last record was stored after all that was lost, and it has no hole.
 * Any other is retired: continued, it could get a second record at a place where a peer holds the lost one. Its writer
 * gets a new log. Whatever came of the lost records must go too, so every owner of a thread makes its rows anew.
 */
import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { HostStore } from '../store/host-store.ts'
import { KeyReader, rowRange } from '../store/key-codec.ts'
import type { Mendable } from '../store/mendable.ts'
import type { Operation, ReadView } from '../store/ordered-store.ts'
import type { ChainKey } from './chain-key.ts'
import { baseOf } from './chains.ts'
import { cutLog, logsWithRecords, removeLog, removeRecords, removeThreadRows, threadsWithRows } from './mend.ts'
import { decodeLogRow, decodeThreadRow, encodeThreadRow, type LogState, readRecordKey, recordRowRange } from './rows.ts'
import { decodeRecordRow, recordRowSeq, type ThreadRow, threadRowKey } from './rows.ts'

/** Repairs threads and logs if commits were lost, before anybody reads them. */
export async function repairThreads(store: HostStore, logger: Logger): Promise<void> {
  const { damage } = store
  if (damage === undefined) return
  const threads = await mendLosses(store, damage.completeFrom, logger)
  await store.mended()
  logger.error({ threads }, 'the store was repaired; databases are rebuilt, and peers are asked for what is missing')
}

/** The repair itself. Every commit from `completeFrom` on is there. Answers how many threads there are. */
export function mendLosses(store: Mendable, completeFrom: number, logger: Logger): Promise<number> {
  return new Repair(store, logger, completeFrom).run()
}

class Repair {
  readonly #store: Mendable
  readonly #logger: Logger
  readonly #completeFrom: number

  constructor(store: Mendable, logger: Logger, completeFrom: number) {
    this.#store = store
    this.#logger = logger
    this.#completeFrom = completeFrom
  }

  async run(): Promise<number> {
    const { reads } = this.#store
    const threads: ThreadRow[] = []
    for await (const [key, value] of reads.entries(rowRange('t'))) {
      threads.push(decodeThreadRow(new KeyReader(key).number(), value))
    }
    const known = new Set(threads.map(({ number }) => number))
    for (const thread of await threadsWithRows(reads)) {
      if (known.has(thread)) continue
      this.#logger.error({ number: thread }, 'a thread is lost with its keys; the rest of it was removed')
      await removeThreadRows(this.#store, thread)
    }
    for (const thread of threads) if (thread.phase === 'live') await this.#repairThread(thread)
    return threads.length
  }

  async #repairThread(thread: ThreadRow): Promise<void> {
    const { reads } = this.#store
    const logs = await readLogs(reads, thread.number)
    const numbers = new Set(logs.map(({ number }) => number))
    for (const log of await logsWithRecords(reads, thread.number)) {
      if (!numbers.has(log)) await removeRecords(this.#store, recordRowRange(thread.number, log, 1))
    }
    const ends = new Map<ChainKey, number>()
    // In order of number, in which a branch comes after the chain it parts from.
    for (const log of logs) ends.set(log.chain, await this.#repairLog(thread, log, ends))
    const ids = new Set(logs.map(({ id }) => id))
    const writers = new Map([...thread.writers].filter(([, id]) => ids.has(id)))
    const mended = { ...thread, writers, stale: thread.stale || thread.appData !== undefined }
    await this.#store.mend([putThread(mended)])
  }

  /** Answers the counter of its last record; `ends` has those of the chains before it. */
  async #repairLog(thread: ThreadRow, log: LogState, ends: ReadonlyMap<ChainKey, number>): Promise<number> {
    const { counter, seq, holed } = await lastBeforeHole(this.#store.reads, thread.number, log)
    const { branch } = log
    if (branch !== undefined && (counter === branch.base || (ends.get(branch.parent) ?? -1) < branch.base)) {
      this.#logger.error({ thread: thread.id, log: log.id, from: branch.base }, 'a branch of a log is lost')
      await removeLog(this.#store, thread.number, log.number)
      return 0
    }
    const isWhole = !holed && counter === log.head.counter
    const isOwn = log.privateKey !== undefined || log.managed
    const retire = isOwn && !(isWhole && seq >= this.#completeFrom)
    if (isWhole && (!retire || log.retired)) return counter
    const fields = { thread: thread.id, log: log.id, from: log.head.counter, to: counter, retired: retire }
    this.#logger.error(fields, isWhole ? 'a log of this host may lack its end' : 'records of a log are lost')
    await cutLog(this.#store, { thread: thread.number, log }, { counter, retire })
    return counter
  }
}

async function readLogs(reads: ReadView, thread: number): Promise<LogState[]> {
  const logs: LogState[] = []
  for await (const [key, value] of reads.entries(rowRange('l', thread))) {
    const parts = new KeyReader(key)
    parts.number()
    logs.push(decodeLogRow(parts.number(), value))
  }
  return logs
}

function putThread(thread: ThreadRow): Operation {
  return { type: 'put', key: threadRowKey(thread.number), value: encodeThreadRow(thread) }
}

/** The last record that all before it are there of, the commit it was stored with, and whether there are more. */
async function lastBeforeHole(
  reads: ReadView,
  thread: number,
  log: LogState,
): Promise<{ counter: number; seq: number; holed: boolean }> {
  let last = { counter: baseOf(log), seq: 0 }
  for await (const [key, value] of reads.entries(rowRange('r', thread, log.number))) {
    const { counter } = readRecordKey(key)
    if (counter !== last.counter + 1 || !isReadable(value)) return { ...last, holed: true }
    last = { counter, seq: recordRowSeq(value) }
  }
  return { ...last, holed: false }
}

function isReadable(row: Uint8Array): boolean {
  try {
    decodeRecordRow(row)
    return true
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
}
