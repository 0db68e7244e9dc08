import type { CID } from 'multiformats/cid'
import { equalBytes } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import { openBody } from '../core/event-block.ts'
import { type Identity, identityOf } from '../core/identity.ts'
import { decodePublicKey } from '../core/keys.ts'
import { checkLinks, openRecord, type Record, type RecordBlocks } from '../core/record.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { RecordPlace, ThreadRecord } from './app.ts'
import { recordBytes } from './append.ts'
import { isForked, type Place } from './chains.ts'
import {
  decodeRecordRow,
  type LogState,
  readRecordIdKey,
  readRecordKey,
  logOfNumber,
  recordIdRange,
  recordRowKey,
  recordRowRange,
  type ThreadState,
} from './rows.ts'

/** Reads stored records of threads. */
export class RecordReader {
  readonly #reads: ReadView

  constructor(reads: ReadView) {
    this.#reads = reads
  }

  /**
   * Blocks of the records directly after a position, oldest first; at least one if there is one. Ends before a row that is
   * damaged; throws STORE_CORRUPT if that is the first.
   */
  async blocksAfter(
    thread: number,
    log: number,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<RecordBlocks[]> {
    const range = { ...recordRowRange(thread, log, options.counter + 1), limit: options.maxRecords }
    const found: RecordBlocks[] = []
    let bytes = 0
    for await (const [key, value] of this.#reads.entries(range)) {
      // While a thread is deleted its first records are gone before the others.
      if (readRecordKey(key).counter !== options.counter + 1 + found.length) break
      const blocks = readable(value, { orThrow: found.length === 0 })
      if (blocks === undefined) break
      bytes += recordBytes(blocks)
      if (found.length > 0 && bytes > options.maxBytes) break
      found.push(blocks)
    }
    return found
  }

  async after(
    thread: ThreadState,
    log: LogState,
    options: { counter: number; maxRecords: number; maxBytes: number },
  ): Promise<ThreadRecord[]> {
    const blocks = await this.blocksAfter(thread.number, log.number, options)
    return blocks.map((each, index) => readRecord(thread, log, { blocks: each, counter: options.counter + index + 1 }))
  }

  /** Throws RECORD_NOT_FOUND, STORE_CORRUPT. */
  async at(thread: ThreadState, log: LogState, counter: number): Promise<ThreadRecord> {
    const value = await this.#reads.get(recordRowKey(thread.number, log.number, counter))
    if (value === undefined) throw new ThreadsError('RECORD_NOT_FOUND', `log ${log.id} has no record ${counter} here`)
    return readRecord(thread, log, { blocks: decodeRecordRow(value), counter })
  }

  /** Where a record stands, if it is here. */
  async find(thread: ThreadState, cid: CID): Promise<Place | undefined> {
    for await (const { log, counter } of this.#placesOf(thread, cid.multihash.digest)) {
      const found = await this.at(thread, log, counter)
      if (found.cid.equals(cid)) return { log, counter }
    }
    return undefined
  }

  /** See `OwnedThread.recordOf`. */
  async recordOf(thread: ThreadState, { logId, counter, digest }: RecordPlace): Promise<ThreadRecord> {
    const main = thread.logs.get(logId)
    if (main !== undefined && !isForked(thread, logId)) return this.at(thread, main, counter)
    for await (const place of this.#placesOf(thread, digest)) {
      if (place.log.id !== logId || place.counter !== counter) continue
      const found = await this.at(thread, place.log, counter)
      if (equalBytes(found.cid.multihash.digest, digest)) return found
    }
    throw new ThreadsError('RECORD_NOT_FOUND', `log ${logId} has no such record ${counter} here`)
  }

  /** Where a record may be that has this digest. */
  async *#placesOf(thread: ThreadState, digest: Uint8Array): AsyncGenerator<Place> {
    for await (const [key] of this.#reads.entries(recordIdRange(digest, thread.number))) {
      const { log: number, counter } = readRecordIdKey(key)
      const log = logOfNumber(thread, number)
      if (log !== undefined) yield { log, counter }
    }
  }
}

function readable(row: Uint8Array, { orThrow }: { orThrow: boolean }): RecordBlocks | undefined {
  try {
    return decodeRecordRow(row)
  } catch (error) {
    if (orThrow || !(error instanceof ThreadsError)) throw error
    return undefined
  }
}

/** Opens the blocks of a stored record. Throws STORE_CORRUPT if they are not what was stored. */
export function readRecord(
  thread: ThreadState,
  log: LogState,
  stored: { blocks: RecordBlocks; counter: number },
): ThreadRecord {
  return threadRecord(thread, log, { ...stored, record: checkStored(thread, log, stored) })
}

/** Throws STORE_CORRUPT if the blocks of a record are not what was stored. */
export function checkStored(
  thread: ThreadState,
  log: LogState,
  { blocks, counter }: { blocks: RecordBlocks; counter: number },
): Record {
  try {
    const record = openRecord(blocks.recordNode, thread.key.service)
    checkLinks(record, blocks)
    return record
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', `record ${counter} of log ${log.id} is not what was stored`, { cause })
  }
}

/** A record whose blocks were checked. */
export function threadRecord(
  thread: ThreadState,
  log: LogState,
  checked: { record: Record; blocks: RecordBlocks; counter: number },
): ThreadRecord {
  const { record, blocks, counter } = checked
  return {
    threadId: thread.id,
    logId: log.id,
    chain: log.chain,
    counter,
    cid: record.cid,
    ...(record.prev === undefined ? {} : { prev: record.prev }),
    eventCid: record.block,
    author: authorOf(record),
    blocks,
    body: bodyOf(thread, blocks),
  }
}

function authorOf(record: Record): Identity | undefined {
  try {
    return identityOf(decodePublicKey(record.pubKey))
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}

function bodyOf(thread: ThreadState, blocks: RecordBlocks): Uint8Array | undefined {
  if (thread.key.read === undefined) return undefined
  try {
    return openBody(blocks, thread.key.read)
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}
