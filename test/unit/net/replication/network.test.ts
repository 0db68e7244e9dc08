/** Replication between two hosts on loopback, over threads in memory. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/core/clock.ts'
import type { PrivateKey } from '../../../../src/core/keys.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { LogId } from '../../../../src/core/peer-id.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { createReplication, type Replication } from '../../../../src/net/replication/replication.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { knows, newHost } from '../../../support/peer-host.ts'
import { introduce, shareThread } from '../../../support/peer-link.ts'

const MIB = 1024 * 1024
const OPTIONS = {
  pull: true,
  pullRecords: 10_000,
  pullStartAfterMs: 20,
  pullInitialIntervalMs: 50,
  pullIntervalMs: 50,
}
const PATIENCE = { timeout: 15_000 }

interface Peer {
  readonly key: PrivateKey
  readonly replica: FakeReplica
  readonly host: PeerHost
  readonly replication: Replication
}

let a: Peer
let b: Peer
let threadId: ThreadId
let logs: { a: LogId; b: LogId }

async function start(key: PrivateKey, replica: FakeReplica): Promise<Peer> {
  const host = await newHost(undefined, key)
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const replication = createReplication({ replica, host, ...shared }, OPTIONS)
  await host.start()
  return { key, replica, host, replication }
}

async function stop({ replication, host }: Peer): Promise<void> {
  await replication.stop()
  await host.close()
}

beforeEach(async () => {
  const keys = [newPeer(), newPeer()] as const
  a = await start(keys[0].key, new FakeReplica(keys[0].id))
  b = await start(keys[1].key, new FakeReplica(keys[1].id))
  knows(a.host, b.host)
  knows(b.host, a.host)
  const shared = shareThread(a, b)
  threadId = shared.threadId
  logs = shared.logs
  await introduce(a, b, threadId)
})

afterEach(async () => {
  await Promise.all([stop(a), stop(b)])
})

describe('two hosts', () => {
  it('push records to each other as they are written', async () => {
    for (let count = 0; count < 50; count++) {
      a.replication.localRecord(threadId, logs.a, a.replica.append(threadId, logs.a))
      b.replication.localRecord(threadId, logs.b, b.replica.append(threadId, logs.b))
    }
    await expect.poll(() => b.replica.counter(threadId, logs.a), PATIENCE).toBe(50)
    await expect.poll(() => a.replica.counter(threadId, logs.b), PATIENCE).toBe(50)
    await expect.poll(() => a.replication.syncStatus(), PATIENCE).toEqual([])
  })

  it('catch up after one was away, whoever wrote meanwhile', async () => {
    await stop(b)
    for (let count = 0; count < 5; count++) {
      a.replication.localRecord(threadId, logs.a, a.replica.append(threadId, logs.a))
      b.replica.append(threadId, logs.b)
    }
    await expect.poll(() => a.replication.syncStatus()[0]?.failure?.times, PATIENCE).toBeGreaterThan(0)
    b = await start(b.key, b.replica)
    knows(b.host, a.host)
    b.replication.start()
    await expect.poll(() => b.replica.counter(threadId, logs.a), PATIENCE).toBe(5)
    await expect.poll(() => a.replica.counter(threadId, logs.b), PATIENCE).toBe(5)
    await expect.poll(() => a.replication.syncStatus(), PATIENCE).toEqual([])
  })

  it('pull more than fits one reply', async () => {
    for (let count = 0; count < 8; count++) a.replica.append(threadId, logs.a, 1.3 * MIB)
    a.replica.append(threadId, logs.a, 3.4 * MIB)
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(9)
  })

  it('pull thousands of small records', async () => {
    for (let count = 0; count < 3000; count++) a.replica.append(threadId, logs.a)
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(3000)
  })

  it('take the other logs of a peer that has a bad record in one', async () => {
    const second = a.replica.addOwnLog(threadId)
    for (let count = 0; count < 3; count++) {
      a.replica.append(threadId, logs.a)
      a.replica.append(threadId, second)
    }
    const [bad] = a.replica.threads.get(threadId)?.logs.get(logs.a)?.records ?? []
    if (bad === undefined) throw new Error('no record')
    Object.assign(bad.blocks, { headerNode: bad.blocks.bodyNode })
    await b.replication.pullThread(threadId)
    expect(b.replica.counter(threadId, logs.a)).toBe(0)
    expect(b.replica.counter(threadId, second)).toBe(3)
  })

  it('make a replicator of a host that does not have the thread', async () => {
    for (let count = 0; count < 3; count++) a.replica.append(threadId, logs.a)
    b.replica.threads.delete(threadId)
    await a.replication.pushLogs(b.host.id, threadId, { withServiceKey: true })
    await expect.poll(() => b.replica.counter(threadId, logs.a), PATIENCE).toBe(3)
    expect(b.replica.threads.get(threadId)?.read).toBeUndefined()
  })

  it('tell a joiner the logs of a thread, or why not', async () => {
    const serviceKey = a.replica.serviceKey(threadId) ?? new Uint8Array()
    const found = await b.replication.getLogs(a.host.id, threadId, { serviceKey })
    expect(found.map(({ id }) => id)).toEqual([logs.a, logs.b])
    const wrong = b.replication.getLogs(a.host.id, threadId, { serviceKey: new Uint8Array(32) })
    await expect(wrong).rejects.toMatchObject({ code: 'PEER_REFUSED', message: 'invalid service-key', status: 16 })
  })
})
