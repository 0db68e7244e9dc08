/**
 * What the fold must make of a set of records, in a few plain lines: sort all of them, then apply the rules to one after
 * the other. Shares no code with src/db on purpose, so that a mistake there is not repeated here.
 */
import { createHash } from 'node:crypto'

export interface PlainEvent {
  readonly type: 'create' | 'save' | 'delete'
  readonly collection: string
  readonly id: string
  readonly timestamp: bigint
  /** JSON as it is sent. */
  readonly patch?: string
}

export interface PlainRecord {
  /** Bytes of the log id. */
  readonly log: Uint8Array
  readonly counter: number
  /** Digest in the CID of the record. */
  readonly digest: Uint8Array
  /** Names of the record and of the one before it, where a log may have two records after one. Default: `plainName`. */
  readonly name?: string
  readonly previous?: string
  readonly writer: string
  readonly body: readonly PlainEvent[] | 'unreadable' | 'garbage'
  /** An operator passed it over: it has its place, and no effect. */
  readonly skipped?: boolean
}

export interface PlainValidator {
  readonly since: bigint
  readonly validator: string
}

/** What a validator is asked, and why it refuses; `undefined` if it does not. */
export type PlainJudge = (
  validator: string,
  question: { readonly writer: string; readonly event: PlainEvent; readonly instance: string | undefined },
) => { readonly reason: string; readonly message: string } | undefined

/** What a record did to an instance. */
export interface PlainEntry {
  readonly record: string
  readonly reason: string
  /** Of the document after it, in hex; zeros for none. */
  readonly hash: string
  readonly creator: string | undefined
}

/** All maps by name: `collection/id` of instances, `plainName` of records. */
export interface PlainState {
  readonly documents: Map<string, { readonly text: string; readonly creator: string }>
  readonly refusals: Map<string, { readonly reason: string; readonly message: string; readonly keys: string[] }>
  readonly history: Map<string, PlainEntry[]>
}

export function plainName(record: Pick<PlainRecord, 'log' | 'counter' | 'name'>): string {
  return record.name ?? `${Buffer.from(record.log).toString('hex')}/${record.counter}`
}

/** `records` in any order, complete from the first of each log. */
export function oracle(
  records: readonly PlainRecord[],
  validators: ReadonlyMap<string, readonly PlainValidator[]>,
  judge: PlainJudge,
): PlainState {
  const state: PlainState = { documents: new Map(), refusals: new Map(), history: new Map() }
  for (const placed of inOrder(records)) {
    const { record, time, events, fault } = placed
    const keys = [...new Set(events.map((event) => `${event.collection}/${event.id}`))]
    if (record.skipped === true) {
      state.refusals.set(plainName(record), {
        reason: 'skipped',
        message: 'skipped by the operator of this host',
        keys,
      })
      continue
    }
    const refusal = fault === undefined ? judged(placed) : { reason: fault, message: '' }
    if (refusal !== undefined) state.refusals.set(plainName(record), { ...refusal, keys })
    else for (const event of events) apply(event, record.writer)
    for (const key of keys) {
      const reason = refusal?.reason ?? 'accepted'
      const creator = state.documents.get(key)?.creator
      const entry = { record: plainName(record), reason, hash: hashOf(key), creator }
      state.history.set(key, [...(state.history.get(key) ?? []), entry])
    }

    function judged({ record: { writer } }: Placed): ReturnType<PlainJudge> {
      for (const event of events) {
        const list = validators.get(event.collection) ?? []
        const inForce = list.findLast(({ since }) => since <= time) ?? list[0]
        const instance = state.documents.get(`${event.collection}/${event.id}`)?.text
        const answer = inForce && inForce.validator !== '' && judge(inForce.validator, { writer, event, instance })
        if (answer) return answer
      }
      return undefined
    }
  }
  return state

  function apply({ type, collection, id, patch = '' }: PlainEvent, writer: string): void {
    const key = `${collection}/${id}`
    const now = state.documents.get(key)
    if (type === 'delete') {
      state.documents.delete(key)
      return
    }
    const sent = JSON.parse(patch)
    const named = Object.hasOwn(sent, '_id')
    if (now === undefined && type === 'save' && !named) return
    let text = patch
    if (now !== undefined) text = JSON.stringify(merge(JSON.parse(now.text), sent))
    else if (type === 'save') text = JSON.stringify(merge({}, sent))
    else if (!named) text = JSON.stringify({ ...sent, _id: id })
    if (Buffer.byteLength(text) > 4 * 1024 * 1024) return
    state.documents.set(key, { text, creator: now?.creator ?? writer })
  }

  function hashOf(key: string): string {
    const text = state.documents.get(key)?.text
    return text === undefined ? '0'.repeat(32) : createHash('sha256').update(text).digest('hex').slice(0, 32)
  }
}

interface Placed {
  readonly record: PlainRecord
  readonly time: bigint
  readonly events: readonly PlainEvent[]
  readonly fault: string | undefined
}

function inOrder(records: readonly PlainRecord[]): Placed[] {
  const times = new Map<string, bigint>()
  const placed: Placed[] = []
  for (const record of records.toSorted((a, b) => a.counter - b.counter)) {
    const previous = record.previous ?? plainName({ log: record.log, counter: record.counter - 1 })
    const fault = faultOf(record)
    const events = fault === undefined && typeof record.body !== 'string' ? record.body : []
    const time = [times.get(previous) ?? 0n, ...events.map(({ timestamp }) => timestamp)].reduce((a, b) =>
      a > b ? a : b,
    )
    times.set(plainName(record), time)
    placed.push({ record, time, events, fault })
  }
  return placed.toSorted(
    (a, b) =>
      Number(a.time - b.time) ||
      Buffer.compare(a.record.log, b.record.log) ||
      a.record.counter - b.record.counter ||
      Buffer.compare(a.record.digest, b.record.digest),
  )
}

/** Why the record is not well formed. */
function faultOf({ body }: PlainRecord): string | undefined {
  if (body === 'unreadable') return 'unreadable'
  if (body === 'garbage') return 'undecodable'
  if (body.length > 10_000) return 'tooManyEvents'
  for (const { collection, id, timestamp, type, patch } of body) {
    if (!/^[A-Za-z0-9]+(-[A-Za-z0-9]+)*$/.test(collection) || collection.length > 256) return 'badCollectionName'
    if (id === '' || Buffer.byteLength(id) > 512) return 'badId'
    if (timestamp >= 2n ** 63n) return 'badTimestamp'
    if (type !== 'delete' && !goodPatch(patch, id)) return 'badPatch'
  }
  return undefined
}

function goodPatch(patch: string | undefined, id: string): boolean {
  try {
    const value = JSON.parse(patch ?? '')
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    return depthOf(value) <= 64 && (!Object.hasOwn(value, '_id') || value['_id'] === id)
  } catch {
    return false
  }
}

/** Infinity for a value with a number out of range. */
function depthOf(value: unknown): number {
  if (typeof value === 'number') return Number.isFinite(value) ? 0 : Number.POSITIVE_INFINITY
  if (typeof value !== 'object' || value === null) return 0
  return 1 + Math.max(0, ...Object.values(value).map(depthOf))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** RFC 7396, as in its section 2. */
function merge(target: unknown, patch: unknown): unknown {
  if (!isObject(patch)) return patch
  const members = new Map<string, unknown>(isObject(target) ? Object.entries(target) : [])
  for (const [name, value] of Object.entries(patch)) {
    if (value === null) members.delete(name)
    else members.set(name, merge(members.get(name), value))
  }
  return Object.fromEntries(members)
}
