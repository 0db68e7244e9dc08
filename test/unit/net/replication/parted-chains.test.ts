import { beforeEach, describe, expect, it } from 'vitest'
import { newThreadId, type ThreadId } from '../../../../src/core/thread-id.ts'
import { type ForkHost, openForkHost, pull, wantsRecords } from '../../../support/fork-hosts.ts'
import { LogMaker, type MadeRecord, random } from '../../../support/log-maker.ts'

let id: ThreadId
let log: LogMaker
let a: ForkHost
let b: ForkHost

beforeEach(async () => {
  log = new LogMaker()
  id = newThreadId('raw', random)
  ;[a, b] = [await open(), await open()]
})

async function open(): Promise<ForkHost> {
  const host = await openForkHost({ id, key: log.threadKey }, () => undefined)
  await host.core.replica.addLogs(id, [log.asPeerLog(log.id)], log.id)
  return host
}

async function give({ core }: ForkHost, records: readonly MadeRecord[]): Promise<void> {
  const blocks = records.map((record) => record.blocks)
  await core.replica.receive({ threadId: id, logId: log.id, records: blocks, from: log.id })
}

/** A chain of so many records after one of the log. */
function chainAfter(record: MadeRecord | undefined, count: number): MadeRecord[] {
  const chain: MadeRecord[] = []
  for (let made = 0; made < count; made++) {
    chain.push(log.make({ prev: (chain.at(-1) ?? record)?.cid ?? null }))
  }
  return chain
}

function counters({ core }: ForkHost): number[] {
  const chains = [...core.entry(id).stored.logs.values()].filter((each) => each.id === log.id)
  return chains.map(({ head }) => head.counter)
}

/** Pulls both ways. Answers how many calls that took. */
async function exchange(): Promise<number> {
  const calls = (await pull(a, b, id)) + (await pull(b, a, id))
  expect([wantsRecords(a, b, id), wantsRecords(b, a, id)]).toEqual([false, false])
  return calls
}

describe('hosts with other chains of a log', () => {
  it('that are equally long find it out, and come to rest though their main chains differ', async () => {
    log.next(5)
    const fork = chainAfter(log.records[3], 1)
    await give(a, log.records)
    await give(b, [...log.records.slice(0, 4), ...fork])
    await exchange()
    expect([counters(a), counters(b)]).toEqual([
      [5, 5],
      [5, 5],
    ])
    const [heads, others] = [a, b].map(({ core }) => core.replica.edges(id).heads)
    expect(heads).not.toBe(others)
  })

  it('that part far back get what follows the last record in common, in few calls', async () => {
    log.next(120)
    const fork = chainAfter(log.records[29], 12)
    await give(a, log.records)
    await give(b, [...log.records.slice(0, 30), ...fork])
    const calls = await exchange()
    expect([counters(a), counters(b)]).toEqual([
      [120, 42],
      [42, 120],
    ])
    // 102 records that are lacking, three in each reply.
    expect(calls).toBeLessThan(34 + 20)
  })

  it('that have nothing in common get all', async () => {
    const [one, other] = [chainAfter(undefined, 4), chainAfter(undefined, 6)]
    await give(a, one)
    await give(b, other)
    await exchange()
    expect([counters(a), counters(b)]).toEqual([
      [4, 6],
      [6, 4],
    ])
  })

  it('that part many times hold all in the end', async () => {
    log.next(10)
    const first = chainAfter(log.records[4], 6)
    await give(a, log.records)
    await give(a, [...log.records.slice(0, 5), ...first])
    await give(b, [...log.records.slice(0, 5), ...first.slice(0, 2), ...chainAfter(first[1], 5)])
    await give(b, [...log.records.slice(0, 2), ...chainAfter(log.records[1], 9)])
    await exchange()
    expect([counters(a), counters(b)].map((each) => each.toSorted((x, y) => x - y))).toEqual([
      [10, 11, 11, 12],
      [10, 11, 11, 12],
    ])
  })
})

describe('a peer that knows no chains', () => {
  it('is sent the main chain, and nothing of others', async () => {
    log.next(3)
    await give(a, log.records)
    await give(a, chainAfter(log.records[0], 5))
    const serviceKey = log.threadKey.service
    const offset = { logId: log.id, offset: log.records[0]?.cid, counter: 1, limit: 100 }
    const peer = b.core.hostId
    const own = a.core.replica
      .logs(id)
      .map(({ id: logId, head, counter }) => ({ logId, offset: head, counter, limit: 0 }))
    const logs = [...own.filter(({ logId }) => logId !== log.id), offset]
    const reply = await a.handlers.getRecords({ threadId: id, serviceKey, logs }, peer)
    expect(reply.logs).toMatchObject([{ logId: log.id, records: log.blocks(1), chains: [], log: { counter: 3 } }])
    const main = { ...offset, offset: log.records[2]?.cid, counter: 3 }
    const again = await a.handlers.getRecords({ threadId: id, serviceKey, logs: [...logs.slice(0, -1), main] }, peer)
    expect(again.logs).toEqual([])
  })
})
