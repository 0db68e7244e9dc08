/** Whether what a store says of itself is true, and its journal dense. */
import type { Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { Findings } from './findings.ts'
import { putNewStamp, readStamp } from './format.ts'
import { decodeJournalRow, encodeJournalRow } from './journal-row.ts'
import { KEY_LETTERS, parseKey, rowKey, rowRange } from './key-codec.ts'
import { type Mendable, removeRange } from './mendable.ts'
import type { KeyRange, ReadView } from './ordered-store.ts'
import { delRepairMark, readRepairMark } from './repair-mark.ts'
import { verifyKeys } from './verify-keys.ts'

export interface JournalCheck {
  readonly commits: number
  /** The newest commit; 0 for none. */
  readonly lastSeq: number
  /** Set if commits are missing: every one from this on is there. */
  readonly completeFrom: number | undefined
}

/** Looks at the rows of the store itself. Throws STORE_CORRUPT, STORE_VERSION if it cannot be told what it is. */
export async function verifyJournal(view: ReadView, findings: Findings): Promise<JournalCheck> {
  const stamp = await readStamp(view, 'looked at')
  if (stamp === undefined)
    throw new ThreadsError('STORE_CORRUPT', 'the store has no version row, or is none of this program')
  await findUnknownRows(view, findings)
  const mark = await readRepairMark(view)
  if (mark !== undefined) findings.add({ what: 'a repair of the store was cut off' })
  const { commits, lastSeq, ...found } = await readRows(view, findings)
  const { lastSeq: synced = 0 } = stamp
  if (lastSeq < synced)
    findings.add({ what: `commits ${lastSeq + 1} to ${synced} are missing at the end of the journal` })
  const gaps = [found.completeFrom, mark?.completeFrom, lastSeq < synced ? synced + 1 : undefined]
  const known = gaps.filter((each) => each !== undefined)
  return { commits, lastSeq, completeFrom: known.length === 0 ? undefined : Math.max(...known) }
}

async function readRows(view: ReadView, findings: Findings): Promise<JournalCheck> {
  let commits = 0
  let lastSeq = 0
  let completeFrom: number | undefined
  let offset: number | undefined
  for await (const [key, value] of view.entries(rowRange('f'))) {
    const seq = parseKey(key).number()
    if (commits > 0 && seq !== lastSeq + 1) {
      findings.add({ what: `commits ${lastSeq + 1} to ${seq - 1} are missing in the journal` })
      completeFrom = seq
      offset = undefined
    }
    commits++
    lastSeq = seq
    try {
      const row = decodeJournalRow(seq, value)
      if (offset !== undefined && row.offset !== offset) findings.add({ what: `commit ${seq} has a wrong offset` })
      offset = row.offset + value.length
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
      findings.add({ what: `commit ${seq} of the journal cannot be read` })
      completeFrom = seq + 1
      offset = undefined
    }
  }
  return { commits, lastSeq, completeFrom }
}

/** Every row begins with a letter of the table. */
async function findUnknownRows(view: ReadView, findings: Findings): Promise<void> {
  const all: KeyRange = { gte: new Uint8Array(), lt: Uint8Array.of(0xff), limit: 1 }
  for (let first = await firstByte(view, all); first !== undefined; ) {
    const letter = String.fromCharCode(first)
    if (!Object.hasOwn(KEY_LETTERS, letter)) findings.add({ what: `there are rows of an unknown kind, ${first}` })
    first = await firstByte(view, { ...all, gte: Uint8Array.of(first + 1) })
  }
}

async function firstByte(view: ReadView, range: KeyRange): Promise<number | undefined> {
  for await (const [key] of view.entries(range)) return key[0]
  return undefined
}

/**
 * Stamps a store that lost its stamp with a damaged file, unless a row tells that it may be another program's.
 * STORE_CORRUPT if it is being restored.
 */
export async function mendStamp(store: Mendable, random: Random): Promise<void> {
  if ((await readStamp(store.reads, 'looked at')) !== undefined) return
  const foreign = new Findings({ max: 0 })
  await findUnknownRows(store.reads, foreign)
  await verifyKeys(store.reads, foreign)
  if (foreign.count === 0) await store.mend([putNewStamp(random)])
}

/**
 * Begins the journal anew, behind its newest commit. Only once what the missing commits left behind is mended: the store
 * is not marked as damaged any more.
 */
export async function mendJournal(store: Mendable, { lastSeq, completeFrom }: JournalCheck): Promise<void> {
  if (completeFrom === undefined) return
  const seq = Math.max(lastSeq + 1, completeFrom)
  const value = encodeJournalRow(0, { thread: 0, heads: [], changes: [] })
  await store.mend([{ type: 'put', key: rowKey('f', seq), value }])
  await removeRange(store, { gte: rowRange('f').gte, lt: rowKey('f', seq) })
  await store.mend([delRepairMark()])
}
