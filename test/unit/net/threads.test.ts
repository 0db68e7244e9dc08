import { beforeEach, describe, expect, it } from 'vitest'
import { decode, encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { threadKeyToBytes } from '../../../src/core/thread-key.ts'
import { storeNewThread } from '../../../src/net/new-thread.ts'
import { logRowKey, type ThreadState, threadRowKey } from '../../../src/net/rows.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { type NetCore, NotingApp, openCore } from '../../support/net-core.ts'

let core: NetCore

beforeEach(async () => {
  core = await openCore()
})

function newId(): ReturnType<typeof newThreadId> {
  return newThreadId('raw', random)
}

/** All that a thread is, in values that compare. */
function parts(thread: ThreadState): unknown {
  const { logs, peers, row: _, ...rest } = thread
  return {
    ...rest,
    peers: [...peers()].toSorted(),
    logs: [...logs.values()].map(({ publicKey, privateKey, head, row: _row, ...log }) => ({
      ...log,
      publicKey: publicKey.encoded,
      privateKey: privateKey?.encoded,
      head: { counter: head.counter, cid: head.cid?.toString() },
    })),
  }
}

describe('threads', () => {
  it('are the same after a restart: logs, heads, cursors, addresses, writers and keys', async () => {
    const log = new LogMaker()
    const caller = { identity: identityOf(log.key.publicKey) }
    const full = await core.membership.create(newId(), { key: log.threadKey, caller, appData: { name: 'zoo' } })
    await core.membership.create(full.id, { key: log.threadKey, logKey: new LogMaker().key })
    await core.membership.create(full.id, { key: log.threadKey, logKey: new LogMaker().key.publicKey })
    await core.replica.addLogs(full.id, [log.asPeerLog(log.id)], log.id)
    full.app = new NotingApp()
    await core.receiver.receive(full, { logId: log.id, records: log.next(3) })
    const relayed = newId()
    await core.replica.adopt(relayed, { service: random(32), read: undefined }, log.id)
    const before = core.threads.all().map(({ stored }) => parts(stored))
    const edges = core.replica.edges(full.id)
    core = await core.restart()
    expect(core.threads.all().map(({ stored }) => parts(stored))).toEqual(before)
    expect(core.replica.edges(full.id)).toEqual(edges)
    expect(core.entry(relayed).stored.unsolicited).toBe(true)
    expect(core.entry(full.id).stored.logs.get(log.id)).toMatchObject({
      head: { counter: 3 },
      cursor: { counter: 3, time: 3n },
    })
  })

  it('keep what a later version has added to their rows', async () => {
    const { id, number } = await core.membership.create(newId(), {})
    const rows = [threadRowKey(number), logRowKey(number, 1)]
    for (const key of rows) {
      const row = decode((await core.store.reads.get(key)) ?? new Uint8Array(0)) as object
      await core.faulty.batch([{ type: 'put', key, value: encode({ ...row, later: 'kept' }) }], { sync: true })
    }
    core = await core.restart()
    await core.membership.addReplicator(core.entry(id), new LogMaker().id)
    await core.membership.create(id, { key: core.entry(id).stored.key, logKey: new LogMaker().key })
    core = await core.restart()
    for (const key of rows) {
      expect(decode((await core.store.reads.get(key)) ?? new Uint8Array(0))).toMatchObject({ later: 'kept' })
    }
    expect(core.entry(id).stored.logs.size).toBe(2)
  })

  it('never get a number twice, whatever is deleted and restarted', async () => {
    const numbers = new Set<number>()
    for (let round = 0; round < 3; round++) {
      const made = await Promise.all([1, 2, 3].map(() => core.membership.create(newId(), {})))
      for (const { number } of made) numbers.add(number)
      for (const entry of made) core.threads.remove(entry)
      await core.store.deleteRange({ gte: Buffer.from('t'), lt: Buffer.from('u') })
      core = await core.restart()
    }
    expect(numbers.size).toBe(9)
  })

  it('never get a number twice after a failed write', async () => {
    const before = await core.membership.create(newId(), {})
    core.faulty.failBatch(1, { stored: true })
    await expect(core.membership.create(newId(), {})).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect.poll(() => core.store.committer.state).toBe('open')
    const after = await core.membership.create(newId(), {})
    const numbers = core.threads.all().map(({ number }) => number)
    expect(new Set(numbers).size).toBe(3)
    expect(numbers).toEqual(expect.arrayContaining([before.number, after.number]))
  })

  it('number their logs without repeating one', async () => {
    const entry = await core.membership.create(newId(), {})
    const logs = Array.from({ length: 5 }, () => new LogMaker().asPeerLog())
    await Promise.all(logs.map((log) => core.replica.addLogs(entry.id, [log], log.id)))
    const numbers = [...entry.stored.logs.values()].map(({ number }) => number)
    expect(new Set(numbers)).toEqual(new Set([1, 2, 3, 4, 5, 6]))
  })
})

describe('a thread that is being created', () => {
  it('is not seen before it is stored', async () => {
    const id = newId()
    const stall = core.faulty.stallBatch(1)
    const creating = core.membership.create(id, {})
    await stall.reached
    expect(core.threads.find(id)).toBeUndefined()
    expect(core.replica.has(id)).toBe(false)
    expect(core.replica.serviceKey(id)).toBeUndefined()
    expect(core.threads.all()).toEqual([])
    stall.release()
    await creating
    expect(core.replica.has(id)).toBe(true)
  })

  it('is one, though it is asked for several times at once', async () => {
    const id = newId()
    const key = new LogMaker().threadKey
    const callers = [1, 2, 3].map(() => ({ identity: identityOf(new LogMaker().key.publicKey) }))
    const entries = await Promise.all(callers.map((caller) => core.membership.create(id, { key, caller })))
    expect(new Set(entries).size).toBe(1)
    expect(core.entry(id).stored.logs.size).toBe(3)
  })

  it('gets one key: who asks with another is refused', async () => {
    const id = newId()
    const results = await Promise.allSettled([core.membership.create(id, {}), core.membership.create(id, {})])
    expect(results[1]).toMatchObject({ status: 'rejected' })
    const kept = core.entry(id).stored
    const row = (await core.restart()).entry(id).stored
    expect(threadKeyToBytes(row.key)).toEqual(threadKeyToBytes(kept.key))
  })

  it('leaves nothing when it cannot be completed, and can be created then', async () => {
    const id = newId()
    const before = core.faulty.batches.length
    const failing = storeNewThread(
      core,
      { id, key: new LogMaker().threadKey, unsolicited: false, keptFor: undefined },
      () => {
        throw new Error('no')
      },
    )
    const waiting = core.membership.create(id, {})
    await expect(failing).rejects.toThrow('no')
    const entry = await waiting
    expect(core.faulty.batches.length).toBe(before + 1)
    const restarted = await core.restart()
    expect(restarted.threads.all().map(({ number }) => number)).toEqual([entry.number])
  })
})

describe('a watcher of threads', () => {
  it('hears of those that are here, that come and that go', async () => {
    const heard: string[] = []
    const first = await core.membership.create(newId(), {})
    core.threads.watch({
      added: (id) => heard.push(`+${id}`),
      removed: (id) => heard.push(`-${id}`),
    })
    const second = await core.membership.create(newId(), {})
    core.threads.remove(first)
    expect(heard).toEqual([`+${first.id}`, `+${second.id}`, `-${first.id}`])
  })
})
