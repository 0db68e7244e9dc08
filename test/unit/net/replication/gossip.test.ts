/** Gossip between hosts on loopback, over threads in memory. Nobody pulls at intervals. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/core/clock.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { LogId } from '../../../../src/core/peer-id.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { MAX_TOPIC_MESSAGE_BYTES } from '../../../../src/net/host/pubsub.ts'
import { pushRecordRequest } from '../../../../src/net/protocol/messages.ts'
import { createReplication, type Replication } from '../../../../src/net/replication/replication.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { knows, newGossipHost } from '../../../support/peer-host.ts'

const OPTIONS = {
  pull: false,
  pullRecords: 10_000,
  pullStartAfterMs: 60_000,
  pullInitialIntervalMs: 60_000,
  pullIntervalMs: 60_000,
}
const PATIENCE = { timeout: 15_000 }

interface Peer {
  readonly replica: FakeReplica
  readonly host: PeerHost
  readonly replication: Replication
}

const running: Peer[] = []

async function start(): Promise<Peer> {
  const { key, id } = newPeer()
  const [host, replica] = [await newGossipHost(key), new FakeReplica(id)]
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const replication = createReplication({ replica, host, ...shared }, OPTIONS)
  await host.start()
  replication.start()
  const peer = { replica, host, replication }
  running.push(peer)
  return peer
}

afterEach(async () => {
  for (const { replication, host } of running.splice(0)) {
    await replication.stop()
    await host.close()
  }
})

/** A thread with a log of the first peer that all of them know, without the address of that peer. */
async function share(owner: Peer, ...others: Peer[]): Promise<{ threadId: ThreadId; logId: LogId }> {
  const threadId = owner.replica.addThread()
  const logId = owner.replica.addOwnLog(threadId)
  const { service, read } = owner.replica.threads.get(threadId) ?? {}
  if (service === undefined) throw new Error('the thread has no key')
  for (const { replica } of others) {
    replica.addThread({ id: threadId, service, read })
    await replica.addLogs(
      threadId,
      owner.replica.logs(threadId).map((log) => ({ ...log, addresses: [] })),
    )
  }
  return { threadId, logId }
}

async function connect(a: Peer, b: Peer): Promise<void> {
  knows(a.host, b.host)
  await a.host.connect(b.host.id)
}

/** Resolves when `a` knows that `b` takes part. */
async function hears(a: Peer, b: Peer, threadId: ThreadId): Promise<void> {
  await expect.poll(() => a.host.pubsub?.subscribers(threadId), PATIENCE).toContain(b.host.id)
}

function write({ replica, replication }: Peer, threadId: ThreadId, logId: LogId, bytes?: number): void {
  replication.localRecord(threadId, logId, replica.append(threadId, logId, bytes))
}

describe('gossip', () => {
  it('brings a record to a host that is not connected to its author', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const { threadId, logId } = await share(a, b, c)
    await connect(a, b)
    await connect(c, b)
    await hears(a, b, threadId)
    await hears(b, c, threadId)
    for (let count = 0; count < 20; count++) write(a, threadId, logId)
    await expect.poll(() => c.replica.counter(threadId, logId), PATIENCE).toBe(20)
    expect(c.host.pubsub?.subscribers(threadId)).toEqual([b.host.id])
    expect(a.replication.gossipStatus()).toMatchObject({ published: 20 })
    expect(c.replication.gossipStatus()).toMatchObject({ taken: 20 })
  })
})
