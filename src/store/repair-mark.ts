import { decode, encode } from 'cborg'
import { ThreadsError } from '../core/errors.ts'
import { rowKey } from './key-codec.ts'
import type { Operation, ReadView } from './ordered-store.ts'

/**
 * Commits were lost, and what they leave behind is not mended yet. The mark is written before anything is changed and
 * goes with the last batch of the repair, so that a crash in between resumes it.
 */
export interface RepairMark {
  /** Every commit from this one on is there. */
  readonly completeFrom: number
}

const MARK_KEY = rowKey('s', 'repair')

export async function readRepairMark(view: ReadView): Promise<RepairMark | undefined> {
  const value = await view.get(MARK_KEY)
  return value === undefined ? undefined : decodeMark(value)
}

export function putRepairMark({ completeFrom }: RepairMark): Operation {
  return { type: 'put', key: MARK_KEY, value: encode({ completeFrom }) }
}

export function delRepairMark(): Operation {
  return { type: 'del', key: MARK_KEY }
}

function decodeMark(value: Uint8Array): RepairMark {
  try {
    const { completeFrom } = decode(value) as RepairMark
    if (Number.isSafeInteger(completeFrom)) return { completeFrom }
  } catch {
    // Said below.
  }
  throw new ThreadsError('STORE_CORRUPT', 'the mark of a repair under way cannot be read')
}
