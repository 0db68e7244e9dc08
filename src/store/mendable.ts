import type { KeyRange, Operation, OrderedStore, ReadView } from './ordered-store.ts'

/** A store in which nobody else writes. */
export interface Mendable {
  readonly reads: ReadView
  /** Writes durably. */
  mend(operations: readonly Operation[]): Promise<void>
}

/** A store that no host has open. */
export function mendable(store: OrderedStore): Mendable {
  return { reads: store, mend: (operations) => store.batch(operations, { sync: true }) }
}

/** Rows deleted in one batch. */
const CHUNK = 1_000

/** Deletes all rows of a range. Cut off by a crash, it has deleted the first of them. */
export async function removeRange(store: Mendable, range: KeyRange): Promise<void> {
  let operations: Operation[] = []
  for await (const [key] of store.reads.entries(range)) {
    operations.push({ type: 'del', key })
    if (operations.length < CHUNK) continue
    await store.mend(operations)
    operations = []
  }
  if (operations.length > 0) await store.mend(operations)
}
