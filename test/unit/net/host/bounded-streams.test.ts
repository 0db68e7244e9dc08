/** Limits of gossipsub's streams, on real connections. */
import type { GossipSubComponents } from '@libp2p/gossipsub'
import type { Connection, Stream } from '@libp2p/interface'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { boundStreams } from '../../../../src/net/host/bounded-streams.ts'
import { type PlainNode, startNode } from '../../../support/gossip-node.ts'

type Registrar = GossipSubComponents['registrar']

const MIB = 1024 * 1024
const PROTOCOL = '/bounded/1'
const PATIENCE = { timeout: 10_000 }

let a: PlainNode
let b: PlainNode

beforeEach(async () => {
  a = await startNode()
  b = await startNode()
})

afterEach(async () => {
  await Promise.all([a.stop(), b.stop()])
})

/** A registrar that does what the node can do of it. */
function registrarOf(node: PlainNode): Registrar {
  const missing = (): never => {
    throw new Error('not needed')
  }
  return {
    handle: (protocol, accept, options) => node.handle(protocol, accept, options),
    register: (protocol, topology) => node.register(protocol, topology),
    unhandle: missing,
    unregister: missing,
    getProtocols: missing,
    getHandler: missing,
    getTopologies: missing,
    getMiddleware: missing,
    use: missing,
    unuse: missing,
  }
}

/** The stream that `b` accepts when `a` opens one. */
async function accepted(): Promise<{ sent: Stream; received: Stream }> {
  const opened = Promise.withResolvers<Stream>()
  await boundStreams(registrarOf(b)).handle(PROTOCOL, (stream) => opened.resolve(stream))
  const sent = await a.dialProtocol(b.getMultiaddrs(), PROTOCOL)
  return { sent, received: await opened.promise }
}

/** What waits to be sent, once it does not change any more. */
async function settled(stream: Stream): Promise<number> {
  let before = -1
  const unchanged = (): boolean => before === (before = stream.writeBufferLength)
  await expect.poll(unchanged, PATIENCE).toBe(true)
  return before
}

describe('a stream that is read', () => {
  it('keeps the sender waiting until its reader asks for more, and loses nothing', async () => {
    const { sent, received } = await accepted()
    for (let count = 0; count < 32; count++) sent.send(new Uint8Array(MIB).fill(count))
    const chunks: Uint8Array[] = []
    for await (const chunk of received) {
      if (chunks.length === 0) expect(await settled(sent)).toBeGreaterThan(16 * MIB)
      chunks.push(chunk.subarray())
      if (bytesOf(chunks) === 32 * MIB) break
    }
    expect(chunks.at(-1)?.at(-1)).toBe(31)
  })

  it('ends when the sender ends it', async () => {
    const { sent, received } = await accepted()
    sent.send(new Uint8Array(10))
    await sent.close()
    const chunks: Uint8Array[] = []
    for await (const chunk of received) chunks.push(chunk.subarray())
    expect(bytesOf(chunks)).toBe(10)
  })

  it('fails its reader when the sender gives it up', async () => {
    const { sent, received } = await accepted()
    sent.send(new Uint8Array(10))
    const reading = (async () => {
      for await (const _ of received) sent.abort(new Error('given up'))
    })()
    await expect(reading).rejects.toThrow('reset')
  })
})

describe('a stream that is written', () => {
  it('refuses what a slow peer does not take, and serves it again once it reads', async () => {
    const held = Promise.withResolvers<Stream>()
    await b.handle(PROTOCOL, (stream) => {
      stream.pause()
      held.resolve(stream)
    })
    const connected = Promise.withResolvers<Connection>()
    await boundStreams(registrarOf(a)).register(PROTOCOL, {
      onConnect: (_, connection) => connected.resolve(connection),
    })
    await a.dial(b.getMultiaddrs())
    const stream = await (await connected.promise).newStream([PROTOCOL])
    const sendMany = (): void => {
      for (let count = 0; count < 32; count++) stream.send(new Uint8Array(MIB))
    }
    expect(sendMany).toThrow('too slow')
    expect(stream.writeBufferLength).toBeLessThanOrEqual(4 * MIB)
    const received = await held.promise
    let bytes = 0
    received.addEventListener('message', ({ data }) => {
      bytes += data.byteLength
    })
    received.resume()
    await expect.poll(() => stream.writeBufferLength, PATIENCE).toBe(0)
    stream.send(new Uint8Array(7))
    await expect.poll(() => bytes % MIB, PATIENCE).toBe(7)
    expect(stream.status).toBe('open')
  })
})

describe('streams to many slow peers', () => {
  /** A stream to a peer that takes nothing. */
  function stuck(): { stream: Stream; unsent: () => number } {
    let unsent = 0
    const members = {
      send: (data: Uint8Array) => (unsent += data.byteLength) < 0,
      addEventListener: () => {},
    }
    const stream = Object.defineProperty(members, 'writeBufferLength', { get: () => unsent })
    return { stream: stream as Partial<Stream> as Stream, unsent: () => unsent }
  }

  it('hold a limited number of bytes together, and leave others alone', async () => {
    const all = Array.from({ length: 40 }, stuck)
    const waiting = all.map(({ stream }) => stream)
    const opened = Promise.withResolvers<Connection>()
    const registrar = registrarOf(a)
    const bounded = boundStreams({
      ...registrar,
      register: async (_protocol, topology) => {
        const connection = { newStream: async () => waiting.shift() } as Partial<Connection> as Connection
        await topology.onConnect?.(a.peerId, connection)
        return ''
      },
    })
    await bounded.register(PROTOCOL, { onConnect: (_, connection) => opened.resolve(connection) })
    const connection = await opened.promise
    for (let count = 0; count < 40; count++) {
      const stream = await connection.newStream([PROTOCOL])
      expect(() => {
        for (let sent = 0; sent < 8; sent++) stream.send(new Uint8Array(MIB / 2 + 1))
      }).toThrow('too slow')
    }
    const unsent = all.reduce((sum, each) => sum + each.unsent(), 0)
    expect(unsent).toBeLessThan(64 * MIB + 40 * MIB)
    expect(unsent).toBeGreaterThan(60 * MIB)
    expect(all.at(-1)?.unsent()).toBe(MIB / 2 + 1)
  })
})

function bytesOf(chunks: readonly Uint8Array[]): number {
  return chunks.reduce((sum, { length }) => sum + length, 0)
}
