import type { CID } from 'multiformats/cid'
import { cidOf } from '../core/cbor.ts'
import { ThreadsError } from '../core/errors.ts'
import { openBody } from '../core/event-block.ts'
import { checkLinks, openRecord, type Record, verifyRecord } from '../core/record.ts'
import type { ReadView } from '../store/ordered-store.ts'
import type { Finding } from '../store/findings.ts'
import { rowRange } from '../store/key-codec.ts'
import { baseOf, partsTo } from './chains.ts'
import { decodeRecordRow, type LogState, readRecordKey, recordIdKey, recordRowKey, type ThreadState } from './rows.ts'

export interface LogCheck {
  readonly log: LogState
  /** Records whose blocks, links and place in the chain are right, from the first on. */
  readonly good: number
  /** Whether head and cursor are right, and there is nothing behind the good records. */
  readonly whole: boolean
  /** Whether the records up to the cursor can be folded. */
  readonly foldable: boolean
  /** Records that the read key of the thread does not open. */
  readonly unreadable: number
  /** Whether each of the good records is found by its id. */
  readonly found: boolean
}

/** Records whose rows by id are looked for at once. */
const AT_ONCE = 256
const NOTHING = new Uint8Array(0)

/**
 * Reads all records of a log, or of a branch of one. One signature, that of the head, vouches for all before it: each names
 * the one before.
 */
export async function verifyLog(
  view: ReadView,
  { thread, log }: { thread: ThreadState; log: LogState },
  report: (finding: Finding) => void,
): Promise<LogCheck> {
  const walk = new LogWalk(view, thread, { log, start: await startOf(view, thread, log) })
  const tell = (what: string, counter?: number): void => {
    report({ thread: thread.id, log: log.id, what, ...(counter === undefined ? {} : { counter }) })
  }
  const fault = await walk.run()
  if (fault !== undefined) tell(fault, walk.good + 1)
  if (walk.missingIds > 0) tell(`${walk.missingIds} of its records are not found by their ids`)
  const { head, cursor } = log
  const headIsRight = head.counter === walk.good && sameCid(head.cid, walk.cid)
  if (fault === undefined && !headIsRight) tell(`the head says record ${head.counter}, the last one is ${walk.good}`)
  const isSigned = walk.last === undefined || signs(walk.last, log)
  if (fault === undefined && headIsRight && !isSigned) tell('the head is not signed by the log', walk.good)
  const cursorIsRight = cursor.counter <= walk.good
  if (fault === undefined && !cursorIsRight) tell(`the cursor is at record ${cursor.counter}, behind the last one`)
  return {
    log,
    good: walk.good,
    whole: fault === undefined && headIsRight && isSigned && cursorIsRight,
    foldable: cursorIsRight,
    unreadable: walk.unreadable,
    found: walk.missingIds === 0,
  }
}

/** The last record up to `counter` that the log has signed: what is before it is vouched for. Else where it begins. */
export async function lastSigned(
  view: ReadView,
  { thread, log }: { thread: ThreadState; log: LogState },
  counter: number,
): Promise<number> {
  const base = baseOf(log)
  for (let at = counter; at > base; at--) {
    const row = await view.get(recordRowKey(thread.number, log.number, at))
    if (row === undefined) continue
    if (signs(openRecord(decodeRecordRow(row).recordNode, thread.key.service), log)) return at
  }
  return base
}

/** The id of the record that the first of a branch follows; `undefined` for the start of a log. */
async function startOf(view: ReadView, thread: ThreadState, log: LogState): Promise<CID | undefined> {
  const parent = log.branch && thread.logs.get(log.branch.parent)
  const place = parent && partsTo(thread, { log: parent, counter: baseOf(log) }).at(-1)
  if (place === undefined) return undefined
  const row = await view.get(recordRowKey(thread.number, place.log.number, place.counter))
  try {
    return row && cidOf(decodeRecordRow(row).recordNode)
  } catch (error) {
    if (error instanceof ThreadsError) return undefined
    throw error
  }
}

class LogWalk {
  good: number
  /** Of the record `good`. */
  cid: CID | undefined
  last: Record | undefined
  unreadable = 0
  missingIds = 0
  readonly #view: ReadView
  readonly #thread: ThreadState
  readonly #log: LogState
  #ids: Uint8Array[] = []

  constructor(view: ReadView, thread: ThreadState, { log, start }: { log: LogState; start: CID | undefined }) {
    this.#view = view
    this.#thread = thread
    this.#log = log
    this.good = baseOf(log)
    this.cid = start
  }

  /** Walks up to the end, or to the first record that is not right: says what is wrong with it. */
  async run(): Promise<string | undefined> {
    for await (const [key, value] of this.#view.entries(rowRange('r', this.#thread.number, this.#log.number))) {
      const fault = readRecordKey(key).counter === this.good + 1 ? this.#take(value) : 'the record is missing'
      if (fault !== undefined) {
        await this.#lookForIds()
        return fault
      }
      if (this.#ids.length === AT_ONCE) await this.#lookForIds()
    }
    await this.#lookForIds()
    return undefined
  }

  #take(row: Uint8Array): string | undefined {
    const { key } = this.#thread
    try {
      const blocks = decodeRecordRow(row)
      const record = openRecord(blocks.recordNode, key.service)
      checkLinks(record, blocks)
      if (!sameCid(record.prev, this.cid)) return 'the record does not name the one before it'
      if (key.read !== undefined && !opens(() => openBody(blocks, key.read ?? NOTHING))) this.unreadable++
      this.good++
      this.cid = record.cid
      this.last = record
      this.#ids.push(recordIdKey(record.cid, this.#thread.number, this.#log.number, this.good))
      return undefined
    } catch (error) {
      if (error instanceof ThreadsError) return `the record is not what was stored: ${error.message}`
      throw error
    }
  }

  async #lookForIds(): Promise<void> {
    const rows = await this.#view.getMany(this.#ids)
    for (const row of rows) if (row === undefined) this.missingIds++
    this.#ids = []
  }
}

function signs(record: Record, { publicKey }: LogState): boolean {
  return opens(() => verifyRecord(record, publicKey))
}

function opens(attempt: () => unknown): boolean {
  try {
    attempt()
    return true
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
}

function sameCid(a: CID | undefined, b: CID | undefined): boolean {
  return a === undefined ? b === undefined : b !== undefined && a.equals(b)
}
