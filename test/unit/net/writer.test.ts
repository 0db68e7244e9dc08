import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { ThreadsError } from '../../../src/core/errors.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import { recordRowKey } from '../../../src/net/rows.ts'
import type { ThreadEntry } from '../../../src/net/thread-entry.ts'
import { Writer } from '../../../src/net/writer.ts'
import { LogMaker } from '../../support/log-maker.ts'
import { type NetCore, NotingApp, openCore } from '../../support/net-core.ts'

let core: NetCore
let log: LogMaker
let id: ThreadId
let entry: ThreadEntry
let app: NotingApp

beforeEach(async () => {
  core = await openCore()
  log = new LogMaker()
  id = newThreadId('raw', randomBytes)
  entry = await core.membership.create(id, { key: log.threadKey })
  app = new NotingApp()
})

async function add(maker: LogMaker, records: number): Promise<void> {
  await core.replica.addLogs(id, [maker.asPeerLog()], log.id)
  await core.receiver.receive(entry, { logId: maker.id, records: maker.next(records) })
}

function cursors(): number[] {
  return [...entry.stored.logs.values()].map(({ cursor }) => cursor.counter)
}

describe('a write', () => {
  it('is alone: those of one thread follow each other', async () => {
    const steps: string[] = []
    const write = (name: string): Promise<unknown> =>
      core.writer.write(entry, async () => {
        steps.push(`${name} begins`)
        await new Promise((resolve) => setImmediate(resolve))
        steps.push(`${name} ends`)
      })
    await Promise.all([write('a'), write('b')])
    expect(steps).toEqual(['a begins', 'a ends', 'b begins', 'b ends'])
  })

  it('that throws leaves nothing, and lets the next one in', async () => {
    const before = core.faulty.batches.length
    const failing = core.writer.write(entry, async (draft) => {
      draft.setThread({ appData: 'half' })
      throw new Error('no')
    })
    await expect(failing).rejects.toThrow('no')
    expect(core.faulty.batches.length).toBe(before)
    expect(entry.prepared.appData).toBeUndefined()
    const { stored } = await core.writer.write(entry, async (draft) => draft.setThread({ appData: 'whole' }))
    await stored
    expect(entry.stored.appData).toBe('whole')
  })

  it('without anything to store answers when what it rests on is stored', async () => {
    const stall = core.faulty.stallBatch(1)
    await core.writer.write(entry, async (draft) => draft.setThread({ appData: 1 }))
    const { result, stored } = await core.writer.write(entry, async (draft) => draft.state.appData)
    expect(result).toBe(1)
    const steps: string[] = []
    const waiting = stored.then(() => steps.push('answered'))
    await stall.reached
    await new Promise((resolve) => setImmediate(resolve))
    steps.push('released')
    stall.release()
    await waiting
    expect(steps).toEqual(['released', 'answered'])
  })

  it('to a thread that is gone is refused', async () => {
    core.threads.remove(entry)
    await expect(core.writer.write(entry, async () => {})).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND' })
  })
})

describe('the time of a thread', () => {
  it('is that of the latest record folded, in whatever log', async () => {
    entry.app = app
    app.timeOf = ({ logId, counter }) => BigInt(logId === log.id ? 10 * counter : counter)
    await add(log, 3)
    await add(new LogMaker(log.threadKey), 5)
    const latest = await core.writer.write(entry, async (draft) => draft.state.latestTime)
    expect(latest.result).toBe(30n)
    expect((await core.restart()).entry(id).stored.latestTime).toBe(30n)
  })
})

