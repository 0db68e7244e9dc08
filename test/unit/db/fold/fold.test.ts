import { describe, expect, test } from 'vitest'
import { textOfUtf8 } from '../../../../src/core/bytes.ts'
import { hasCode, ThreadsError } from '../../../../src/core/errors.ts'
import { peerIdToBytes } from '../../../../src/core/peer-id.ts'
import { type FoldRecord, fold } from '../../../../src/db/fold/fold.ts'
import { KEEP_EVERY } from '../../../../src/db/fold/state.ts'
import type { PlainEvent, PlainJudge, PlainRecord } from '../../../support/fold-oracle.ts'
import { digestOf, FoldWorld, foldRecordOf, logNumbered } from '../../../support/fold-world.ts'

let made = 0

/** A record of its own log, so that records of any times can come in any order. */
function recordAt(time: number, events: readonly Partial<PlainEvent>[], writer = 'ann'): FoldRecord {
  made += 1
  const body: PlainRecord['body'] = events.map((event) => {
    return { type: 'save', collection: 'Dog', id: 'x', timestamp: BigInt(time), ...event }
  })
  const log = peerIdToBytes(logNumbered(made % 256))
  return foldRecordOf({ log, counter: made, writer, digest: digestOf(`${made}`), body }, 0n)
}

function save(id: string, members: object): Partial<PlainEvent> {
  return { id, patch: JSON.stringify({ _id: id, ...members }) }
}

function documentOf(world: FoldWorld, name: string): string | undefined {
  const document = world.rows.get(name)?.document
  return document === undefined ? undefined : textOfUtf8(document)
}

/** Refuses a save if the document has a member `locked`. */
const unlessLocked: PlainJudge = (_, { instance }) =>
  instance?.includes('"locked":true') ? { reason: 'denied', message: 'it is locked' } : undefined

function lockable(): FoldWorld {
  const world = new FoldWorld(unlessLocked)
  world.validators.set('Dog', [{ since: 0n, validator: 'unless locked' }])
  return world
}

describe('records that come in order', () => {
  test('read no history and no records', async () => {
    const world = new FoldWorld()
    for (let time = 1; time <= 100; time++) await world.fold([recordAt(time, [save('x', { time })])])
    expect([world.historyReads, world.recordsRead]).toEqual([0, 0])
  })

  test('keep the state in every 32nd entry of a history', async () => {
    const world = new FoldWorld()
    for (let time = 1; time <= 3 * KEEP_EVERY; time++) await world.fold([recordAt(time, [save('x', { time })])])
    const kept = world.histories.get('Dog/x')?.entries.map(({ kept: state }) => state !== undefined) ?? []
    expect(kept.flatMap((each, index) => (each ? [index + 1] : []))).toEqual([32, 64, 96])
  })

  test('that touch different instances are judged in one call', async () => {
    const world = lockable()
    const records = Array.from({ length: 500 }, (_, index) => recordAt(index, [save(`${index}`, {})]))
    await world.fold(records)
    expect([world.judge.calls, world.judge.requests]).toEqual([1, 500])
  })

  test('that touch the same instance are each judged by what the one before left', async () => {
    const world = lockable()
    await world.fold([
      recordAt(1, [save('x', { locked: true })]),
      recordAt(2, [save('x', { a: 1 })]),
      recordAt(3, [save('y', { a: 1 })]),
    ])
    expect(documentOf(world, 'Dog/x')).toBe('{"_id":"x","locked":true}')
    expect([...world.refusals.values()].map(({ message }) => message)).toEqual(['it is locked'])
    expect(world.judge.calls).toBe(2)
  })

  test('change the row of an instance even where they have no effect', async () => {
    const world = new FoldWorld()
    await world.fold([recordAt(1, [{ type: 'delete' }])])
    expect(world.rows.get('Dog/x')).toMatchObject({ document: undefined, creator: undefined, position: { time: 1n } })
  })
})

