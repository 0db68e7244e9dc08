import { cidOfDigest } from '../core/link.ts'
import type { KeyRange, ReadView } from '../store/ordered-store.ts'
import { reasonName } from './fold/reasons.ts'
import type { Refusal, RefusalOptions } from './index.ts'
import { pageLimit } from './page.ts'
import { decodeRefusal, refusalRange } from './rows.ts'

/** Records without effect, newest first. */
export async function listRefusals(
  view: ReadView,
  place: { thread: number; generation: number },
  options: RefusalOptions,
): Promise<Refusal[]> {
  const { limit, before, after, signal } = options
  if (before !== undefined && after !== undefined) throw new TypeError('a page is before a position or after one')
  const whole = refusalRange(place.thread, place.generation)
  // Those right behind a position are the oldest after it.
  const range = { ...partOf(whole, options), reverse: after === undefined, limit: pageLimit(limit) }
  const refusals: Refusal[] = []
  for await (const [key, value] of view.entries(range)) {
    signal?.throwIfAborted()
    const { position, reason, message, keys } = decodeRefusal(key, value)
    const { logId, counter, time, digest } = position
    refusals.push({
      logId,
      counter,
      recordId: cidOfDigest(digest),
      time,
      code: reasonName(reason),
      reason: message,
      documents: keys,
      position: key.slice(whole.gte.length),
    })
  }
  return after === undefined ? refusals : refusals.toReversed()
}

function partOf(whole: KeyRange, { before, after }: RefusalOptions): KeyRange {
  if (before !== undefined) return { ...whole, lt: keyAt(whole, before) }
  if (after === undefined) return whole
  const key = keyAt(whole, after)
  const behind = new Uint8Array(key.length + 1)
  behind.set(key)
  return { ...whole, gte: behind }
}

function keyAt({ gte }: KeyRange, position: Uint8Array): Uint8Array {
  const key = new Uint8Array(gte.length + position.length)
  key.set(gte)
  key.set(position, gte.length)
  return key
}
