import type { AbortOptions } from '../core/abort.ts'
import { hasCode } from '../core/errors.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import type { DatabaseDriver, DriverUpdate } from './driver.ts'
import type { ListenFilter, Update, Updates } from './index.ts'
import { decodeDocument } from './json.ts'

/** Listens, and listens again where updates were lost. Resolves when every later change will be told. */
export async function listen<T>(
  database: DatabaseDriver,
  filters: readonly ListenFilter[],
  { signal }: AbortOptions,
): Promise<Updates<T>> {
  // Leaving the loop must end the wait for the next update too.
  const left = new AbortController()
  const ends = signal === undefined ? left.signal : AbortSignal.any([left.signal, signal])
  const start = () => database.listen(filters, { signal: ends })
  const updates = updatesOf<T>(await unlessAborted(start, ends), { start, signal: ends })
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    left.abort()
    await updates.return(undefined)
    return { done: true, value: undefined }
  }
  const iterator: Updates<T> = {
    next: () => updates.next(),
    return: end,
    [Symbol.asyncIterator]: () => iterator,
    [Symbol.asyncDispose]: async () => void (await end()),
  }
  return iterator
}

interface Listening {
  readonly start: () => Promise<AsyncIterable<DriverUpdate>>
  readonly signal: AbortSignal
}

async function* updatesOf<T>(
  first: AsyncIterable<DriverUpdate>,
  { start, signal }: Listening,
): AsyncGenerator<Update<T>, undefined, undefined> {
  let feed = first
  for (;;) {
    try {
      for await (const update of feed) yield decodeUpdate<T>(update)
      return undefined
    } catch (error) {
      if (signal.aborted) return undefined
      if (!hasCode(error, 'UPDATES_LOST')) throw error
    }
    feed = await start()
    yield { kind: 'resync' }
  }
}

function decodeUpdate<T>({ kind, collection, id, document }: DriverUpdate): Update<T> {
  if (kind === 'deleted' || document === undefined) return { kind: 'deleted', collection, id }
  return { kind, collection, id, document: decodeDocument<T>(document) }
}
