import { spawnSync } from 'node:child_process'
import { afterEach, describe, expect, it } from 'vitest'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { MAX_TOPIC_MESSAGE_BYTES, MAX_TOPICS, type Pubsub, type TopicMessage } from '../../../../src/net/host/pubsub.ts'
import { dialHost, MESHSUB, signedMessage, speakByHand, startNode } from '../../../support/gossip-node.ts'
import { knows, newGossipHost, newHost } from '../../../support/peer-host.ts'

const PATIENCE = { timeout: 10_000 }
const TOPIC = 'weather'
const DATA = Uint8Array.of(1, 2, 3)
const NO_CONTROL = { ihave: [], iwant: [], graft: [], prune: [], idontwant: [] }
const running: { close(): Promise<void> }[] = []

afterEach(async () => {
  for (const each of running.splice(0)) await each.close()
})

async function start(): Promise<{ host: PeerHost; pubsub: Pubsub }> {
  const host = await newGossipHost()
  await host.start()
  running.push(host)
  if (host.pubsub === undefined) throw new Error('the host takes no part in topics')
  return { host, pubsub: host.pubsub }
}

async function started<N extends { stop(): PromiseLike<void> | void }>(node: Promise<N>): Promise<N> {
  const made = await node
  running.push({ close: async () => made.stop() })
  return made
}

/** Takes part in the topic; answers the list that messages come to. */
function collect(pubsub: Pubsub): TopicMessage[] {
  const messages: TopicMessage[] = []
  pubsub.join(TOPIC, (message) => {
    messages.push(message)
    return 'accept'
  })
  return messages
}

describe('topics', () => {
  it('carry messages, and tell who published and who passed on', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const [heard, passedOn] = [collect(b.pubsub), collect(c.pubsub)]
    for (const end of [a, c]) {
      knows(end.host, b.host)
      await end.host.connect(b.host.id)
    }
    await expect.poll(() => a.pubsub.subscribers(TOPIC), PATIENCE).toEqual([b.host.id])
    await expect.poll(() => b.pubsub.subscribers(TOPIC), PATIENCE).toEqual([c.host.id])
    await a.pubsub.publish(TOPIC, DATA)
    await expect.poll(() => passedOn.length, PATIENCE).toBe(1)
    expect(heard).toMatchObject([{ author: a.host.id, sender: a.host.id }])
    expect(passedOn).toMatchObject([{ author: a.host.id, sender: b.host.id }])
    expect(passedOn[0]?.data).toEqual(DATA)
  })

  it('pass on nothing that is not accepted', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const verdicts = ['reject', 'ignore', 'accept'] as const
    b.pubsub.join(TOPIC, ({ data }) => verdicts[data[0] ?? 0] ?? 'ignore')
    const passedOn = collect(c.pubsub)
    for (const end of [a, c]) {
      knows(end.host, b.host)
      await end.host.connect(b.host.id)
    }
    await expect.poll(() => a.pubsub.subscribers(TOPIC), PATIENCE).toEqual([b.host.id])
    await expect.poll(() => b.pubsub.subscribers(TOPIC), PATIENCE).toEqual([c.host.id])
    for (const first of [0, 1]) await a.pubsub.publish(TOPIC, Uint8Array.of(first))
    // Topics promise no delivery: one of several accepted messages arrives.
    let count = 0
    const publishAnother = async (): Promise<number> => {
      await a.pubsub.publish(TOPIC, Uint8Array.of(2, count++))
      return passedOn.length
    }
    await expect.poll(publishAnother, PATIENCE).toBeGreaterThan(0)
    expect(new Set(passedOn.map(({ data }) => data[0]))).toEqual(new Set([2]))
  })

  it('take no message that is too large', async () => {
    const { pubsub } = await start()
    const publish = (bytes: number): Promise<void> => pubsub.publish(TOPIC, new Uint8Array(bytes))
    await expect(publish(MAX_TOPIC_MESSAGE_BYTES + 1)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await expect(publish(MAX_TOPIC_MESSAGE_BYTES)).resolves.toBeUndefined()
  })

  it('are limited in number, and free again when left', async () => {
    const { pubsub } = await start()
    const join = (topic: string): void => pubsub.join(topic, () => 'accept')
    for (let count = 0; count < MAX_TOPICS; count++) join(`topic ${count}`)
    expect(() => join('one more')).toThrow(`takes part in ${MAX_TOPICS} topics already`)
    join('topic 0')
    pubsub.leave('topic 0')
    pubsub.leave('never joined')
    join('one more')
  })
})

