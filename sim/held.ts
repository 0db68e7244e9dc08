import { toHex } from '../src/core/bytes.ts'
import { type DatabaseDefinition, readDefinition } from '../src/db/definition.ts'
import type { ThreadRecord } from '../src/net/app.ts'
import type { ChainKey } from '../src/net/chain-key.ts'
import { baseOf } from '../src/net/chains.ts'
import { RecordReader } from '../src/net/record-reader.ts'
import type { LogState } from '../src/net/rows.ts'
import { Threads } from '../src/net/threads.ts'
import { KEY_LETTERS, type KeyLetter, parseKey } from '../src/store/key-codec.ts'
import type { ReadView } from '../src/store/ordered-store.ts'
import type { SimHost } from './host.ts'
import type { PlannedThread } from './plan.ts'

/** What a host has on disk of a thread. */
export interface Held {
  /** Host-local number of the thread. */
  readonly number: number
  /** Logs, and the branches of those that their owner forked. */
  readonly logs: readonly LogState[]
  /** Those of a branch begin where it parts from another chain. */
  readonly records: ReadonlyMap<ChainKey, readonly ThreadRecord[]>
  /** Absent at a host that only follows. */
  readonly definition: DatabaseDefinition | undefined
  /** Everything on the disk. */
  readonly disk: ReadView
}

/** Enough for every record of a log. */
const ALL = { maxRecords: 1_000_000, maxBytes: Number.POSITIVE_INFINITY }

export async function readHeld(host: SimHost, thread: PlannedThread): Promise<Held | undefined> {
  const disk = await host.disk.read()
  const threads = new Threads(disk)
  await threads.load()
  const state = threads.find(thread.id)?.stored
  if (state === undefined) return undefined
  const reader = new RecordReader(disk)
  const records = new Map<ChainKey, readonly ThreadRecord[]>()
  for (const log of state.logs.values()) {
    // With the read key, also from the disk of a relay.
    const readable = { ...state, key: thread.key }
    records.set(log.chain, await reader.after(readable, log, { ...ALL, counter: baseOf(log) }))
  }
  const definition = readDefinition(state.appData)
  return { number: state.number, logs: [...state.logs.values()], records, definition, disk }
}

/** What is left on a disk of threads that were deleted; `undefined` if nothing is. */
export async function leftOvers(host: SimHost): Promise<string | undefined> {
  const disk = await host.disk.read()
  const live = new Threads(disk)
  await live.load()
  const threads = new Set(live.all().map(({ number }) => number))
  for (const [letter, { byThread }] of Object.entries(KEY_LETTERS)) {
    if (!byThread && letter !== 'c') continue
    for await (const [key] of disk.entries(lettersOf(letter as KeyLetter))) {
      const parts = parseKey(key)
      if (letter === 'c') parts.bytes()
      const number = parts.number()
      if (!threads.has(number)) return `a row ${letter} of thread row ${number}, which is deleted`
    }
  }
  return undefined
}

function lettersOf(letter: KeyLetter): { gte: Uint8Array; lt: Uint8Array } {
  const byte = letter.charCodeAt(0)
  return { gte: Uint8Array.of(byte), lt: Uint8Array.of(byte + 1) }
}

/** Names a record for the oracle; two that follow the same one have different names. */
export function recordName(log: Uint8Array, counter: number, digest: Uint8Array): string {
  return `${toHex(log).slice(-8)}/${counter}/${toHex(digest).slice(0, 8)}`
}
