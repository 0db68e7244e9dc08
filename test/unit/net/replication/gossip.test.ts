/** Gossip between hosts on loopback, over threads in memory. Nobody pulls at intervals. */
import { randomBytes } from 'node:crypto'
import type { Message } from '@libp2p/gossipsub'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../../src/core/clock.ts'
import { encode } from '../../../../src/core/cbor.ts'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import { type LogId, parsePeerId, type PeerId } from '../../../../src/core/peer-id.ts'
import type { RecordBlocks } from '../../../../src/core/record.ts'
import type { ThreadId } from '../../../../src/core/thread-id.ts'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { MAX_TOPIC_MESSAGE_BYTES } from '../../../../src/net/host/pubsub.ts'
import { pushRecordRequest } from '../../../../src/net/protocol/messages.ts'
import type { Drop } from '../../../../src/net/replication/gossip.ts'
import { createReplication, type Replication } from '../../../../src/net/replication/replication.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { dialHost, type GossipNode, startGossipNode } from '../../../support/gossip-node.ts'
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
const nodes: GossipNode[] = []

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
  for (const node of nodes.splice(0)) await node.stop()
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

function recordAt({ replica }: Peer, threadId: ThreadId, logId: LogId, counter: number): RecordBlocks {
  const blocks = replica.threads.get(threadId)?.logs.get(logId)?.records[counter - 1]?.blocks
  if (blocks === undefined) throw new Error('no such record')
  return blocks
}

/** What a host has dropped so far, without the zeros. */
function dropped({ replication }: Peer): Partial<Record<Drop, number>> {
  const counts = Object.entries(replication.gossipStatus()?.dropped ?? {})
  return Object.fromEntries(counts.filter(([, count]) => count > 0))
}

/** A node that belongs to no thread, connected to a host, and able to publish anything on a topic. */
async function outsider(host: Peer, threadId: ThreadId): Promise<{ node: GossipNode; id: PeerId }> {
  const node = await startGossipNode()
  nodes.push(node)
  node.services.pubsub.subscribe(threadId)
  await dialHost(node, host.host)
  const id = parsePeerId(node.peerId.toString())
  const heard = (): string[] => node.services.pubsub.getSubscribers(threadId).map((peer) => peer.toString())
  await expect.poll(heard, PATIENCE).toContain(host.host.id)
  await expect.poll(() => host.host.pubsub?.subscribers(threadId), PATIENCE).toContain(id)
  return { node, id }
}

