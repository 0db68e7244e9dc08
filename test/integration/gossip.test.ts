/** Whole net layers that gossip, in this process, over real sockets. Nobody pulls at intervals. */
import { randomBytes } from 'node:crypto'
import type { Connection } from '@libp2p/interface'
import { afterEach, describe, expect, it } from 'vitest'
import { encode } from '../../src/core/cbor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { generateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { newThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import { createNet, type Net, type NetOptions, type ThreadInfo } from '../../src/net/index.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { dialHost, type GossipNode, MESHSUB, startGossipNode } from '../support/gossip-node.ts'

const PATIENCE = { timeout: 20_000 }
const running: Net[] = []
const nodes: GossipNode[] = []

async function open(options: NetOptions = {}, prepare: (net: Net) => void | Promise<void> = () => {}): Promise<Net> {
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const store = await openHostStore(shared)
  const settings = { pull: false, gossip: true, ...options }
  const net = await createNet({ store, privateKey: generateKey(randomBytes), ...shared }, settings)
  await prepare(net)
  await net.start()
  running.push(net)
  return net
}

afterEach(async () => {
  for (const net of running.splice(0)) await net.stop()
  for (const node of nodes.splice(0)) await node.stop()
})

function addressOf(info: ThreadInfo): ThreadInfo['addresses'][number] {
  const [address] = info.addresses
  if (address === undefined) throw new Error('the host has no address')
  return address
}

/** Records that a host has of the log of another. */
async function counter(net: Net, thread: ThreadInfo): Promise<number> {
  const { logs } = await net.getThread(thread.id)
  return logs.find(({ id }) => id === thread.logs[0]?.id)?.head.counter ?? 0
}

/** A node that is connected to a host, and the topics it sees the host take part in. */
async function observe(net: Net): Promise<{ connection: Connection; topics: (id: ThreadId) => string[] }> {
  const node = await startGossipNode()
  nodes.push(node)
  const connection = await dialHost(node, { id: net.hostId, addresses: () => net.hostAddresses() })
  const { pubsub } = node.services
  return { connection, topics: (id) => pubsub.getSubscribers(id).map((peer) => peer.toString()) }
}

describe('hosts that gossip', () => {
  it('pass records on to hosts that the author does not know', async () => {
    const [a, b, c] = [await open(), await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    const atB = await b.addThread(addressOf(info), { key: info.key })
    await c.addThread(addressOf(atB), { key: info.key })
    // Until the neighbours know each other's topics, a record may pass C by; the next one brings it along.
    const written = async (): Promise<number> => {
      await a.createRecord(info.id, encode({}))
      return counter(c, info)
    }
    await expect.poll(written, PATIENCE).toBeGreaterThan(0)
    for (let count = 0; count < 5; count++) await a.createRecord(info.id, encode({ count }))
    await expect.poll(async () => (await counter(c, info)) === (await counter(a, info)), PATIENCE).toBe(true)
  })

  it('store each record once, though it also comes by push', async () => {
    const [a, b] = [await open(), await open()]
    const info = await a.createThread(newThreadId('raw', randomBytes))
    await b.addThread(addressOf(info), { key: info.key })
    const { topics } = await observe(a)
    await expect.poll(() => topics(info.id), PATIENCE).toEqual([a.hostId])
    const stop = new AbortController()
    const seen: string[] = []
    const watching = (async () => {
      for await (const record of b.subscribe({ threads: [info.id], signal: stop.signal })) {
        seen.push(record.cid.toString())
        if (seen.length === 30) stop.abort()
      }
    })()
    const written: string[] = []
    for (let count = 0; count < 30; count++) {
      written.push((await a.createRecord(info.id, encode({ count }))).cid.toString())
    }
    await watching
    expect(seen).toEqual(written)
    expect(await counter(b, info)).toBe(30)
  })

  it('take part in the topics of their threads until these are deleted', async () => {
    const before = newThreadId('raw', randomBytes)
    const a = await open({}, async (net) => void (await net.createThread(before)))
    const { topics } = await observe(a)
    await expect.poll(() => topics(before), PATIENCE).toEqual([a.hostId])
    const after = await a.createThread(newThreadId('raw', randomBytes))
    await expect.poll(() => topics(after.id), PATIENCE).toEqual([a.hostId])
    await a.deleteThread(before)
    await expect.poll(() => topics(before), PATIENCE).toEqual([])
    expect(topics(after.id)).toEqual([a.hostId])
  })
})

describe('a host that does not', () => {
  it('tells nobody of its threads', async () => {
    const a = await open({ gossip: false })
    const info = await a.createThread(newThreadId('raw', randomBytes))
    const { connection, topics } = await observe(a)
    await expect(connection.newStream(MESHSUB)).rejects.toThrow('Protocol selection failed')
    expect(topics(info.id)).toEqual([])
  })
})
