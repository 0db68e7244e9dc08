/** Stored state of a fold in memory, and what tests of the fold need to fill and read it. */
import { sha256 } from '../../src/core/crypto.ts'
import { type EventData, encodeEvents } from '../../src/core/events.ts'
import type { Identity } from '../../src/core/identity.ts'
import { type LogId, peerIdFromBytes, peerIdToBytes } from '../../src/core/peer-id.ts'
import { equalBytes, textOfUtf8, toHex, utf8 } from '../../src/core/bytes.ts'
import { type FoldResult, fold, type FoldWork, type Rejudge } from '../../src/db/fold/fold.ts'
import type { Judge, JudgeRequest, Verdict } from '../../src/db/fold/judge.ts'
import { comparePositions, type Position } from '../../src/db/fold/position.ts'
import { keyName } from '../../src/db/fold/record-events.ts'
import { REASONS } from '../../src/db/fold/reasons.ts'
import {
  documentHash,
  type FoldRecord,
  type FoldState,
  type HistoryEntry,
  type HistoryMark,
} from '../../src/db/fold/state.ts'
import type { InstanceKey, InstanceState, RefusedRecord } from '../../src/db/fold/state.ts'
import { readContent } from '../../src/db/fold/well-formed.ts'
import {
  type PlainEntry,
  type PlainJudge,
  plainName,
  type PlainRecord,
  type PlainState,
  type PlainValidator,
} from './fold-oracle.ts'

export function writerNamed(name: string): Identity {
  return name as Identity
}

/** An id of the form that Ed25519 logs have, from one byte. */
export function logNumbered(number: number): LogId {
  return peerIdFromBytes(new Uint8Array([0x00, 0x24, 0x08, 0x01, 0x12, 0x20, ...new Uint8Array(32).fill(number)]))
}

/** The record as the fold gets it, behind a record of time `previousTime`. */
export function foldRecordOf(record: PlainRecord, previousTime: bigint): FoldRecord {
  const content = readContent(bodyOf(record))
  const timestamps = content.kind === 'events' ? content.events.map(({ timestamp }) => timestamp) : []
  const time = timestamps.reduce((latest, each) => (each > latest ? each : latest), previousTime)
  const position = { time, logId: peerIdFromBytes(record.log), counter: record.counter, digest: record.digest }
  return { position, writer: writerNamed(record.writer), content }
}

/** The body as it stands in a record; `undefined` if nobody can read it. */
export function bodyOf({ body }: Pick<PlainRecord, 'body'>): Uint8Array | undefined {
  if (body === 'unreadable') return undefined
  if (body === 'garbage') return utf8('garbage')
  const events = body.map(({ patch, ...event }): EventData => {
    return { ...event, patch: patch === undefined ? undefined : utf8(patch), instanceId: event.id }
  })
  return encodeEvents(events)
}

/** A judge of the fold that asks a plain one. Counts its calls and requests. */
export class CountingJudge implements Judge {
  readonly #judge: PlainJudge
  calls = 0
  requests = 0

  constructor(judge: PlainJudge) {
    this.#judge = judge
  }

  async judge(requests: readonly JudgeRequest[]): Promise<Verdict[]> {
    this.calls += 1
    this.requests += requests.length
    return requests.map(({ validator, writer, event, instance }) => {
      const { type, collection, id, timestamp, patch } = event
      if (type === 'unknown') throw new Error('an event of unknown type was judged')
      const plain = { type, collection, id, timestamp, ...(patch === undefined ? {} : { patch: textOfUtf8(patch) }) }
      const text = instance === undefined ? undefined : textOfUtf8(instance)
      const refusal = this.#judge(validator, { writer, event: plain, instance: text })
      if (refusal === undefined) return { accepted: true }
      const { reason, message } = refusal
      if (reason !== 'denied' && reason !== 'threw' && reason !== 'limit') throw new Error(`no refusal: ${reason}`)
      return { accepted: false, reason, message }
    })
  }
}

/** Folded state in memory. Counts what is read. */
export class FoldWorld implements FoldState {
  readonly rows: Map<string, InstanceState> = new Map()
  readonly histories: Map<string, { readonly key: InstanceKey; readonly entries: HistoryEntry[] }> = new Map()
  readonly refusals: Map<string, RefusedRecord> = new Map()
  readonly validators: Map<string, PlainValidator[]> = new Map()
  readonly judge: CountingJudge
  readonly #records = new Map<string, FoldRecord>()
  recordsRead = 0
  historyReads = 0

  constructor(judge: PlainJudge = () => undefined) {
    this.judge = new CountingJudge(judge)
  }

  async instances(keys: readonly InstanceKey[]): Promise<(InstanceState | undefined)[]> {
    return keys.map((key) => this.rows.get(keyName(key)))
  }

  async historyAfter(key: InstanceKey, position: Position, limit: number): Promise<HistoryEntry[]> {
    this.historyReads += 1
    const entries = this.#entries(key)
    const start = lowerBound(entries, position)
    const first = entries[start]
    const skip = first !== undefined && comparePositions(first.position, position) === 0 ? 1 : 0
    return entries.slice(start + skip, start + skip + limit)
  }

