/** Random histories of a thread, and the ways in which they arrive. */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import type { FoldRecord, Rejudge } from '../../src/db/fold/fold.ts'
import type { PlainEvent, PlainJudge, PlainRecord, PlainValidator } from './fold-oracle.ts'
import { digestOf, foldRecordOf, logNumbered } from './fold-world.ts'

const LOGS = [0, 1, 2, 3]
const collections = fc.constantFrom('Dog', 'Cat-2')
const ids = fc.constantFrom('x', 'y', 'Dog/x')
/** Few, so that many records have the same time. */
const times = fc.bigInt(0n, 12n)
const value = fc.oneof(
  fc.constantFrom(null, 0, 1, 2, true, 'x', '\u00e9', '\ud800'),
  fc.constantFrom([], [null, 1], {}, { x: null }, { x: 1, y: [{ z: null }] }, { y: 2 }),
)
const members = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '1'), value, { maxKeys: 3 })

const goodEvent: fc.Arbitrary<PlainEvent> = fc
  .record({
    type: fc.constantFrom('create', 'create', 'save', 'save', 'save', 'delete'),
    collection: collections,
    id: ids,
    timestamp: times,
    members,
    named: fc.boolean(),
    indent: fc.constantFrom(0, 1),
  })
  .map(({ type, collection, id, timestamp, members: sent, named, indent }) => {
    const event = { type, collection, id, timestamp } as const
    if (type === 'delete') return event
    return { ...event, patch: JSON.stringify(named ? { _id: id, ...sent } : sent, undefined, indent) }
  })

const badEvent: fc.Arbitrary<PlainEvent> = fc.constantFrom(
  { type: 'save', collection: 'no name', id: 'x', timestamp: 3n, patch: '{"_id":"x"}' },
  { type: 'save', collection: 'Dog', id: '', timestamp: 3n, patch: '{}' },
  { type: 'save', collection: 'Dog', id: 'x', timestamp: 2n ** 63n, patch: '{"_id":"x"}' },
  { type: 'save', collection: 'Dog', id: 'x', timestamp: 3n, patch: '{"_id":"y"}' },
  { type: 'create', collection: 'Dog', id: 'x', timestamp: 3n, patch: '{"_id":"x","a":1e400}' },
  { type: 'create', collection: 'Dog', id: 'x', timestamp: 3n },
)

export const bodies: fc.Arbitrary<PlainRecord['body']> = fc.oneof(
  { weight: 20, arbitrary: fc.array(goodEvent, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.tuple(goodEvent, badEvent) },
  { weight: 1, arbitrary: fc.constantFrom<PlainRecord['body']>('unreadable', 'garbage', []) },
)

function records(maxLength: number): fc.Arbitrary<PlainRecord[]> {
  const sent = fc.record({ log: fc.constantFrom(...LOGS), writer: fc.constantFrom('ann', 'bob'), body: bodies })
  return fc.array(sent, { maxLength, size: 'max' }).map((list) => {
    const counters = LOGS.map(() => 0)
    return list.map(({ log, ...record }, index) => {
      const counter = (counters[log] ?? 0) + 1
      counters[log] = counter
      return { ...record, log: peerIdToBytes(logNumbered(log)), counter, digest: digestOf(`${index}`) }
    })
  })
}

interface Step {
  /** From which logs the next record is taken, all in one call. */
  readonly logs: readonly number[]
  /** A change of a validator list before that. */
  readonly update: { readonly collection: string; readonly since: bigint; readonly validator: string } | null
}

export interface Story {
  readonly records: readonly PlainRecord[]
  readonly steps: readonly Step[]
  /** Whether a change of a validator list and records come in one call. */
  readonly together: boolean
}

export function story(maxRecords: number): fc.Arbitrary<Story> {
  const validator = fc.constantFrom('', 'strict', 'lax', 'by-writer')
  const step = fc.record({
    logs: fc.array(fc.constantFrom(...LOGS), { minLength: 1, maxLength: 8 }),
    update: fc.option(fc.record({ collection: collections, since: times, validator }), { freq: 6 }),
  })
  const steps = fc.array(step, { maxLength: maxRecords, size: 'max' })
  return fc.record({ records: records(maxRecords), steps, together: fc.boolean() })
}

/** Verdicts that depend on all that a validator sees, in no way that could be guessed. */
export const storyJudge: PlainJudge = (validator, { writer, event, instance }) => {
  const { type, patch = '' } = event
  const seen = createHash('sha256')
    .update(JSON.stringify([validator, writer, type, patch, instance ?? null]))
    .digest()
  const chance = seen[0] ?? 0
  const accepted =
    validator === 'by-writer' ? writer === 'ann' || instance === undefined : chance > (validator === 'lax' ? 40 : 130)
  if (accepted) return undefined
  const reason = ['denied', 'threw', 'limit'][(seen[1] ?? 0) % 3] ?? 'denied'
  return { reason, message: seen.toString('hex', 2, 6) }
}

/** What a story is told to. */
export interface Listener {
  readonly validators: Map<string, PlainValidator[]>
  fold(records: readonly FoldRecord[], rejudge?: readonly Rejudge[]): Promise<unknown>
  /** After each call, with all records that arrived. */
  folded?(arrived: readonly PlainRecord[]): Promise<void>
}

/** Lets the records arrive as the steps say, and what is left at the end. */
export async function tell(told: Story, listener: Listener): Promise<void> {
  const arrived: PlainRecord[] = []
  const queues = LOGS.map((log) => {
    const id = Buffer.from(peerIdToBytes(logNumbered(log)))
    return { waiting: told.records.filter((record) => id.equals(record.log)), time: 0n }
  })

  function take(log: number): FoldRecord[] {
    const queue = queues[log]
    const record = queue?.waiting.shift()
    if (queue === undefined || record === undefined) return []
    arrived.push(record)
    const folded = foldRecordOf(record, queue.time)
    queue.time = folded.position.time
    return [folded]
  }

  for (const { logs, update } of told.steps) {
    const rejudge = update === null ? [] : [change(listener.validators, update)]
    if (!told.together) await listener.fold([], rejudge.splice(0))
    await listener.fold(logs.flatMap(take), rejudge)
    await listener.folded?.(arrived)
  }
  const left = LOGS.flatMap((log) => (queues[log]?.waiting ?? []).map(() => log))
  await listener.fold(left.flatMap(take))
  await listener.folded?.(arrived)
}

/** Appends to a validator list. The first entry of a list holds from the beginning. */
function change(validators: Listener['validators'], update: NonNullable<Step['update']>): Rejudge {
  const { collection, validator } = update
  const list = validators.get(collection) ?? []
  const since = list.length === 0 ? 0n : update.since
  validators.set(collection, [...list, { since, validator }])
  return { collection, since }
}
