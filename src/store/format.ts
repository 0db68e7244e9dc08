import { decode, encode } from 'cborg'
import { EMPTY_BYTES } from '../core/bytes.ts'
import type { Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import { rowKey } from './key-codec.ts'
import type { Operation, OrderedStore, ReadView } from './ordered-store.ts'

/** Version of the rows and keys this program writes. */
export const FORMAT_VERSION = 1

/** Version of the rules by which documents come from records, and of the rows that come of them. */
export const FOLD_VERSION = 2

/** Length of the random id of a store. */
const STORE_ID_BYTES = 16

/** The row `s`: what a store says of itself. */
export interface Stamp {
  readonly format: number
  /** Newest fold version that derived rows may be of. Each database notes which one its own are of. */
  readonly fold: number
  readonly id: Uint8Array
  /** Set by the last write before closing, cleared by the first one after opening. */
  readonly cleanlyClosed: boolean
  /** Last commit at the time of that write; absent if nobody noted it. */
  readonly lastSeq?: number
}

const STAMP_KEY = rowKey('s')
/** The store is being filled by a restore: there is no stamp beside it. */
const RESTORE_KEY = rowKey('s', 'restore')

/**
 * The stamp of a store as it was found, or a new one in an empty store. From here on it counts as not cleanly closed.
 * STORE_VERSION if a newer program wrote the store called `name`, STORE_CORRUPT if it holds something else.
 */
export async function openStamp(store: OrderedStore, name: string, random: Random): Promise<Stamp> {
  const stamp = (await readStamp(store, name)) ?? (await newStamp(store, name, random))
  await writeStamp(store, { ...stamp, fold: FOLD_VERSION, cleanlyClosed: false })
  return { ...stamp, fold: FOLD_VERSION }
}

/** The stamp of a store; `undefined` if it has none. Throws what `openStamp` does. */
export async function readStamp(store: ReadView, name: string): Promise<Stamp | undefined> {
  const bytes = await store.get(STAMP_KEY)
  if (bytes === undefined && (await isBeingRestored(store))) {
    const hint = 'Run threadsd restore again: it begins anew.'
    throw new ThreadsError('STORE_CORRUPT', `the restore of ${name} was cut off`, { hint })
  }
  return bytes === undefined ? undefined : decodeStamp(bytes, name)
}

export async function writeStamp(store: OrderedStore, stamp: Stamp): Promise<void> {
  const { format, fold, id, cleanlyClosed, lastSeq } = stamp
  const row = { format, fold, id, clean: cleanlyClosed, ...(lastSeq === undefined ? {} : { seq: lastSeq }) }
  const put: Operation = { type: 'put', key: STAMP_KEY, value: encode(row) }
  await store.batch([put], { sync: true })
}

/** Comes before all else that a restore writes. From here on nobody opens the store before `endRestore`. */
export async function beginRestore(store: OrderedStore): Promise<void> {
  await store.batch([{ type: 'put', key: RESTORE_KEY, value: EMPTY_BYTES }], { sync: true })
}

export async function isBeingRestored(store: ReadView): Promise<boolean> {
  return (await store.get(RESTORE_KEY)) !== undefined
}

/** All is there: the store can be opened. */
export async function endRestore(store: OrderedStore, random: Random): Promise<void> {
  await store.batch([putNewStamp(random), { type: 'del', key: RESTORE_KEY }], { sync: true })
}

/** The stamp of a store in place of one that is gone. Its id is a new one, as it goes another way. */
export function putNewStamp(random: Random): Operation {
  const row = { format: FORMAT_VERSION, fold: FOLD_VERSION, id: random(STORE_ID_BYTES), clean: true }
  return { type: 'put', key: STAMP_KEY, value: encode(row) }
}

async function newStamp(store: OrderedStore, name: string, random: Random): Promise<Stamp> {
  const everything = { gte: new Uint8Array(), lt: Uint8Array.of(0xff), limit: 1 }
  for await (const _ of store.entries(everything)) {
    throw new ThreadsError('STORE_CORRUPT', `the repository ${name} has no version row, or holds something else`)
  }
  return { format: FORMAT_VERSION, fold: FOLD_VERSION, id: random(STORE_ID_BYTES), cleanlyClosed: true }
}

function decodeStamp(bytes: Uint8Array, name: string): Stamp {
  const row = decodeRow(bytes)
  const format = field(row, 'format')
  const fold = field(row, 'fold')
  const id = field(row, 'id')
  if (typeof format !== 'number' || typeof fold !== 'number') throw malformedStamp(name)
  if (format > FORMAT_VERSION) throw newerVersion(name, `format ${format}, this program knows ${FORMAT_VERSION}`)
  if (fold > FOLD_VERSION) throw newerVersion(name, `fold ${fold}, this program knows ${FOLD_VERSION}`)
  if (!(id instanceof Uint8Array) || id.length !== STORE_ID_BYTES) throw malformedStamp(name)
  const seq = field(row, 'seq')
  return {
    format,
    fold,
    id,
    cleanlyClosed: field(row, 'clean') === true,
    ...(typeof seq === 'number' && { lastSeq: seq }),
  }
}

function decodeRow(bytes: Uint8Array): unknown {
  try {
    return decode(bytes)
  } catch {
    return undefined
  }
}

function field(row: unknown, name: string): unknown {
  return typeof row === 'object' && row !== null ? Reflect.get(row, name) : undefined
}

function newerVersion(name: string, versions: string): ThreadsError {
  return new ThreadsError('STORE_VERSION', `the repository ${name} was written by a newer version (${versions})`, {
    hint: 'Use the version that wrote it, or a newer one.',
  })
}

function malformedStamp(name: string): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', `the repository ${name} has a damaged version row`)
}