describe('logs that wait', () => {
  it('are folded from their start when an owner comes', async () => {
    await add(log, 3)
    expect(cursors()).toEqual([0, 0])
    entry.app = app
    await core.writer.resume(entry)
    expect(app.folded.map(({ counter }) => counter)).toEqual([1, 2, 3])
    expect(app.contexts[0]?.cursors.get(log.id)).toEqual({ counter: 0, time: 0n })
    expect(cursors()).toEqual([0, 3])
  })

  it('are folded once the read key is there, and not before', async () => {
    const { service, read } = log.threadKey
    const relayed = newThreadId('raw', randomBytes)
    await core.replica.adopt(relayed, { service, read: undefined }, log.id)
    entry = core.entry(relayed)
    id = relayed
    entry.app = app
    await add(log, 2)
    expect(app.folded).toEqual([])
    expect(entry.waits.get(log.id)).toEqual({ kind: 'read-key' })
    await core.replica.adopt(relayed, { service, read }, log.id)
    expect(app.folded.map(({ counter, body }) => [counter, body !== undefined])).toEqual([
      [1, true],
      [2, true],
    ])
    expect(cursors()).toEqual([2])
    const reopened = (await core.restart()).entry(relayed).stored
    expect(reopened.key).toEqual(log.threadKey)
  })

  it('are taken up whatever their number', async () => {
    const logs = Array.from({ length: 40 }, () => new LogMaker(log.threadKey))
    for (const each of logs) await add(each, 2)
    await add(log, 1_100)
    entry.app = app
    await core.writer.resume(entry)
    expect(cursors()).toEqual([0, ...logs.map(() => 2), 1_100])
    for (const each of [log, ...logs]) {
      const folded = app.folded.filter(({ logId }) => logId === each.id).map(({ counter }) => counter)
      expect(folded).toEqual(each.records.map((_, index) => index + 1))
    }
  })

  it('do not keep each other waiting when a record of one is damaged', async () => {
    const other = new LogMaker(log.threadKey)
    await add(log, 2)
    await add(other, 2)
    const number = entry.stored.logs.get(log.id)?.number ?? 0
    const key = recordRowKey(entry.number, number, 2)
    const row = await core.store.reads.get(key)
    if (row === undefined) throw new Error('there is no record')
    await core.faulty.batch(
      [{ type: 'put', key, value: Uint8Array.from(row, (byte, at) => (at === 99 ? byte ^ 1 : byte)) }],
      {
        sync: true,
      },
    )
    entry.app = app
    await core.writer.resume(entry)
    expect(entry.stored.logs.get(other.id)?.cursor.counter).toBe(2)
    expect(entry.waits.get(log.id)).toEqual({ kind: 'retry', alone: true })
  })

  it.each(['CLOSED', 'DB_NOT_FOUND'] as const)('because their owner ends with %s are no error', async (code) => {
    const errors: string[] = []
    const logger = { ...silentLogger, error: (_: unknown, message: string) => errors.push(message) }
    const { store, clock } = core
    const writer = new Writer({ committer: store.committer, journal: store.journal, clock, logger })
    await add(log, 2)
    entry.app = app
    app.check = () => {
      throw new ThreadsError(code, 'the owner ends')
    }
    await writer.resume(entry)
    expect(errors).toEqual([])
    expect(cursors()).toEqual([0, 0])
  })

  it('because one of their records fails come to stand right before it', async () => {
    const tried: number[] = []
    const fold = app.fold.bind(app)
    app.check = ({ counter }) => {
      if (counter === 38) throw new TypeError('a fault of the fold')
    }
    app.fold = (records, context) => {
      tried.push(records.length)
      return fold(records, context)
    }
    entry.app = app
    await add(log, 100)
    expect(entry.waits.get(log.id)).toEqual({ kind: 'retry', alone: false })
    for (let tries = 0; tries < 4; tries++) {
      core.clock.advance(5_000)
      await expect.poll(() => core.clock.pendingTimers).toBe(1)
    }
    expect(entry.waits.get(log.id)).toEqual({ kind: 'retry', alone: true })
    expect(cursors()).toEqual([0, 37])
    expect(tried).toEqual([100, 1, 2, 4, 8, 16, 32, 1, 2, 4, 1, 2, 4, 1])
    app.check = () => {}
    core.clock.advance(5_000)
    await expect.poll(cursors).toEqual([0, 100])
    expect(entry.waits.size).toBe(0)
    expect(entry.careful.size).toBe(0)
  })

  it('for the clock are taken up when their time has come', async () => {
    const untilMs = core.clock.nowMs() + 200_000
    const fold = app.fold.bind(app)
    app.fold = async (records, context) => {
      if (core.clock.nowMs() >= untilMs) return fold(records, context)
      const waits = new Map(records.map(({ logId }) => [logId, { kind: 'clock' as const, untilMs }]))
      return { operations: [], changes: [], cursors: new Map(), waits }
    }
    entry.app = app
    await add(log, 1)
    core.clock.advance(60_000)
    await expect.poll(() => core.clock.pendingTimers).toBe(1)
    expect(app.folded).toEqual([])
    for (let minute = 0; minute < 3; minute++) {
      core.clock.advance(60_000)
      await expect.poll(() => core.clock.pendingTimers + app.folded.length).toBe(1)
    }
    expect(app.folded).toHaveLength(1)
    expect(entry.waits.size).toBe(0)
  })
})