describe('a record', () => {
  it('reaches a host that is not connected to its author', async () => {
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

  it('is published as go-threads does: a PushRecord request on the topic named like the thread', async () => {
    const a = await start()
    const { threadId, logId } = await share(a)
    const { node } = await outsider(a, threadId)
    const message = new Promise<CustomEvent<Message>>((resolve) => {
      node.services.pubsub.addEventListener('message', resolve, { once: true })
    })
    write(a, threadId, logId)
    const { detail } = await message
    expect(detail).toMatchObject({ type: 'signed', topic: threadId })
    expect(detail.type === 'signed' && detail.from.toString()).toBe(a.host.id)
    const record = recordAt(a, threadId, logId, 1)
    expect(Buffer.from(detail.data)).toEqual(
      Buffer.from(pushRecordRequest.encode({ threadId, logId, record, counter: 1 })),
    )
  })

  it('is stored once when it comes by push and by gossip', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    b.replica.addOwnLog(threadId)
    await a.replica.addLogs(threadId, b.replica.logs(threadId))
    let stored = 0
    const receive = b.replica.receive.bind(b.replica)
    b.replica.receive = async (run) => {
      const receipt = await receive(run)
      stored += receipt.stored
      return receipt
    }
    await connect(a, b)
    await hears(a, b, threadId)
    for (let count = 0; count < 50; count++) write(a, threadId, logId)
    await expect.poll(() => a.replication.syncStatus(), PATIENCE).toEqual([])
    await expect.poll(() => b.replication.gossipStatus()?.taken, PATIENCE).toBe(50)
    expect(b.replica.counter(threadId, logId)).toBe(50)
    expect(stored).toBe(50)
    expect(dropped(b)).toEqual({})
  })

  it('larger than a message goes by push only', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const { threadId, logId } = await share(a, b, c)
    b.replica.addOwnLog(threadId)
    await a.replica.addLogs(threadId, b.replica.logs(threadId))
    await connect(a, b)
    await connect(a, c)
    await hears(a, b, threadId)
    await hears(a, c, threadId)
    write(a, threadId, logId, MAX_TOPIC_MESSAGE_BYTES - 1024)
    await expect.poll(() => c.replica.counter(threadId, logId), PATIENCE).toBe(1)
    write(a, threadId, logId, MAX_TOPIC_MESSAGE_BYTES)
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(2)
    await expect.poll(() => a.replication.gossipStatus(), PATIENCE).toMatchObject({ published: 1, notPublished: 1 })
    expect(c.replica.counter(threadId, logId)).toBe(1)
  })

  it('after a gap is pulled with what lies before it, from a proven peer', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    b.replica.prove(threadId, a.host.id)
    await connect(b, a)
    await hears(a, b, threadId)
    for (let count = 0; count < 5; count++) a.replica.append(threadId, logId)
    write(a, threadId, logId)
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(6)
    expect(b.replication.gossipStatus()).toMatchObject({ taken: 1 })
  })

  it('after a gap is pulled from its author if the one who passed it on is not proven', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const { threadId, logId } = await share(a, b, c)
    c.replica.prove(threadId, a.host.id)
    knows(c.host, a.host)
    await connect(a, b)
    await connect(c, b)
    await hears(a, b, threadId)
    await hears(b, c, threadId)
    a.replica.append(threadId, logId)
    write(a, threadId, logId)
    await expect.poll(() => c.replica.counter(threadId, logId), PATIENCE).toBe(2)
    expect(b.replica.counter(threadId, logId)).toBe(0)
  })

  it('of a log that is not known here yet is pulled with the log, from a proven peer', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId } = await share(a, b)
    b.replica.prove(threadId, a.host.id)
    await connect(b, a)
    await hears(a, b, threadId)
    const logId = a.replica.addOwnLog(threadId)
    write(a, threadId, logId)
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(1)
    expect(dropped(b)).toEqual({ unknownLog: 1 })
  })

  it('proves nothing of who passes it on: nobody is shown the service key for it', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    await connect(b, a)
    await hears(a, b, threadId)
    a.replica.append(threadId, logId)
    for (let count = 1; count <= 2; count++) {
      write(a, threadId, logId)
      await expect.poll(() => b.replication.gossipStatus()?.taken, PATIENCE).toBe(count)
    }
    expect(b.replica.counter(threadId, logId)).toBe(0)
    expect(b.replica.isProven(threadId, a.host.id)).toBe(false)
    expect(a.replica.isProven(threadId, b.host.id)).toBe(false)
  })
})

