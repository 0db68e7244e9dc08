import { once } from 'node:events'
import type { Duplex } from 'node:stream'
import { multiaddr } from '@multiformats/multiaddr'
import { afterEach, describe, expect, it } from 'vitest'
import { parseAddress } from '../../../../src/core/address.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import { createPeerHost, type PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { newPeer } from '../../../support/fake-replica.ts'
import { startNode } from '../../../support/gossip-node.ts'
import { knows, newHost } from '../../../support/peer-host.ts'

const ECHO = '/echo/1'
const running: PeerHost[] = []

afterEach(async () => {
  for (const host of running.splice(0)) await host.close()
})

async function echoHost(listen?: Parameters<typeof newHost>[0]): Promise<{ host: PeerHost; callers: string[] }> {
  const host = await newHost(listen)
  const callers: string[] = []
  host.handle(ECHO, (stream, peer) => {
    callers.push(peer)
    stream.on('error', () => {})
    stream.pipe(stream)
  })
  await host.start()
  running.push(host)
  return { host, callers }
}

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

describe('a peer', () => {
  it('that is shut out loses its connections, and gets none until the time is over', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    knows(a, b)
    knows(b, a)
    const stream = await a.dial(b.id, ECHO)
    stream.on('error', () => {}).resume()
    b.shutOut(a.id, 1_500)
    await expect.poll(() => stream.destroyed).toBe(true)
    await expect(b.dial(a.id, ECHO)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    const isReached = async (): Promise<boolean> => {
      try {
        const again = await a.dial(b.id, ECHO)
        again.on('error', () => {}).end('hello')
        return (await readAll(again)).toString() === 'hello'
      } catch {
        return false
      }
    }
    expect(await isReached()).toBe(false)
    await expect.poll(isReached, { timeout: 20_000 }).toBe(true)
  })

  it('has a limited number of connections', async () => {
    const { host } = await echoHost()
    const node = await startNode()
    const address = multiaddr(`${host.addresses()[0]}/p2p/${host.id}`)
    const dial = (): Promise<unknown> => node.dial(address, { force: true })
    for (let count = 0; count < 4; count++) await dial()
    // The host closes it once it knows whose it is; that may be seen late.
    await dial().catch(() => {})
    await expect.poll(() => node.getConnections().length).toBe(4)
    await node.stop()
  })
})

describe('a host', () => {
  it('is reached by TCP and by WebSocket, and knows who calls', async () => {
    const listen = ['/ip4/127.0.0.1/tcp/0', '/ip4/127.0.0.1/tcp/0/ws'].map(parseAddress)
    const [{ host: a }, { host: b, callers }] = [await echoHost(), await echoHost(listen)]
    expect(b.addresses()).toEqual([
      expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*$/),
      expect.stringMatching(/^\/ip4\/127\.0\.0\.1\/tcp\/[1-9]\d*\/ws$/),
    ])
    for (const address of b.addresses()) {
      const { host: caller } = await echoHost()
      const stream = await caller.dial(b.id, ECHO, { addresses: [address] })
      stream.end('hello')
      expect((await readAll(stream)).toString()).toBe('hello')
      expect(callers.at(-1)).toBe(caller.id)
    }
    expect(a.id).not.toBe(b.id)
  })

  it('tells others only what it is to announce', async () => {
    const announce = [parseAddress('/dns4/db.example.org/tcp/4006')]
    const { key } = newPeer()
    const listen = [parseAddress('/ip4/127.0.0.1/tcp/0')]
    const host = await createPeerHost({ privateKey: key, listen, announce, maxConnections: 10, logger: silentLogger })
    running.push(host)
    await host.start()
    expect(host.addresses()).toEqual(announce)
  })

  it('finds a peer again by what it remembers, and when connected without', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    await expect(a.connect(b.id)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    knows(a, b)
    await a.connect(b.id)
    const there = await a.dial(b.id, ECHO)
    there.end('b knows of the connection by now')
    await readAll(there)
    const back = await b.dial(a.id, ECHO)
    back.destroy()
  })

  it('does not talk to another peer than was asked for', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    const dialled = a.dial(newPeer().id, ECHO, { addresses: b.addresses() })
    await expect(dialled).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('refuses a protocol it does not handle', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    knows(a, b)
    await expect(a.dial(b.id, '/other/1')).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('gives up dialling when told to', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    knows(a, b)
    const signal = AbortSignal.abort(new Error('enough'))
    await expect(a.dial(b.id, ECHO, { signal })).rejects.toThrow('enough')
  })

  it('says at which address it cannot listen', async () => {
    const { host } = await echoHost()
    const second = await newHost(host.addresses())
    running.push(second)
    await expect(second.start()).rejects.toMatchObject({
      code: 'INVALID_ADDRESS',
      message: expect.stringContaining(host.addresses()[0] ?? ''),
    })
  })
})

describe('a stream', () => {
  it('carries many bytes both ways, at the pace of the reader', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    knows(a, b)
    const stream = await a.dial(b.id, ECHO)
    const sent = Buffer.alloc(8 * 1024 * 1024, 'threads')
    const reading = readAll(stream)
    for (let at = 0; at < sent.length; at += 100_000) {
      if (!stream.write(sent.subarray(at, at + 100_000))) await once(stream, 'drain')
    }
    stream.end()
    expect((await reading).equals(sent)).toBe(true)
  })

  it('is held back while the other end does not read, and holds back no other', async () => {
    const [{ host: a }, b] = [await echoHost(), await newHost()]
    const opened = Promise.withResolvers<Duplex>()
    b.handle('/deaf/1', (stream) => {
      stream.on('error', () => {})
      opened.resolve(stream)
    })
    b.handle(ECHO, (stream) => stream.pipe(stream))
    await b.start()
    running.push(b)
    knows(a, b)
    const held = await a.dial(b.id, '/deaf/1')
    held.on('error', () => {})
    held.write(Buffer.alloc(8 * 1024 * 1024))
    const deaf = await opened.promise
    const other = await a.dial(b.id, ECHO)
    const sent = Buffer.alloc(8 * 1024 * 1024)
    other.end(sent)
    expect(await readAll(other)).toHaveLength(sent.length)
    expect(deaf.readableLength).toBeLessThan(1024 * 1024)
    held.destroy()
  })

  it('ends when the peer goes away', async () => {
    const [{ host: a }, { host: b }] = [await echoHost(), await echoHost()]
    knows(a, b)
    const stream = await a.dial(b.id, ECHO)
    stream.on('error', () => {})
    stream.resume()
    const closed = once(stream, 'close')
    await b.close()
    await closed
  })
})
