import { hasCode, ThreadsError } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { ThreadRecord } from './app.ts'
import { branchKey, type ChainKey } from './chain-key.ts'
import { type OpenedRecord, type OpenedRun, openRun, verifyRun } from './check-run.ts'
import type { ThreadDraft } from './draft.ts'
import { type LogLimits, refuseTooManyLogs } from './merge-log.ts'
import type { ResolvedNetOptions } from './options.ts'
import { type Destination, placeRun } from './place-run.ts'
import { RecordReader, threadRecord } from './record-reader.ts'
import type { Receipt, ReceivedRun } from './replica.ts'
import { emptyLog, type LogState } from './rows.ts'
import type { ThreadEntry } from './thread-entry.ts'
import { attests, isVouchedFor, keepAttestation } from './vouch.ts'
import type { Writer } from './writer.ts'

/** Records opened before other work of the process gets its turn. */
const OPEN_AT_ONCE = 128
/** Records of one batch. */
const BATCH_RECORDS = 1_000

type Run = Pick<ReceivedRun, 'logId' | 'records' | 'attestation'>

/** Checks runs of records from elsewhere and stores what is good of them. */
export class Receiver {
  readonly #writer: Writer
  readonly #logger: Logger
  readonly #options: ReceiverOptions

  constructor({ writer, logger }: { writer: Writer; logger: Logger }, options: ReceiverOptions) {
    this.#writer = writer
    this.#logger = logger
    this.#options = options
  }

  /** See `Replica.receive`. */
  async receive(entry: ThreadEntry, run: Run): Promise<Receipt> {
    const { records, fault } = await this.#open(entry, run)
    let stored = 0
    let receipt: Receipt = { stored: 0, counter: entry.stored.logs.get(run.logId)?.head.counter ?? 0, gap: false }
    for (let rest = records; rest.length > 0; ) {
      const step = await this.#store(entry, run, rest)
      receipt = step.receipt
      stored += receipt.stored
      rest = step.rest
    }
    if (fault !== undefined) throw fault
    return { ...receipt, stored }
  }

  async #open(entry: ThreadEntry, run: Run): Promise<Opened> {
    const records: OpenedRecord[] = []
    const options = { serviceKey: entry.stored.key.service, maxRecordBytes: this.#options.maxReceivedRecordBytes }
    for (let at = 0; at < run.records.length; at += OPEN_AT_ONCE) {
      const opened = openRun(run.records.slice(at, at + OPEN_AT_ONCE), options)
      records.push(...opened.records)
      if (opened.fault !== undefined) return { records, fault: opened.fault }
      if (at + OPEN_AT_ONCE < run.records.length) await new Promise((resolve) => setImmediate(resolve))
    }
    return { records, fault: undefined }
  }

