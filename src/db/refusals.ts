import type { ReadView } from '../store/ordered-store.ts'
import type { Refusal } from './index.ts'
import { decodeRefusal, refusalRange } from './rows.ts'

/** Most refusals listed at once; the newest. */
const MAX_LISTED = 1_000

/** Records without effect, oldest first. */
export async function listRefusals(view: ReadView, place: { thread: number; generation: number }): Promise<Refusal[]> {
  const newestFirst: Refusal[] = []
  const range = { ...refusalRange(place.thread, place.generation), reverse: true, limit: MAX_LISTED }
  for await (const [key, value] of view.entries(range)) {
    const { position, message, keys } = decodeRefusal(key, value)
    newestFirst.push({ logId: position.logId, counter: position.counter, reason: message, documents: keys })
  }
  return newestFirst.toReversed()
}
