import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { peerIdToBytes } from '../../src/core/peer-id.ts'
import type { FoldRecord } from '../../src/db/fold/fold.ts'
import { oracle, type PlainEvent, type PlainJudge, type PlainRecord } from '../support/fold-oracle.ts'
import { digestOf, FoldWorld, foldRecordOf, logNumbered, plainState } from '../support/fold-world.ts'

const value = fc.oneof(
  fc.constantFrom(null, 0, 1, 2, true, 'x', '\u00e9', '\ud800'),
  fc.constantFrom([], [null, 1], {}, { x: null }, { x: 1, y: [{ z: null }] }, { y: 2 }),
)
const members = fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor', '1'), value, { maxKeys: 3 })
const times = fc.bigInt(0n, 12n)
const collections = fc.constantFrom('Dog', 'Cat-2')
const ids = fc.constantFrom('x', 'y', 'Dog/x')

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

const body = fc.oneof(
  { weight: 20, arbitrary: fc.array(goodEvent, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.tuple(goodEvent, badEvent) },
  { weight: 1, arbitrary: fc.constantFrom<PlainRecord['body']>('unreadable', 'garbage', []) },
)

const history = (maxLength: number): fc.Arbitrary<PlainRecord[]> =>
  fc
    .array(fc.record({ log: fc.nat(3), writer: fc.constantFrom('ann', 'bob'), body }), { maxLength, size: 'max' })
    .map((records) => {
      const counters = [0, 0, 0, 0]
      return records.map(({ log, writer, body: sent }, index) => {
        const counter = (counters[log] ?? 0) + 1
        counters[log] = counter
        return { log: peerIdToBytes(logNumbered(log)), counter, writer, body: sent, digest: digestOf(`${index}`) }
      })
    })

const VALIDATORS = ['', 'strict', 'lax', 'by-writer'] as const

/** Takes `size` records from the logs, or changes a validator list first. */
const step = fc.record({
  logs: fc.array(fc.nat(3), { minLength: 1, maxLength: 8 }),
  update: fc.option(fc.record({ collection: collections, since: times, validator: fc.constantFrom(...VALIDATORS) }), {
    freq: 6,
  }),
})

/** Verdicts that depend on all a validator sees, in no way that could be guessed. */
const judge: PlainJudge = (validator, { writer, event, instance }) => {
  const { type, patch = '' } = event
  const seen = createHash('sha256')
    .update(JSON.stringify([validator, writer, type, patch, instance ?? null]))
    .digest()
  const chance = seen[0] ?? 0
  if (
    validator === 'by-writer' ? writer === 'ann' || instance === undefined : chance > (validator === 'lax' ? 40 : 130)
  ) {
    return undefined
  }
  const reason = ['denied', 'threw', 'limit'][(seen[1] ?? 0) % 3] ?? 'denied'
  return { reason, message: seen.toString('hex', 2, 6) }
}

interface Story {
  readonly records: readonly PlainRecord[]
  readonly steps: readonly { logs: number[]; update: { collection: string; since: bigint; validator: string } | null }[]
  /** Whether a change of a validator list and records come in one call. */
  readonly together: boolean
}

/** Lets the records arrive as the steps say, the rest at the end, and compares with the oracle. */
async function tell({ records, steps, together }: Story, everyStep: boolean): Promise<void> {
  const world = new FoldWorld(judge)
  const queues = [0, 1, 2, 3].map((log) => {
    const id = Buffer.from(peerIdToBytes(logNumbered(log)))
    return { waiting: records.filter((record) => id.equals(record.log)), time: 0n }
  })
  const arrived: PlainRecord[] = []

  function take(log: number): FoldRecord | undefined {
    const queue = queues[log]
    const record = queue?.waiting.shift()
    if (queue === undefined || record === undefined) return undefined
    arrived.push(record)
    const folded = foldRecordOf(record, queue.time)
    queue.time = folded.position.time
    return folded
  }

  async function compare(): Promise<void> {
    expect(await plainState(world)).toEqual(oracle(arrived, world.validators, judge))
  }

  for (const { logs, update } of steps) {
    const rejudge = []
    if (update !== null) {
      const { collection, validator } = update
      const list = world.validators.get(collection) ?? []
      const since = list.length === 0 ? 0n : update.since
      world.validators.set(collection, [...list, { since, validator }])
      rejudge.push({ collection, since })
      if (!together) await world.fold([], rejudge.splice(0))
    }
    const taken = logs.map(take).filter((record) => record !== undefined)
    await world.fold(taken, rejudge)
    if (everyStep) await compare()
  }
  await world.fold(
    [0, 1, 2, 3].flatMap((log) =>
      Array.from(queues[log]?.waiting ?? [], () => take(log)).filter((record) => record !== undefined),
    ),
  )
  await compare()
}

const story = (maxRecords: number): fc.Arbitrary<Story> =>
  fc.record({
    records: history(maxRecords),
    steps: fc.array(step, { maxLength: maxRecords, size: 'max' }),
    together: fc.boolean(),
  })

test('short histories end in the state of the oracle after every call, however they arrive', async () => {
  await fc.assert(
    fc.asyncProperty(story(12), (told) => tell(told, true)),
    { numRuns: 1500 },
  )
})

test('long histories end in the state of the oracle, however they arrive', async () => {
  await fc.assert(
    fc.asyncProperty(story(200), (told) => tell(told, false)),
    { numRuns: 60 },
  )
}, 120_000)