describe('a record that comes late', () => {
  test('leads to later records being visited only until the state is the stored one', async () => {
    const world = new FoldWorld()
    for (let time = 1; time <= 100; time++) await world.fold([recordAt(10 * time, [save('x', { a: time })])])
    const { history } = await world.fold([recordAt(505, [save('x', { a: 'late' })])])
    // The first later record is read. What leads up to the late one begins at the nearest kept state.
    expect(world.recordsRead).toBe(50 - KEEP_EVERY + 1)
    expect(history.map(({ entry }) => entry.position.time)).toEqual([505n])
    expect(documentOf(world, 'Dog/x')).toBe('{"_id":"x","a":100}')
  })

  test('is merged below all that follows', async () => {
    const world = new FoldWorld()
    for (let time = 1; time <= 100; time++)
      await world.fold([recordAt(10 * time, [save('x', { [`a${time % 3}`]: 1 })])])
    const result = await world.fold([recordAt(5, [save('x', { first: true })])])
    expect(documentOf(world, 'Dog/x')).toContain('"first":true')
    expect(result.history).toHaveLength(101)
    expect(world.recordsRead).toBe(100)
  })

  test('touches no instance but its own, without validators', async () => {
    const world = new FoldWorld()
    await world.fold([recordAt(10, [save('x', {})]), recordAt(20, [save('x', { a: 1 }), save('y', { a: 1 })])])
    const result = await world.fold([recordAt(5, [save('x', { b: 1 })])])
    expect(result.instances.map(({ key }) => key.id)).toEqual(['x'])
  })

  test('can turn verdicts, and with them the other instances of the records concerned', async () => {
    const world = lockable()
    await world.fold([recordAt(10, [save('x', { a: 1 }), save('y', { a: 1 })]), recordAt(20, [save('y', { b: 1 })])])
    const late = await world.fold([recordAt(5, [save('x', { locked: true })])])
    expect(late.refusals.put.map(({ position }) => position.time)).toEqual([10n])
    expect(documentOf(world, 'Dog/y')).toBe('{"_id":"y","b":1}')

    const later = await world.fold([recordAt(4, [save('x', { locked: true })]), recordAt(6, [{ type: 'delete' }])])
    // The delete meets a locked instance too.
    expect(later.refusals.put.map(({ position }) => position.time)).toEqual([5n, 6n])
    expect(later.refusals.clear).toEqual([])
  })

  test('can make an accepted record of a refused one', async () => {
    const world = new FoldWorld((validator, { instance }) =>
      instance === undefined ? { reason: 'denied', message: validator } : undefined,
    )
    const cat = { collection: 'Cat', id: 'c', patch: '{"_id":"c"}' }
    world.validators.set('Cat', [
      { since: 0n, validator: '' },
      { since: 10n, validator: 'must exist' },
    ])
    await world.fold([recordAt(20, [cat, save('x', {})])])
    expect(world.refusals.size).toBe(1)
    const result = await world.fold([recordAt(5, [cat])])
    expect(result.refusals.clear.map(({ time }) => time)).toEqual([20n])
    expect(documentOf(world, 'Dog/x')).toBe('{"_id":"x"}')
  })

  test('finds its state far below where many others without effect came late', async () => {
    const world = new FoldWorld()
    await world.fold([recordAt(1, [save('x', { a: 1 })]), recordAt(1000, [save('x', { b: 1 })])])
    // Each goes between the first record and the one before it, so that none is far from the first.
    for (let time = 900; time > 900 - 3 * KEEP_EVERY; time--) await world.fold([recordAt(time, [{ patch: '{"a":1}' }])])
    await world.fold([recordAt(950, [{ patch: '{"c":1}' }])])
    expect(documentOf(world, 'Dog/x')).toBe('{"_id":"x","a":1,"c":1,"b":1}')
  })
})

