import { textOfUtf8, toHex } from '../src/core/bytes.ts'
import { peerIdToBytes } from '../src/core/peer-id.ts'
import type { DatabaseDefinition } from '../src/db/definition.ts'
import type { Position } from '../src/db/fold/position.ts'
import { REASONS } from '../src/db/fold/reasons.ts'
import { decodeHistoryEntry, decodeInstance, decodeRefusal, readInstanceKey } from '../src/db/rows.ts'
import { rowRange } from '../src/store/key-codec.ts'
import type { KeyLetter } from '../src/store/key-codec.ts'
import type { ReadView } from '../src/store/ordered-store.ts'
import type { PlainState } from '../test/support/fold-oracle.ts'
import { recordName } from './held.ts'
import { plainIndexKey } from './index-entry.ts'

/** A database on a disk, and what must be there. */
export interface Derived {
  /** Host-local number of the thread. */
  readonly number: number
  readonly definition: DatabaseDefinition
  readonly state: PlainState
}

type Lines = ReadonlySet<string>

/** Compares every derived row of a database with the oracle: instances, histories, refusals and index entries. */
export async function checkDerived({ disk }: { disk: ReadView }, derived: Derived): Promise<string | undefined> {
  const { number, definition, state } = derived
  const rowsOf = (letter: KeyLetter): AsyncIterable<readonly [Uint8Array, Uint8Array]> => {
    return disk.entries(rowRange(letter, number, definition.generation))
  }
  return (
    difference('instances', await instances(rowsOf('d')), expectedInstances(state)) ??
    difference('history', await history(rowsOf('e')), expectedHistory(state)) ??
    difference('refusals', await refusals(rowsOf('v')), expectedRefusals(state)) ??
    difference('index entries', await indexEntries(rowsOf('x')), expectedIndexEntries(derived))
  )
}

function difference(what: string, found: Lines, expected: Lines): string | undefined {
  const surplus = [...found.difference(expected)]
  const missing = [...expected.difference(found)]
  if (surplus.length + missing.length === 0) return undefined
  return `other ${what} than expected: ${surplus.length} wrong, such as ${surplus[0]}; ${missing.length} missing, such as ${missing[0]}`
}

type Rows = AsyncIterable<readonly [Uint8Array, Uint8Array]>

function nameOf({ logId, counter, digest }: Position): string {
  return recordName(peerIdToBytes(logId), counter, digest)
}

async function instances(rows: Rows): Promise<Lines> {
  const lines = new Set<string>()
  for await (const [key, row] of rows) {
    const { collection, id } = readInstanceKey(key)
    const { document, position, hash, creator } = decodeInstance(row)
    const text = document === undefined ? 'nothing' : textOfUtf8(document)
    lines.add(`${collection}/${id} ${text} of ${creator} ${toHex(hash)} at ${nameOf(position)}`)
  }
  return lines
}

function expectedInstances({ documents, history: entries }: PlainState): Lines {
  const lines = new Set<string>()
  for (const [key, list] of entries) {
    const last = list.at(-1)
    lines.add(`${key} ${documents.get(key)?.text ?? 'nothing'} of ${last?.creator} ${last?.hash} at ${last?.record}`)
  }
  return lines
}

/** In order of position, with the number of the entry among those of its instance. */
async function history(rows: Rows): Promise<Lines> {
  const lines = new Set<string>()
  const counts = new Map<string, number>()
  for await (const [key, row] of rows) {
    const { collection, id } = readInstanceKey(key)
    const { position, reason, hash } = decodeHistoryEntry(key, row)
    const name = `${collection}/${id}`
    const count = (counts.get(name) ?? 0) + 1
    counts.set(name, count)
    lines.add(`${name} ${count}: ${nameOf(position)} ${reason} ${toHex(hash)}`)
  }
  return lines
}

function expectedHistory({ history: entries }: PlainState): Lines {
  const lines = new Set<string>()
  for (const [key, list] of entries) {
    for (const [index, { record, reason, hash }] of list.entries()) {
      lines.add(`${key} ${index + 1}: ${record} ${codeOf(reason)} ${hash}`)
    }
  }
  return lines
}

async function refusals(rows: Rows): Promise<Lines> {
  const lines = new Set<string>()
  for await (const [key, row] of rows) {
    const { position, reason, message, keys } = decodeRefusal(key, row)
    const names = keys.map(({ collection, id }) => `${collection}/${id}`)
    lines.add(`${nameOf(position)} ${reason} ${message}: ${names.join(' ')}`)
  }
  return lines
}

function expectedRefusals(state: PlainState): Lines {
  const lines = [...state.refusals].map(([name, { reason, message, keys }]) => {
    return `${name} ${codeOf(reason)} ${message}: ${keys.join(' ')}`
  })
  return new Set(lines)
}

function codeOf(reason: string): number | undefined {
  return Object.entries(REASONS).find(([name]) => name === reason)?.[1]
}

async function indexEntries(rows: Rows): Promise<Lines> {
  const lines = new Set<string>()
  for await (const [key] of rows) lines.add(toHex(key))
  return lines
}

function expectedIndexEntries({ number, definition, state }: Derived): Lines {
  const lines = new Set<string>()
  for (const { name, indexes } of definition.collections) {
    for (const index of indexes) {
      const place = { thread: number, generation: definition.generation, index: index.number }
      const path = index.fields.map((field) => field.path).join()
      for (const [key, { text }] of state.documents) {
        if (!key.startsWith(`${name}/`)) continue
        lines.add(toHex(plainIndexKey(place, { path, id: key.slice(name.length + 1), document: JSON.parse(text) })))
      }
    }
  }
  return lines
}
