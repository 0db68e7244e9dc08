/**
 * Records as others may make them, good and bad, and what go-threads does wrongly with them. Titles begin with the number
 * of the fault in docs/compatibility.md.
 */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordBlocks } from '../../../src/core/record.ts'
import { newThreadKey } from '../../../src/core/thread-key.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import type { Collection, CollectionConfig, Database } from '../../../src/db/index.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, found, idsOf, joinNotes, NOTE } from '../../support/notes.ts'

const TIMEOUT = { timeout: 15_000 }
const HOUR_AGO = Date.now() - 3_600_000

interface Receiver {
  readonly database: Database
  readonly notes: Collection
  /** Hands over a record of a log. */
  add(log: ForeignLog, blocks: RecordBlocks): Promise<void>
  counterOf(log: ForeignLog): Promise<number | undefined>
}

let one: TestHost
let two: TestHost

beforeAll(async () => {
  ;[one, two] = await Promise.all([startHost(), startHost()])
})

afterAll(async () => {
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

/** The same database on hosts that do not know each other, with logs that are written elsewhere. */
async function receivers<Hosts extends readonly TestHost[]>(
  hosts: Hosts,
  { logs: count = 1, ...config }: Partial<CollectionConfig> & { logs?: number } = {},
): Promise<{ receivers: { [I in keyof Hosts]: Receiver }; logs: ForeignLog[] }> {
  const [id, key] = [newThreadId('raw', randomBytes), newThreadKey(randomBytes)]
  const logs = Array.from({ length: count }, () => new ForeignLog(key))
  const made = hosts.map(async (host): Promise<Receiver> => {
    const database = await host.databases.create(id, { key, collections: [{ ...NOTE, ...config }] })
    for (const log of logs) await log.introduce(host, database)
    return {
      database,
      notes: database.collection('Note'),
      add: (log, blocks) => host.net.addRecord(id, log.id, blocks),
      async counterOf(log) {
        const info = await host.net.getThread(id)
        return info.logs.find((each) => each.id === log.id)?.head.counter
      },
    }
  })
  return { receivers: (await Promise.all(made)) as { [I in keyof Hosts]: Receiver }, logs }
}

async function receiver(config: Partial<CollectionConfig> = {}): Promise<{ here: Receiver; log: ForeignLog }> {
  const {
    receivers: [here],
    logs: [log],
  } = await receivers([one] as const, config)
  if (log === undefined) throw new Error('there is no log')
  return { here, log }
}

const created = (id: string, members: object = {}): { type: 'create'; id: string; patch: string } => ({
  type: 'create',
  id,
  patch: JSON.stringify({ _id: id, ...members }),
})

describe('a record', () => {
  it('8.1-6: that creates what exists and deletes what does not has its other effects', async () => {
    const { here, log } = await receiver()
    await here.notes.create([bytesOf({ _id: 'a', name: 'here' })])
    const events = [created('a', { n: 1 }), { type: 'delete', id: 'unknown' } as const, created('b')]
    await here.add(log, log.record(events))
    expect(await found(here.notes)).toEqual([{ _id: 'a', name: 'here', n: 1 }, { _id: 'b' }])
  })

  it('8.1-7: has its place by its time, whatever comes first', async () => {
    const {
      receivers: [a, b],
      logs: [x, y],
    } = await receivers([one, two] as const, { logs: 2 })
    if (x === undefined || y === undefined) throw new Error('there are no logs')
    const made = [
      [x, x.record([{ ...created('a', { name: 'x' }), atMs: HOUR_AGO }])],
      [y, y.record([{ type: 'save', id: 'a', patch: '{"name":"y"}', atMs: HOUR_AGO + 2_000 }])],
      [x, x.record([{ type: 'save', id: 'a', patch: '{"name":"z"}', atMs: HOUR_AGO + 1_000 }])],
    ] as const
    for (const [log, blocks] of made) await a.add(log, blocks)
    for (const [log, blocks] of [made[1], made[0], made[2]] as const) await b.add(log, blocks)
    expect(await found(a.notes)).toEqual([{ _id: 'a', name: 'y' }])
    expect(await found(b.notes)).toEqual(await found(a.notes))
  })

  it('8.1-8: that saves a deleted document without its id brings no fragment of it back', async () => {
    const { here, log } = await receiver()
    await here.notes.create([bytesOf({ _id: 'a', name: 'x' })])
    await here.notes.delete(['a'])
    await here.add(log, log.record([{ type: 'save', id: 'a', patch: '{"n":1}', atMs: Date.now() + 1_000 }]))
    expect(await found(here.notes)).toEqual([])
    await here.add(log, log.record([{ type: 'save', id: 'a', patch: '{"_id":"a","n":1}', atMs: Date.now() + 1_000 }]))
    expect(await found(here.notes)).toEqual([{ _id: 'a', n: 1 }])
  })

  it('8.1-9: is judged by the documents of its own time, and one that is refused stops nothing', async () => {
    const writeValidator = "return instance === undefined || instance.name !== 'locked' || 'locked'"
    const {
      receivers: [a, b],
      logs: [x, y],
    } = await receivers([one, two] as const, { logs: 2, writeValidator })
    if (x === undefined || y === undefined) throw new Error('there are no logs')
    const start = x.record([{ ...created('a'), atMs: HOUR_AGO }])
    const early = y.record([{ type: 'save', id: 'a', patch: '{"n":1}', atMs: HOUR_AGO + 1_000 }])
    const lock = x.record([{ type: 'save', id: 'a', patch: '{"name":"locked"}', atMs: HOUR_AGO + 2_000 }])
    const late = y.record([{ type: 'save', id: 'a', patch: '{"n":2}', atMs: HOUR_AGO + 3_000 }])
    const other = y.record([{ ...created('b'), atMs: HOUR_AGO + 4_000 }])
    for (const [log, blocks] of [
      [x, start],
      [x, lock],
      [y, early],
      [y, late],
      [y, other],
    ] as const)
      await a.add(log, blocks)
    for (const [log, blocks] of [
      [x, start],
      [y, early],
      [y, late],
      [y, other],
      [x, lock],
    ] as const)
      await b.add(log, blocks)
    for (const { notes, database, counterOf } of [a, b]) {
      expect(await found(notes)).toEqual([{ _id: 'a', name: 'locked', n: 1 }, { _id: 'b' }])
      expect(await database.refusals()).toMatchObject([{ logId: y.id, counter: 2 }])
      expect(await counterOf(y)).toBe(3)
    }
  })

  it('8.1-10: that has no effect here is passed on to others all the same', async () => {
    const { here, log } = await receiver({ writeValidator: "return event._id !== 'refused'" })
    for (const id of ['a', 'refused', 'b']) await here.add(log, log.record([created(id)]))
    expect(await idsOf(here.notes)).toEqual(['a', 'b'])
    const other = await joinNotes(two, here.database)
    await expect.poll(() => idsOf(other.notes), TIMEOUT).toEqual(['a', 'b', 'refused'])
  })

  it('8.2-1: is taken after none but the one that it names, which vouches for the first of a log', async () => {
    const { here, log } = await receiver()
    const { blocks: another } = log.fork([created('another')])
    log.record([created('first')])
    await here.add(log, another)
    await expect(here.add(log, log.record([created('second')]))).rejects.toMatchObject({ code: 'BROKEN_CHAIN' })
    expect(await idsOf(here.notes)).toEqual(['another'])
  })

  it.each(['eventNode', 'headerNode', 'bodyNode'] as const)(
    '8.2-2: with the %s of another record is refused',
    async (node) => {
      const { here, log } = await receiver()
      const first = log.record([created('a')])
      const second = log.record([created('b')])
      await expect(here.add(log, { ...first, [node]: second[node] })).rejects.toMatchObject({ code: 'INVALID_RECORD' })
      await here.add(log, first)
      expect(await idsOf(here.notes)).toEqual(['a'])
    },
  )

  it.each([
    ['no JSON', '{"_id":"bad"'],
    ['no object', '["bad"]'],
    ['another id', '{"_id":"other"}'],
    ['numbers out of range', '{"_id":"bad","n":1e400}'],
  ])('8.2-22: whose document is %s is refused as a whole, and queries go on', async (_, patch) => {
    const { here, log } = await receiver()
    await here.add(log, log.record([created('a'), { type: 'create', id: 'bad', patch }]))
    await here.add(log, log.record([created('b', { n: 2 })]))
    expect(await idsOf(here.notes)).toEqual(['b'])
    expect(await idsOf(here.notes, { ands: [{ path: 'n', operation: 'gt', value: 1 }] })).toEqual(['b'])
    expect(await here.database.refusals()).toMatchObject([{ logId: log.id, counter: 1 }])
  })
})

describe('a log', () => {
  it('8.1-19: keeps its order where its writer gave records no time', async () => {
    const { here, log } = await receiver()
    for (const n of [1, 2, 3]) {
      await here.add(log, log.record([{ type: 'save', id: 'a', patch: `{"_id":"a","n":${n}}`, atMs: 0 }]))
    }
    expect(await found(here.notes)).toEqual([{ _id: 'a', n: 3 }])
  })

  it('8.3-19: that its owner forked goes on with the branch that came first', async () => {
    const { here, log } = await receiver()
    await here.add(log, log.record([created('a')]))
    const { blocks: branch } = log.fork([created('branch')])
    const next = log.record([created('b')])
    await here.add(log, next)
    await expect(here.add(log, branch)).rejects.toMatchObject({ code: 'BROKEN_CHAIN' })
    await here.add(log, log.record([created('c')]))
    expect(await here.counterOf(log)).toBe(3)
    expect(await idsOf(here.notes)).toEqual(['a', 'b', 'c'])
  })
})