describe('a change of validators', () => {
  test('judges anew what is at or after its time, in few calls, and nothing else', async () => {
    const world = new FoldWorld((_, { event }) =>
      event.id === '7' ? { reason: 'limit', message: 'seven' } : undefined,
    )
    const records = Array.from({ length: 100 }, (_, index) => recordAt(index, [save(`${index % 10}`, { index })]))
    await world.fold(records)
    world.validators.set('Dog', [
      { since: 0n, validator: '' },
      { since: 50n, validator: 'not seven' },
    ])
    const result = await world.fold([], [{ collection: 'Dog', since: 50n }])
    expect(result.refusals.put.map(({ position }) => Number(position.time))).toEqual([57, 67, 77, 87, 97])
    expect(result.instances.map(({ key }) => key.id)).toEqual(['7'])
    expect(documentOf(world, 'Dog/7')).toBe('{"_id":"7","index":47}')
    expect([world.judge.requests, world.judge.calls]).toEqual([50, 5])
  })
})

test('the first validator of a list holds from the beginning', async () => {
  const world = new FoldWorld(() => ({ reason: 'threw', message: 'no' }))
  world.validators.set('Dog', [{ since: 100n, validator: 'nothing' }])
  await world.fold([recordAt(1, [save('x', {})])])
  expect([...world.refusals.values()].map(({ message }) => message)).toEqual(['no'])
})

describe('a record that is withdrawn', () => {
  test('leaves nothing behind, where it was all there was', async () => {
    const world = lockable()
    const only = recordAt(1, [save('x', { a: 1 })])
    await world.fold([only])
    const result = await world.work({ records: [], withdrawn: [only] })
    expect(result.instances.map(({ after }) => after)).toEqual([undefined])
    expect([world.rows.size, world.histories.size]).toEqual([0, 0])
  })

  test('is as if it had never been to the records after it, which are judged again', async () => {
    const world = lockable()
    const first = recordAt(1, [save('x', { locked: true })])
    await world.fold([first, recordAt(2, [save('x', { a: 1 }), save('y', {})]), recordAt(3, [save('z', {})])])
    expect(world.refusals.size).toBe(1)
    const result = await world.work({ records: [recordAt(0, [save('x', { b: 1 })])], withdrawn: [first] })
    expect(documentOf(world, 'Dog/x')).toBe('{"_id":"x","b":1,"a":1}')
    expect(documentOf(world, 'Dog/y')).toBe('{"_id":"y"}')
    expect(world.refusals.size).toBe(0)
    expect(result.instances.map(({ key }) => key.id)).toEqual(['x', 'y'])
  })

  test('takes its refusal with it', async () => {
    const world = lockable()
    const refused = recordAt(2, [save('x', { a: 1 })])
    await world.fold([recordAt(1, [save('x', { locked: true })]), refused, recordAt(3, [{ id: '' }])])
    expect(world.refusals.size).toBe(2)
    await world.work({ records: [], withdrawn: [refused] })
    expect([...world.refusals.values()].map(({ message }) => message)).not.toContain('it is locked')
    expect(world.refusals.size).toBe(1)
  })
})

test('a fold that could not judge fails as a whole', async () => {
  const world = lockable()
  const down = new ThreadsError('SANDBOX_DOWN', 'the sandbox does not answer')
  const failing = fold(
    { records: [recordAt(1, [save('x', {})])] },
    {
      state: world,
      judge: { judge: () => Promise.reject(down) },
      validators: () => [{ since: 0n, validator: 'any', judge: 'v1' }],
    },
  )
  await expect(failing).rejects.toSatisfy((error) => hasCode(error, 'SANDBOX_DOWN'))
})

test('a long fold pauses', async () => {
  const world = new FoldWorld()
  let pauses = 0
  const records = Array.from({ length: 1000 }, (_, index) => recordAt(index, [save(`${index}`, {})]))
  await fold(
    { records },
    {
      state: world,
      judge: world.judge,
      validators: () => [],
      pause: async () => {
        pauses += 1
      },
    },
  )
  expect(pauses).toBe(10)
})