describe('a host', () => {
  it('speaks the versions of go-threads, if it takes part in topics at all', async () => {
    const [{ host }, node] = [await start(), await started(startNode())]
    const silent = await newHost()
    await silent.start()
    running.push(silent)
    const spoken = async (other: PeerHost): Promise<string[]> => {
      const connection = await dialHost(node, other)
      const all = [MESHSUB, '/meshsub/1.0.0', '/meshsub/1.2.0', '/floodsub/1.0.0']
      const opened = await Promise.allSettled(all.map((protocol) => connection.newStream(protocol)))
      return all.filter((_, index) => opened[index]?.status === 'fulfilled')
    }
    expect(await spoken(host)).toEqual([MESHSUB, '/meshsub/1.0.0'])
    expect(silent.pubsub).toBeUndefined()
    expect(await spoken(silent)).toEqual([])
  })

  it('keeps messages for others, by author and sequence number as go-libp2p, of its own topics only', async () => {
    const [{ host, pubsub }, node] = [await start(), await started(startNode())]
    const heard = collect(pubsub)
    const peer = await speakByHand(node, host)
    const [kept, other] = [await signedMessage(TOPIC, DATA), await signedMessage('of others', DATA)]
    peer.send({ messages: [other, kept] })
    await expect.poll(() => heard.length, PATIENCE).toBe(1)
    peer.send({ control: { ...NO_CONTROL, iwant: [{ messageIDs: [other.id, kept.id] }] } })
    const sent = (): unknown[] => peer.received.flatMap(({ messages }) => messages.map(({ topic }) => topic))
    await expect.poll(sent, PATIENCE).toEqual([TOPIC])
  })

  it('takes messages only with the signature of their author', async () => {
    const [{ host, pubsub }, node] = [await start(), await started(startNode())]
    const heard = collect(pubsub)
    const peer = await speakByHand(node, host)
    const [good, another] = [await signedMessage(TOPIC, DATA), await signedMessage(TOPIC, DATA)]
    const { from, data, seqno, topic } = good
    const unsigned = { from, data, seqno, topic }
    peer.send({ messages: [unsigned, { ...good, data: Uint8Array.of(9) }, { ...good, from: another.from }, good] })
    await expect.poll(() => heard.length, PATIENCE).toBe(1)
    expect(heard[0]?.data).toEqual(DATA)
  })

  it('stops reading from a peer that sends a frame that is too large, and goes on with the others', async () => {
    const [{ host, pubsub }, bad, good] = [await start(), await started(startNode()), await started(startNode())]
    const heard = collect(pubsub)
    const [badPeer, goodPeer] = [await speakByHand(bad, host), await speakByHand(good, host)]
    for (const peer of [badPeer, goodPeer]) peer.send({ subscriptions: [{ subscribe: true, topic: TOPIC }] })
    await expect.poll(() => pubsub.subscribers(TOPIC), PATIENCE).toHaveLength(2)
    badPeer.sendBytes(Uint8Array.of(0x80, 0x80, 0x60))
    await expect.poll(() => pubsub.subscribers(TOPIC), PATIENCE).toEqual([good.peerId.toString()])
    goodPeer.send({ messages: [await signedMessage(TOPIC, DATA)] })
    await expect.poll(() => heard.length, PATIENCE).toBe(1)
  })

  it('tells nobody of others: pruned peers get no addresses', async () => {
    const [{ host, pubsub }, node] = [await start(), await started(startNode())]
    collect(pubsub)
    const friend = await start()
    collect(friend.pubsub)
    knows(friend.host, host)
    await friend.host.connect(host.id)
    await expect.poll(() => pubsub.subscribers(TOPIC), PATIENCE).toEqual([friend.host.id])
    const peer = await speakByHand(node, host)
    peer.send({ subscriptions: [{ subscribe: true, topic: TOPIC }] })
    const grafts = (): unknown[] => peer.received.flatMap(({ control }) => control?.graft ?? [])
    await expect.poll(grafts, PATIENCE).toHaveLength(1)
    pubsub.leave(TOPIC)
    const prunes = (): unknown[] => peer.received.flatMap(({ control }) => control?.prune ?? [])
    await expect.poll(prunes, PATIENCE).toMatchObject([{ topicID: TOPIC, peers: [] }])
  })

  it('loads gossipsub only if it takes part in topics', () => {
    const loaded = (gossip: boolean): string => {
      const program = `
        import { registerHooks } from 'node:module'
        registerHooks({ resolve: (name, context, next) => {
          if (name.includes('gossipsub')) console.log(name)
          return next(name, context)
        } })
        const { newGossipHost, newHost } = await import('./test/support/peer-host.ts')
        await (${gossip} ? newGossipHost() : newHost())`
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
        encoding: 'utf8',
      })
      expect(stderr).toBe('')
      return stdout.split('\n')[0] ?? ''
    }
    expect(loaded(false)).toBe('')
    expect(loaded(true)).toBe('@libp2p/gossipsub')
  })
})