  /** Stores one batch of a run. `rest` is what comes after it; nothing if the others cannot be stored either. */
  async #store(
    entry: ThreadEntry,
    run: Run,
    records: readonly OpenedRecord[],
  ): Promise<{ receipt: Receipt; rest: readonly OpenedRecord[] }> {
    let fault: ThreadsError | undefined
    let rest: readonly OpenedRecord[] = []
    let folded = true
    const work = async (draft: ThreadDraft): Promise<Receipt> => {
      const log = draft.log(run.logId)
      const destination = await placeRun(draft, log, records)
      if (destination.kind === 'gap') return nothingOf(log, { gap: true })
      if (destination.kind === 'known') {
        keepAttestation(draft, log.id, run.attestation)
        return nothingOf(log)
      }
      const { index } = destination
      const verified = verifyRun(records.slice(index, index + BATCH_RECORDS), log.publicKey)
      fault = verified.fault
      if (verified.records.length === 0) return nothingOf(log)
      const target = await this.#targetOf(draft, log, { destination, verified, run })
      if (target === undefined) return nothingOf(log, { dropped: true })
      rest = records.slice(index + verified.records.length)
      folded = await this.#add(entry, draft, { ...target, records: verified.records })
      keepAttestation(draft, log.id, run.attestation)
      return { stored: verified.records.length, counter: draft.log(run.logId).head.counter, gap: false }
    }
    let receipt: Receipt
    try {
      const { result, stored } = await this.#writer.write(entry, work)
      await stored
      receipt = result
    } catch (error) {
      if (!hasCode(error, 'LOG_WAITS') && !hasCode(error, 'SANDBOX_DOWN')) throw error
      // What is held is not taken back now. Peers offer the records again.
      this.#logger.debug({ thread: entry.id, log: run.logId, reason: error.message }, 'a record is replaced later')
      return {
        receipt: { stored: 0, counter: entry.stored.logs.get(run.logId)?.head.counter ?? 0, gap: false },
        rest: [],
      }
    }
    if (!folded) await this.#writer.resume(entry)
    if (fault !== undefined) throw fault
    return { receipt, rest }
  }

  /** The chain that takes verified records; `undefined` if they are not taken, because nothing vouches for the first. */
  async #targetOf(
    draft: ThreadDraft,
    main: LogState,
    placed: { destination: Exclude<Destination, { kind: 'known' | 'gap' }>; verified: OpenedRun; run: Run },
  ): Promise<Target | undefined> {
    const { destination, verified, run } = placed
    if (destination.kind === 'head') return { chain: destination.log.chain, withdrawn: [] }
    const { after, siblings } = destination
    const [first, second] = verified.records
    const others = siblings.filter(({ same }) => same)
    const counter = after.counter + 1
    if (others.length > 0 && first !== undefined) {
      const { cid } = first.record
      const isVouched = second !== undefined || attests(run.attestation, draft.state, { log: main, counter, cid })
      if (!isVouched) return undefined
      const loose = others.find(({ log }) => !isVouchedFor({ log, counter }))
      if (loose !== undefined) return this.#replace(draft, loose.log)
    }
    return { chain: this.#branchOff(draft, main, { parent: after.log.chain, base: after.counter }), withdrawn: [] }
  }

  /** Takes out the head of a chain, with what the fold made of it. */
  async #replace(draft: ThreadDraft, log: LogState): Promise<Target> {
    const { counter } = log.head
    const record = await new RecordReader(draft.view).at(draft.state, log, counter)
    const withdrawn = log.cursor.counter < counter ? [] : [record]
    draft.removeHead(log.chain, record)
    const fields = { thread: draft.state.id, log: log.id, counter, record: record.cid.toString() }
    this.#logger.warn(fields, 'a record is replaced: nothing vouches for it, but something does for another one')
    return { chain: log.chain, withdrawn }
  }

  #branchOff(draft: ThreadDraft, main: LogState, point: { parent: ChainKey; base: number }): ChainKey {
    refuseTooManyLogs(draft, this.#options)
    const number = draft.nextLogNumber()
    const chain = branchKey(main.id, number)
    draft.setLog({
      ...emptyLog(number, main.publicKey),
      chain,
      branch: point,
      head: { counter: point.base, cid: undefined },
      cursor: { counter: point.base, time: 0n },
    })
    const fields = { thread: draft.state.id, log: main.id, counter: point.base }
    if (main.privateKey === undefined || main.retired) {
      this.#logger.warn(fields, 'a log was continued in two ways by its owner; both are kept')
    } else {
      // Continued at neither end: whoever wrote it here gets a new one.
      draft.setLog({ ...draft.log(main.chain), retired: true })
      this.#logger.error(fields, 'a log of this host was also continued elsewhere; it is written no more')
    }
    return chain
  }

  /** Answers false if what was added is to be folded afterwards. */
  async #add(
    entry: ThreadEntry,
    draft: ThreadDraft,
    { chain, withdrawn, records }: Target & { records: readonly OpenedRecord[] },
  ): Promise<boolean> {
    const writer = this.#writer
    const atOnce = writer.foldsAtOnce(entry, draft, chain)
    if (withdrawn.length > 0 && !atOnce) throw new ThreadsError('LOG_WAITS', 'the thread is not folded now')
    const added = records.map(({ record, blocks }) => {
      const counter = draft.addRecord(chain, record.cid, blocks)
      return threadRecord(draft.state, draft.log(chain), { record, blocks, counter })
    })
    if (withdrawn.length > 0) await writer.fold(entry, draft, { records: added, local: false, withdrawn })
    else if (atOnce) await writer.foldReceived(entry, draft, added)
    return atOnce || entry.waits.has(chain)
  }
}

export type ReceiverOptions = LogLimits & Pick<ResolvedNetOptions, 'maxReceivedRecordBytes'>

interface Target {
  readonly chain: ChainKey
  /** Records folded before that others take the place of. */
  readonly withdrawn: readonly ThreadRecord[]
}

interface Opened {
  readonly records: readonly OpenedRecord[]
  readonly fault: ThreadsError | undefined
}

function nothingOf({ head }: LogState, outcome: Partial<Receipt> = {}): Receipt {
  return { stored: 0, counter: head.counter, gap: false, ...outcome }
}
