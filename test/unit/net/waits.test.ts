import { beforeEach, describe, expect, it } from 'vitest'
import { type Logger, silentLogger } from '../../../src/core/logger.ts'
import { type WaitReason } from '../../../src/net/app.ts'
import { WaitLines, Waits } from '../../../src/net/waits.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { LogMaker, random } from '../../support/log-maker.ts'

const thread = newThreadId('raw', random)
const { id } = new LogMaker()
const log = { thread, id }
const STUCK: WaitReason = { kind: 'sandbox', alone: true }

let clock: FakeClock
let written: [level: string, fields: Record<string, unknown>, message: string][]
let lines: WaitLines
let waits: Waits

beforeEach(() => {
  clock = new FakeClock()
  written = []
  const logger: Logger = {
    ...silentLogger,
    info: (fields, message) => written.push(['info', fields, message]),
    warn: (fields, message) => written.push(['warn', fields, message]),
  }
  lines = new WaitLines({ clock, logger })
  waits = new Waits()
})

describe('a log that waits', () => {
  it('has one line when it has waited for 5 s, and one when it goes on', () => {
    for (let second = 0; second < 20; second++) {
      lines.waits(waits, log, STUCK)
      expect(written.length).toBe(second < 5 ? 0 : 1)
      clock.advance(1_000)
    }
    lines.goesOn(waits, log)
    lines.goesOn(waits, log)
    expect(written).toEqual([
      ['warn', { thread, log: id, reason: 'sandbox' }, 'a log waits'],
      ['info', { thread, log: id }, 'a log that waited goes on'],
    ])
    expect(waits.size).toBe(0)
  })

  it('for less has none', () => {
    lines.waits(waits, log, STUCK)
    clock.advance(4_999)
    lines.waits(waits, log, STUCK)
    lines.goesOn(waits, log)
    expect(written).toEqual([])
  })

  it('for another reason now counts from now on', () => {
    lines.waits(waits, log, STUCK)
    const sinceMs = clock.nowMs()
    clock.advance(10_000)
    lines.waits(waits, log, { kind: 'clock', untilMs: clock.nowMs() + 1 })
    expect(written).toEqual([])
    expect(waits.find(id)?.sinceMs).toBe(sinceMs + 10_000)
    clock.advance(60_000)
    const untilMs = clock.nowMs() + 1
    lines.waits(waits, log, { kind: 'clock', untilMs })
    expect(written).toMatchObject([
      ['warn', { reason: 'clock', until: new Date(untilMs).toISOString() }, 'a log waits'],
    ])
  })

  it('is one of at most 50 that have a line in a minute', () => {
    const logs = Array.from({ length: 60 }, () => ({ thread, id: new LogMaker().id }))
    const all = (): void => logs.forEach((each) => lines.waits(waits, each, STUCK))
    all()
    clock.advance(10_000)
    all()
    expect(written).toHaveLength(50)
    expect(written.at(-1)?.[2]).toBe('more logs wait or go on; ListWaitingLogs names them')
    clock.advance(60_000)
    for (const each of logs) lines.goesOn(waits, each)
    expect(written).toHaveLength(100)
  })
})
