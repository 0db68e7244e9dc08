/** Whether keys can be read. Whoever reads rows takes that for granted, so it is looked at before. */
import { toHex } from '../core/bytes.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Findings } from './findings.ts'
import { KEY_LETTERS, type KeyLetter, parseKey } from './key-codec.ts'
import type { Mendable } from './mendable.ts'
import type { Entry, KeyRange, ReadView } from './ordered-store.ts'

/** A number up to 2^53 or up to 2^64, a byte string, a text. */
type Part = 'number' | 'bigint' | 'bytes' | 'text'

const POSITION: readonly Part[] = ['bigint', 'bytes', 'number', 'bytes']
/** The components of keys. What is behind those of `x` is for its index to read; of others nothing is known here. */
const SHAPES: Partial<Record<KeyLetter, readonly Part[]>> = {
  t: ['number'],
  l: ['number', 'number'],
  r: ['number', 'number', 'number'],
  c: ['bytes', 'number', 'number', 'number'],
  f: ['number'],
  v: ['number', 'number', ...POSITION],
  d: ['number', 'number', 'text', 'text'],
  e: ['number', 'number', 'text', 'text', ...POSITION],
  x: ['number', 'number', 'number'],
  p: ['bytes'],
}

const EVERYTHING: KeyRange = { gte: new Uint8Array(), lt: Uint8Array.of(0xff) }
/** Rows deleted in one batch. */
const CHUNK = 1_000

/** Reports keys that cannot be read. */
export async function verifyKeys(view: ReadView, findings: Findings): Promise<void> {
  for await (const [key] of view.entries(EVERYTHING)) {
    if (!isReadable(key)) findings.add({ what: `a row has a key that cannot be read: ${toHex(key.subarray(0, 32))}` })
  }
}

/** Deletes rows whose keys cannot be read: nobody finds them. Those of an unknown letter stay. */
export async function removeUnreadableKeys(store: Mendable): Promise<void> {
  let keys: Uint8Array[] = []
  const remove = async (): Promise<void> => {
    await store.mend(keys.map((key) => ({ type: 'del', key })))
    keys = []
  }
  for await (const [key] of store.reads.entries(EVERYTHING)) {
    if (isReadable(key)) continue
    keys.push(key)
    if (keys.length === CHUNK) await remove()
  }
  if (keys.length > 0) await remove()
}

/** A view without the rows whose keys cannot be read. */
export function readableRows(view: ReadView): ReadView {
  return {
    get: (key) => view.get(key),
    getMany: (keys) => view.getMany(keys),
    async *entries(range): AsyncGenerator<Entry> {
      const { limit = Number.POSITIVE_INFINITY, ...whole } = range
      let left = limit
      for await (const entry of view.entries(whole)) {
        if (!isReadable(entry[0])) continue
        yield entry
        if (--left === 0) return
      }
    },
  }
}

function isReadable(key: Uint8Array): boolean {
  const letter = String.fromCharCode(key[0] ?? 0)
  const shape = Object.hasOwn(KEY_LETTERS, letter) ? SHAPES[letter as KeyLetter] : undefined
  if (shape === undefined) return true
  try {
    const parts = parseKey(key)
    for (const part of shape) parts[part]()
    return letter === 'x' || parts.atEnd
  } catch (error) {
    if (error instanceof ThreadsError) return false
    throw error
  }
}
