import { ThreadsError } from '../core/errors.ts'
import type { OwnedThread } from '../net/index.ts'
import { KEY_LETTERS, type KeyLetter, rowRange } from '../store/key-codec.ts'
import type { KeyRange } from '../store/ordered-store.ts'
import type { DatabaseDefinition } from './definition.ts'
import { FOLD_VERSION } from './fold/constants.ts'
import type { Position } from './fold/position.ts'
import { replay, type ReplayTarget } from './replay.ts'
import type { Sandbox } from './sandbox/index.ts'

/** Rows of an old generation removed in one batch. */
const CLEAR_CHUNK = 1_000

/** What comes of the records. */
export const DERIVED: readonly KeyLetter[] = Object.entries(KEY_LETTERS).flatMap(([letter, { derived }]) =>
  derived ? [letter as KeyLetter] : [],
)

export interface RebuildComponents {
  readonly thread: OwnedThread
  readonly sandbox: Sandbox
  readonly signal: AbortSignal
  /** Told of a record that cannot be judged; its log waits then. Default: the failure is thrown. */
  readonly onStuck?: (record: Position, error: unknown) => void
}

/** Whether the rows in use were made by another fold, or do not fit the records. */
export function needsRebuild(thread: Pick<OwnedThread, 'stale'>, { foldVersion = 1 }: DatabaseDefinition): boolean {
  return thread.stale() || foldVersion < FOLD_VERSION
}

export function databaseRebuilds(): ThreadsError {
  return new ThreadsError('DB_REBUILDING', 'the documents of the database are being made anew from its records', {
    hint: 'Try again later.',
  })
}

/**
 * Makes all rows that come of the records anew, beside those in use, and puts them in use with one batch. Nothing else
 * folds or changes the definition meanwhile. Cut off by a crash, it begins anew at the next start.
 */
export async function rebuild(components: RebuildComponents, definition: DatabaseDefinition): Promise<void> {
  const { thread, sandbox, signal, onStuck } = components
  await clearOthers(components, definition)
  const next = { ...definition, generation: definition.generation + 1, foldVersion: FOLD_VERSION }
  const chains = new Map([...thread.cursors()].map(([chain, { counter }]) => [chain, counter]))
  const source = {
    thread: thread.number,
    chains,
    branches: thread.branches(),
    record: thread.record.bind(thread),
    recordOf: thread.recordOf.bind(thread),
  }
  const judge = { judge: (requests: Parameters<Sandbox['judge']>[0]) => sandbox.judge(requests, { budget: 'judge' }) }
  const cursors = await replay(source, storing(thread), {
    definition: next,
    judge,
    signal,
    ...(onStuck === undefined ? {} : { onStuck }),
  })
  const { stored } = await thread.write(async (draft) => {
    draft.setAppData(next)
    draft.rebuilt(cursors)
  })
  await stored
}

function storing(thread: OwnedThread): ReplayTarget {
  return {
    view: thread.reads,
    async store(operations) {
      const { stored } = await thread.write(async (draft) => {
        for (const operation of operations) {
          if (operation.type === 'put') draft.put(operation.key, operation.value)
          else draft.del(operation.key)
        }
      })
      await stored
    },
  }
}

/** Removes the rows of all generations but the one in use, chunk by chunk. */
export async function clearOthers(
  { thread, signal }: Pick<RebuildComponents, 'thread' | 'signal'>,
  { generation }: DatabaseDefinition,
): Promise<void> {
  for (const letter of DERIVED) {
    const all = rowRange(letter, thread.number)
    const kept = rowRange(letter, thread.number, generation)
    await clear(thread, { gte: all.gte, lt: kept.gte }, signal)
    await clear(thread, { gte: kept.lt, lt: all.lt }, signal)
  }
}

async function clear(thread: OwnedThread, range: KeyRange, signal: AbortSignal): Promise<void> {
  for (let more = true; more; ) {
    signal.throwIfAborted()
    const { result, stored } = await thread.write(async (draft) => {
      let cleared = 0
      for await (const [key] of draft.view.entries({ ...range, limit: CLEAR_CHUNK })) {
        draft.del(key)
        cleared++
      }
      return cleared
    })
    await stored
    more = result === CLEAR_CHUNK
  }
}
