import { ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { alignRun, type OpenedRecord, openRun, verifyRun } from './check-run.ts'
import { placeDetached } from './detached-run.ts'
import type { ThreadDraft } from './draft.ts'
import { threadRecord } from './record-reader.ts'
import type { Receipt, ReceivedRun } from './replica.ts'
import type { LogState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import type { Writer } from './writer.ts'

/** Records opened before other work of the process gets its turn. */
const OPEN_AT_ONCE = 128
/** Records of one batch. */
const BATCH_RECORDS = 1_000

/** Checks runs of records from elsewhere and stores what is good of them. */
export class Receiver {
  readonly #writer: Writer
  readonly #logger: Logger
  readonly #maxBytes: number

  constructor({ writer, logger }: { writer: Writer; logger: Logger }, options: { maxReceivedRecordBytes: number }) {
    this.#writer = writer
    this.#logger = logger
    this.#maxBytes = options.maxReceivedRecordBytes
  }

  /** See `Replica.receive`. */
  async receive(entry: ThreadEntry, run: Pick<ReceivedRun, 'logId' | 'records'>): Promise<Receipt> {
    const { records, fault } = await this.#open(entry, run)
    let stored = 0
    let receipt: Receipt = { stored: 0, counter: entry.stored.logs.get(run.logId)?.head.counter ?? 0, gap: false }
    for (let at = 0; at < records.length; at += BATCH_RECORDS) {
      receipt = await this.#store(entry, run, records.slice(at, at + BATCH_RECORDS))
      stored += receipt.stored
      if (receipt.gap) break
    }
    if (fault !== undefined) throw fault
    return { ...receipt, stored }
  }

  async #open(entry: ThreadEntry, run: Pick<ReceivedRun, 'logId' | 'records'>): Promise<Opened> {
    const records: OpenedRecord[] = []
    const options = { serviceKey: entry.stored.key.service, maxRecordBytes: this.#maxBytes }
    for (let at = 0; at < run.records.length; at += OPEN_AT_ONCE) {
      const opened = openRun(run.records.slice(at, at + OPEN_AT_ONCE), options)
      records.push(...opened.records)
      if (opened.fault !== undefined) return { records, fault: opened.fault }
      if (at + OPEN_AT_ONCE < run.records.length) await new Promise((resolve) => setImmediate(resolve))
    }
    return { records, fault: undefined }
  }

  async #store(entry: ThreadEntry, run: { logId: ReceivedRun['logId'] }, records: OpenedRecord[]): Promise<Receipt> {
    const writer = this.#writer
    let fault: ThreadsError | undefined
    let folded = true
    const { result, stored } = await writer.write(entry, async (draft): Promise<Receipt> => {
      const log = draft.log(run.logId)
      const alignment = alignRun(records, log.head.cid)
      const nothing = { stored: 0, counter: log.head.counter, gap: false }
      if (alignment.kind === 'known') return nothing
      if (alignment.kind === 'detached') {
        const place = await placeDetached(draft, log, records)
        if (place.kind === 'branch') {
          fault = new ThreadsError('BROKEN_CHAIN', `log ${log.id} has another record at this position`)
          if (place.signed) this.#retire(draft, log)
        }
        return { ...nothing, gap: place.kind === 'gap' }
      }
      const verified = verifyRun(records.slice(alignment.index), log.publicKey)
      fault = verified.fault
      const atOnce = writer.foldsAtOnce(entry, draft, run.logId)
      const added = verified.records.map(({ record, blocks }) => {
        const counter = draft.addRecord(run.logId, record.cid, blocks)
        return threadRecord(draft.state, log, { record, blocks, counter })
      })
      if (atOnce) await writer.foldReceived(entry, draft, added)
      folded = atOnce || entry.waits.has(run.logId)
      return { stored: added.length, counter: draft.log(run.logId).head.counter, gap: false }
    })
    await stored
    if (!folded && result.stored > 0) await writer.resume(entry)
    if (fault !== undefined) throw fault
    return result
  }

  /** A log of ours that has two ends is continued at neither: whoever wrote it here gets a new one. */
  #retire(draft: ThreadDraft, log: LogState): void {
    if (log.privateKey === undefined || log.retired) return
    draft.setLog({ ...log, retired: true })
    const fields = { thread: draft.state.id, log: log.id, counter: log.head.counter }
    this.#logger.error(fields, 'a log of this host was also continued elsewhere; it is written no more')
  }
}

interface Opened {
  readonly records: OpenedRecord[]
  readonly fault: ThreadsError | undefined
}
