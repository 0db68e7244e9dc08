import { beforeEach, describe, expect, it } from 'vitest'
import type { PeerId } from '../../../src/core/peer-id.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import { recordBytes } from '../../../src/net/append.ts'
import { deleteThreadRows } from '../../../src/net/deletion.ts'
import type { NetOptions } from '../../../src/net/index.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { type NetCore, openCore } from '../../support/net-core.ts'

const peer = newPeer().id
const NO_SPACE = { code: 'NO_SPACE' }
let core: NetCore

async function open(net: NetOptions): Promise<void> {
  core = await openCore({ net })
}

beforeEach(() => open({ maxUnsolicitedThreads: 8 }))

function adopt(from: PeerId = peer, id: ThreadId = newThreadId('raw', random)): Promise<void> {
  return core.replica.adopt(id, { service: random(32), read: undefined }, from)
}

function adoptMany(count: number, from?: PeerId): Promise<PromiseSettledResult<void>[]> {
  return Promise.allSettled(Array.from({ length: count }, () => adopt(from)))
}

function taken(results: readonly PromiseSettledResult<unknown>[]): number {
  return results.filter(({ status }) => status === 'fulfilled').length
}

describe('threads that peers ask to keep', () => {
  it('are half of them of one peer at most, also when they come at once', async () => {
    const results = await adoptMany(6)
    expect(taken(results)).toBe(4)
    expect(results[5]).toMatchObject({
      reason: { ...NO_SPACE, message: 'this host keeps 4 threads for this peer, of at most 4' },
    })
    expect(core.threads.all()).toHaveLength(4)
  })

  it('are of each further peer half of what the others leave, and together no more than the limit', async () => {
    await adoptMany(6)
    expect(taken(await adoptMany(6, newPeer().id))).toBe(2)
    expect(taken(await adoptMany(6, newPeer().id))).toBe(1)
    expect(taken(await adoptMany(6, newPeer().id))).toBe(1)
    await expect(adopt(newPeer().id)).rejects.toMatchObject({
      ...NO_SPACE,
      message: 'this host keeps 8 threads for others, of at most 8',
    })
  })

  it('are counted for the same peers after a restart', async () => {
    await adoptMany(4)
    core = await core.restart()
    await expect(adopt()).rejects.toMatchObject(NO_SPACE)
    await adopt(newPeer().id)
  })

  it('make room when a user of this host wants one of them', async () => {
    const wanted = newThreadId('raw', random)
    const { threadKey } = new LogMaker()
    await core.replica.adopt(wanted, { service: threadKey.service, read: undefined }, peer)
    await adoptMany(3)
    await expect(adopt()).rejects.toMatchObject(NO_SPACE)
    await core.membership.create(wanted, { key: threadKey })
    await adopt()
  })

  it('are refused where the host keeps none', async () => {
    await open({ replicateFor: 'none' })
    await expect(adopt()).rejects.toMatchObject({ code: 'PEER_REFUSED', message: 'thread not found' })
    expect(core.threads.all()).toEqual([])
  })

  it('are taken from the peers of a list only, each up to the limit', async () => {
    await open({ replicateFor: [peer], maxUnsolicitedThreads: 3 })
    await expect(adopt(newPeer().id)).rejects.toMatchObject({ code: 'PEER_REFUSED' })
    expect(taken(await adoptMany(4))).toBe(3)
  })
})

describe('records of threads kept for others', () => {
  /** Bytes of each record but the first, which names none before it. */
  let size: number

  /** A thread of a peer, with an empty log. */
  async function keep(from: PeerId = peer): Promise<{ id: ThreadId; log: LogMaker }> {
    const made = new LogMaker()
    const id = newThreadId('raw', random)
    await core.replica.adopt(id, { service: made.threadKey.service, read: undefined }, from)
    await core.replica.addLogs(id, [made.asPeerLog(from)], from)
    return { id, log: made }
  }

  function push({ id, log: from }: { id: ThreadId; log: LogMaker }, count = 1) {
    return core.replica.receive({ threadId: id, logId: from.id, records: from.next(count), from: peer })
  }

  beforeEach(async () => {
    const log = new LogMaker()
    log.next()
    size = recordBytes(log.make().blocks)
    await open({ maxUnsolicitedBytes: 6 * size })
  })

  it('are taken up to the share of the peer, and for others after that', async () => {
    const kept = await keep()
    await push(kept, 3)
    const { bytes } = core.entry(kept.id).stored
    await expect(push(kept)).rejects.toMatchObject({
      ...NO_SPACE,
      message: `this host keeps ${bytes} bytes for this peer, of at most ${3 * size}`,
    })
    expect(core.replica.log(kept.id, kept.log.id)?.counter).toBe(3)
    await push(await keep(newPeer().id))
  })

  it('are counted after a restart', async () => {
    const kept = await keep()
    await push(kept, 3)
    const { bytes } = core.entry(kept.id).stored
    core = await core.restart()
    expect(core.entry(kept.id).stored.bytes).toBe(bytes)
    expect(bytes).toBe(kept.log.records.reduce((sum, { blocks }) => sum + recordBytes(blocks), 0))
    await expect(push(kept)).rejects.toMatchObject(NO_SPACE)
  })

  it('free their room when their thread is deleted', async () => {
    const kept = await keep()
    await push(kept, 3)
    const entry = core.entry(kept.id)
    core.threads.remove(entry)
    await deleteThreadRows(core.store, entry)
    await push(await keep(), 3)
  })

  it('do not count where a user of this host wants the thread', async () => {
    const kept = await keep()
    await push(kept, 3)
    await core.membership.create(kept.id, { key: kept.log.threadKey })
    await push(kept, 5)
    await push(await keep(), 3)
  })
})

describe('logs of threads kept for others', () => {
  it('are half of them of one peer at most', async () => {
    await open({ maxUnsolicitedThreads: 4, maxLogs: 20 })
    const ids = Array.from({ length: 3 }, () => newThreadId('raw', random))
    const [first, second, other] = ids as [ThreadId, ThreadId, ThreadId]
    for (const id of [first, second]) await adopt(peer, id)
    await adopt(newPeer().id, other)
    const logs = Array.from({ length: 11 }, () => new LogMaker().asPeerLog())
    await core.replica.addLogs(first, logs, peer)
    await expect(core.replica.addLogs(second, logs, peer)).rejects.toMatchObject({
      ...NO_SPACE,
      message: 'this host keeps 11 logs for this peer, of at most 20',
    })
    await core.replica.addLogs(second, logs.slice(0, 9), peer)
    await core.replica.addLogs(other, logs.slice(0, 10), peer)
  })
})