  async historyBefore(key: InstanceKey, position: Position, limit: number): Promise<HistoryEntry[]> {
    this.historyReads += 1
    const end = lowerBound(this.#entries(key), position)
    return this.#entries(key)
      .slice(Math.max(0, end - limit), end)
      .toReversed()
  }

  async historyAt(keys: readonly InstanceKey[], position: Position): Promise<(HistoryEntry | undefined)[]> {
    this.historyReads += 1
    return keys.map((key) => {
      const entries = this.#entries(key)
      const entry = entries[lowerBound(entries, position)]
      return entry !== undefined && comparePositions(entry.position, position) === 0 ? entry : undefined
    })
  }

  async *collectionHistory(collection: string, since: bigint): AsyncGenerator<HistoryMark> {
    const inOrderOfRows = [...this.histories].toSorted(([a], [b]) => (a < b ? -1 : 1))
    for (const [, { key, entries }] of inOrderOfRows) {
      if (key.collection !== collection) continue
      for (const { kept: _, ...entry } of entries) if (entry.position.time >= since) yield { key, entry }
    }
  }

  async record(position: Position): Promise<FoldRecord> {
    this.recordsRead += 1
    const record = this.#records.get(positionName(position))
    if (record === undefined) throw new Error('a record was read that was not folded')
    return record
  }

  /** Folds records and stores the result. */
  fold(records: readonly FoldRecord[], rejudge: readonly Rejudge[] = []): Promise<FoldResult> {
    return this.work({ records, rejudge })
  }

  /** Does the work of a fold and stores the result. */
  async work(work: FoldWork): Promise<FoldResult> {
    const result = await fold(work, {
      state: this,
      judge: this.judge,
      validators: (collection) => (this.validators.get(collection) ?? []).map((entry) => ({ ...entry, judge: 'v1' })),
    })
    for (const record of work.records) this.#records.set(positionName(record.position), record)
    for (const record of work.withdrawn ?? []) this.#records.delete(positionName(record.position))
    this.#store(result)
    return result
  }

  #store(result: FoldResult): void {
    for (const { key, before, after } of result.instances) {
      if (before !== this.rows.get(keyName(key))) throw new Error('a change does not begin with the stored row')
      if (after === undefined) this.rows.delete(keyName(key))
      else this.rows.set(keyName(key), after)
    }
    for (const { key, position } of result.withdrawn) {
      const entries = this.#entries(key)
      const index = lowerBound(entries, position)
      if (comparePositions(entries[index]?.position ?? position, position) !== 0) throw new Error('nothing to withdraw')
      entries.splice(index, 1)
      if (entries.length === 0) this.histories.delete(keyName(key))
    }
    for (const { key, entry } of result.history) {
      const name = keyName(key)
      if (!this.histories.has(name)) this.histories.set(name, { key, entries: [] })
      const entries = this.#entries(key)
      const index = lowerBound(entries, entry.position)
      const there = entries[index]
      const replaces = there !== undefined && comparePositions(there.position, entry.position) === 0
      entries.splice(index, replaces ? 1 : 0, entry)
    }
    for (const refused of result.refusals.put) this.refusals.set(positionName(refused.position), refused)
    for (const position of result.refusals.clear) this.refusals.delete(positionName(position))
  }

  #entries(key: InstanceKey): HistoryEntry[] {
    return this.histories.get(keyName(key))?.entries ?? []
  }
}

/** The state in the words of the oracle. Checks the states that histories keep. */
export async function plainState(world: FoldWorld): Promise<PlainState> {
  const state: PlainState = { documents: new Map(), refusals: new Map(), history: new Map() }
  for (const [name, { document, creator }] of world.rows) {
    if (document !== undefined) state.documents.set(name, { text: textOfUtf8(document), creator: creator ?? 'nobody' })
  }
  for (const { position, reason, message, keys } of world.refusals.values()) {
    const text = reason < REASONS.denied ? '' : message
    state.refusals.set(recordName(position), { reason: reasonName(reason), message: text, keys: keys.map(keyName) })
  }
  for (const [name, { entries }] of world.histories) state.history.set(name, await plainHistory(entries, world))
  return state
}

async function plainHistory(entries: readonly HistoryEntry[], world: FoldWorld): Promise<PlainEntry[]> {
  const plain: PlainEntry[] = []
  let creator: string | undefined
  for (const { position, reason, hash, created, kept } of entries) {
    if (created) creator = (await world.record(position)).writer
    if (toHex(hash) === '0'.repeat(32)) creator = undefined
    plain.push({ record: recordName(position), reason: reasonName(reason), hash: toHex(hash), creator })
    if (kept === undefined) continue
    const right = equalBytes(documentHash(kept.document), hash) && kept.creator === creator
    if (!right) throw new Error(`the history keeps a wrong state at ${recordName(position)}`)
  }
  return plain
}

function recordName({ logId, counter }: Position): string {
  return plainName({ log: peerIdToBytes(logId), counter })
}

function positionName(position: Position): string {
  return `${recordName(position)}/${toHex(position.digest)}`
}

function reasonName(reason: number): string {
  return Object.entries(REASONS).find(([, code]) => code === reason)?.[0] ?? 'none'
}

/** Index of the first entry at or after a position. */
function lowerBound(entries: readonly HistoryEntry[], position: Position): number {
  let low = 0
  let high = entries.length
  while (low < high) {
    const middle = (low + high) >> 1
    const entry = entries[middle]
    if (entry !== undefined && comparePositions(entry.position, position) < 0) low = middle + 1
    else high = middle
  }
  return low
}

/** A digest that differs for each record of a test. */
export function digestOf(name: string): Uint8Array {
  return sha256(utf8(name))
}
