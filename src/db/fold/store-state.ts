import { equalBytes } from '../../core/bytes.ts'
import type { Change, ChangeKind } from '../../store/commit.ts'
import type { KeyRange, Operation, ReadView } from '../../store/ordered-store.ts'
import {
  collectionHistoryRange,
  decodeHistoryEntry,
  decodeInstance,
  encodeHistoryEntry,
  encodeInstance,
  encodeRefusal,
  historyKey,
  historyRange,
  instanceKey,
  readInstanceKey,
  refusalKey,
} from '../rows.ts'
import type { FoldResult, InstanceChange } from './io.ts'
import type { Position } from './position.ts'
import type { FoldRecord, FoldState, HistoryEntry, HistoryMark, InstanceState } from './state.ts'

export interface StoreStateOptions {
  readonly view: ReadView
  /** Host-local number of the thread. */
  readonly thread: number
  readonly generation: number
  /** Reads a record that was folded before. */
  record(position: Position): Promise<FoldRecord>
}

/** The folded state of a thread in its rows. */
export function createFoldState(options: StoreStateOptions): FoldState {
  const { view, thread, generation } = options

  async function readHistory(range: KeyRange): Promise<HistoryEntry[]> {
    const entries: HistoryEntry[] = []
    for await (const [key, value] of view.entries(range)) entries.push(decodeHistoryEntry(key, value))
    return entries
  }

  return {
    async instances(keys): Promise<(InstanceState | undefined)[]> {
      const rows = await view.getMany(keys.map((key) => instanceKey(thread, generation, key)))
      return rows.map((row) => (row === undefined ? undefined : decodeInstance(row)))
    },
    async historyAt(keys, position): Promise<(HistoryEntry | undefined)[]> {
      const rowKeys = keys.map((key) => historyKey(thread, generation, key, position))
      const rows = await view.getMany(rowKeys)
      return rowKeys.map((key, index) => {
        const row = rows[index]
        return row === undefined ? undefined : decodeHistoryEntry(key, row)
      })
    },
    historyAfter: (key, after, limit) => readHistory({ ...historyRange(thread, generation, key, { after }), limit }),
    historyBefore: (key, before, limit) =>
      readHistory({ ...historyRange(thread, generation, key, { before }), reverse: true, limit }),
    async *collectionHistory(collection, since): AsyncGenerator<HistoryMark> {
      for await (const [key, value] of view.entries(collectionHistoryRange(thread, generation, collection))) {
        const { position, reason, hash, created } = decodeHistoryEntry(key, value)
        if (position.time < since) continue
        // The hash is copied: a part of the row would keep all of it.
        yield { key: readInstanceKey(key), entry: { position, reason, hash: hash.slice(), created } }
      }
    },
    record: (position) => options.record(position),
  }
}

/** The rows that make a result durable, and what it changes for readers. */
export function foldOperations(
  result: FoldResult,
  thread: number,
  generation: number,
): { operations: Operation[]; changes: Change[] } {
  const operations: Operation[] = []
  const changes: Change[] = []
  for (const instance of result.instances) {
    const key = instanceKey(thread, generation, instance.key)
    operations.push(instance.after === undefined ? { type: 'del', key } : put(key, encodeInstance(instance.after)))
    const change = changeOf(instance)
    if (change !== undefined) changes.push(change)
  }
  for (const { key, entry } of result.history) {
    operations.push(put(historyKey(thread, generation, key, entry.position), encodeHistoryEntry(entry)))
  }
  for (const { key, position } of result.withdrawn) {
    operations.push({ type: 'del', key: historyKey(thread, generation, key, position) })
  }
  for (const refused of result.refusals.put) {
    operations.push(put(refusalKey(thread, generation, refused.position), encodeRefusal(refused)))
  }
  for (const position of result.refusals.clear) {
    operations.push({ type: 'del', key: refusalKey(thread, generation, position) })
  }
  return { operations, changes }
}

function put(key: Uint8Array, value: Uint8Array): Operation {
  return { type: 'put', key, value }
}

/** The change for readers; `undefined` if the document stays the same. */
function changeOf({ key, before, after }: InstanceChange): Change | undefined {
  const old = before?.document
  const now = after?.document
  if (old === undefined && now === undefined) return undefined
  if (old !== undefined && now !== undefined && equalBytes(old, now)) return undefined
  return {
    ...key,
    kind: kindOf(old, now),
    ...(old === undefined ? {} : { before: old }),
    ...(now === undefined ? {} : { after: now }),
  }
}

function kindOf(before: Uint8Array | undefined, after: Uint8Array | undefined): ChangeKind {
  if (after === undefined) return 'deleted'
  return before === undefined ? 'created' : 'saved'
}