describe('a message', () => {
  it('that is wrong is dropped, counted and not passed on', async () => {
    const [b, c, other] = [await start(), await start(), await start()]
    const { threadId, logId } = await share(b, c)
    const elsewhere = await share(other)
    for (const { replica } of [b, c]) replica.addThread({ id: elsewhere.threadId })
    await connect(c, b)
    await hears(b, c, threadId)
    const { node } = await outsider(b, threadId)
    for (let count = 0; count < 3; count++) b.replica.append(threadId, logId)
    other.replica.append(elsewhere.threadId, elsewhere.logId)
    const foreign = recordAt(other, elsewhere.threadId, elsewhere.logId, 1)
    const record = recordAt(b, threadId, logId, 2)
    const wrong: readonly Uint8Array[] = [
      Uint8Array.of(),
      Uint8Array.of(0xff, 0xff),
      pushRecordRequest.encode({ threadId, logId, record: { ...record, bodyNode: record.headerNode }, counter: 2 }),
      pushRecordRequest.encode({
        threadId,
        logId,
        record: { ...record, recordNode: encode(randomBytes(50)) },
        counter: 2,
      }),
      pushRecordRequest.encode({ ...elsewhere, record: foreign, counter: 1 }),
      pushRecordRequest.encode({ threadId, logId, record: foreign, counter: 1 }),
      randomBytes(MAX_TOPIC_MESSAGE_BYTES + 1),
    ]
    for (const data of wrong) await node.services.pubsub.publish(threadId, data)
    const counts = { malformed: 3, foreign: 3, tooLarge: 1 }
    await expect.poll(() => dropped(b), PATIENCE).toEqual(counts)
    const first = { threadId, logId, record: recordAt(b, threadId, logId, 1), counter: 1 }
    await node.services.pubsub.publish(threadId, pushRecordRequest.encode(first))
    await expect.poll(() => c.replica.counter(threadId, logId), PATIENCE).toBe(1)
    expect(dropped(c)).toEqual({})
    expect(dropped(b)).toEqual(counts)
  })

  it('with a record that its log did not sign is dropped, also from a member', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    const mine = a.replica.addOwnLog(threadId)
    for (let count = 0; count < 2; count++) a.replica.append(threadId, mine)
    b.replica.prove(threadId, a.host.id)
    await connect(a, b)
    await hears(a, b, threadId)
    const request = { threadId, logId, record: recordAt(a, threadId, mine, 2), counter: 2 }
    await a.host.pubsub?.publish(threadId, pushRecordRequest.encode(request))
    await expect.poll(() => dropped(b), PATIENCE).toEqual({ forged: 1 })
  })

  it('that is published again by another is dropped, and the record is not passed on again', async () => {
    const [b, c] = [await start(), await start()]
    const { threadId, logId } = await share(b, c)
    b.replica.append(threadId, logId)
    await connect(c, b)
    await hears(b, c, threadId)
    const data = pushRecordRequest.encode({ threadId, logId, record: recordAt(b, threadId, logId, 1), counter: 1 })
    for (let count = 0; count < 3; count++) {
      const { node } = await outsider(b, threadId)
      await node.services.pubsub.publish(threadId, data)
    }
    await expect.poll(() => dropped(b), PATIENCE).toEqual({ repeated: 2 })
    write(b, threadId, logId)
    await expect.poll(() => c.replica.counter(threadId, logId), PATIENCE).toBe(2)
    expect(dropped(c)).toEqual({})
  })

  it('finds no room while too much of its sender is being stored', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    b.replica.prove(threadId, a.host.id)
    const free = Promise.withResolvers<void>()
    const receive = b.replica.receive.bind(b.replica)
    b.replica.receive = async (run) => {
      await free.promise
      return receive(run)
    }
    await connect(a, b)
    await hears(a, b, threadId)
    for (let count = 0; count < 10; count++) {
      write(a, threadId, logId, MAX_TOPIC_MESSAGE_BYTES - 1024)
      await expect.poll(() => a.replication.gossipStatus()?.published, PATIENCE).toBe(count + 1)
    }
    await expect.poll(() => dropped(b), PATIENCE).toEqual({ busy: 2 })
    free.resolve()
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(8)
    write(a, threadId, logId, MAX_TOPIC_MESSAGE_BYTES - 1024)
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(11)
    expect(dropped(b)).toEqual({ busy: 2 })
  })

  it('that no store takes is counted as refused', async () => {
    const [a, b] = [await start(), await start()]
    const { threadId, logId } = await share(a, b)
    b.replica.receive = async () => {
      throw new ThreadsError('STORE_READONLY', 'the store is read-only')
    }
    await connect(a, b)
    await hears(a, b, threadId)
    write(a, threadId, logId)
    await expect.poll(() => dropped(b), PATIENCE).toEqual({ refused: 1 })
  })
})

describe('a topic', () => {
  it('is joined with its thread and left with it', async () => {
    const [a, b] = [await start(), await start()]
    await connect(a, b)
    const { threadId, logId } = await share(a, b)
    await hears(a, b, threadId)
    write(a, threadId, logId)
    await expect.poll(() => b.replica.counter(threadId, logId), PATIENCE).toBe(1)
    b.replica.removeThread(threadId)
    await expect.poll(() => a.host.pubsub?.subscribers(threadId), PATIENCE).toEqual([])
    write(a, threadId, logId)
    const second = await share(a, b)
    await hears(a, b, second.threadId)
    write(a, second.threadId, second.logId)
    await expect.poll(() => b.replica.counter(second.threadId, second.logId), PATIENCE).toBe(1)
    expect(a.replication.gossipStatus()).toMatchObject({ published: 2 })
  })
})
