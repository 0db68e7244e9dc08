/** Hosts that talk Sync, or do without, over real sockets. What goes between them is counted. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it } from 'vitest'
import { type Address, parseAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { systemClock } from '../../src/core/clock.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { newThreadId } from '../../src/core/thread-id.ts'
import { createPeerHost, type PeerHost } from '../../src/net/host/libp2p-host.ts'
import { createNet, type Net, type ThreadInfo } from '../../src/net/index.ts'
import { createPeerClient } from '../../src/net/protocol/client.ts'
import type { FrameStream } from '../../src/net/protocol/frame-stream.ts'
import type { MethodName } from '../../src/net/protocol/methods.ts'
import { servePeers } from '../../src/net/protocol/server.ts'
import { decodeFrame, type Frame } from '../../src/net/sync/frames.ts'
import { openHostStore } from '../../src/store/host-store.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { OrderedStore } from '../../src/store/ordered-store.ts'
import { freePorts } from '../support/daemon.ts'

const TIMEOUT = { timeout: 20_000 }
const QUICK = { pullStartAfterMs: 50, pullInitialIntervalMs: 100, pullIntervalMs: 200 }

interface Counted {
  readonly net: Net
  readonly host: PeerHost
  /** Calls of go-threads that the host made. */
  readonly calls: MethodName[]
  /** Frames that it sent. */
  readonly frames: Frame[]
  /** Streams that it opened. */
  opened: number
  /** Ends the host; another one can go on with its key, store and port. */
  stop(): Promise<void>
}

interface Options {
  readonly syncs?: boolean
  readonly privateKey?: PrivateKey
  readonly backend?: OrderedStore
  readonly port?: number
}

const running = new Set<Counted>()

afterEach(async () => {
  for (const each of running) await each.stop()
})

async function start(options: Options = {}): Promise<Counted> {
  const { syncs = true, privateKey = generateKey(randomBytes), backend = await openMemoryStore() } = options
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  const shared = { clock: systemClock, random: randomBytes, logger: silentLogger }
  const store = await openHostStore({ open: async () => keptOpen(backend), ...shared })
  const listen = [parseAddress(`/ip4/127.0.0.1/tcp/${port}`)]
  const host = await createPeerHost({ privateKey, listen, announce: [], maxConnections: 100, logger: silentLogger })
  const client = createPeerClient(host)
  const counted: Counted = { host, calls: [], frames: [], opened: 0, stop: async () => {}, net: await openNet() }
  function counting(stream: FrameStream): FrameStream {
    return {
      frames: stream.frames,
      end: (status) => stream.end(status),
      send: (message) => {
        counted.frames.push(decodeFrame(message))
        return stream.send(message)
      },
    }
  }
  function openNet(): Promise<Net> {
    const link: NonNullable<Parameters<typeof createNet>[0]['network']>['link'] = {
      client: {
        call: (peer, method, ...rest) => {
          counted.calls.push(method)
          return client.call(peer, method, ...rest)
        },
        close: () => client.close(),
      },
      opener: !syncs
        ? undefined
        : {
            openSync: async (peer, abort) => {
              counted.opened++
              return counting(await client.openSync(peer, abort))
            },
          },
      serve: (handlers, onSync) => {
        const counts = onSync && ((stream: FrameStream, peer: Net['hostId']) => onSync(counting(stream), peer))
        servePeers({ host, handlers, logger: silentLogger, onSync: counts })
      },
    }
    return createNet({ store, privateKey, network: { host, link }, ...shared }, QUICK)
  }
  await counted.net.start()
  const stop = async (): Promise<void> => {
    if (!running.delete(counted)) return
    await counted.net.stop()
    await store.close()
  }
  running.add(Object.assign(counted, { stop }))
  return counted
}

function keptOpen(backend: OrderedStore): OrderedStore {
  return new Proxy(backend, {
    get: (target, name) => {
      const value: unknown = name === 'close' ? async () => {} : Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

async function write({ net }: Counted, { id }: ThreadInfo, count: number, bytes = 10): Promise<void> {
  for (let i = 0; i < count; i++) await net.createRecord(id, encode({ i, filler: randomBytes(bytes) }))
}

async function records({ net }: Counted, { id }: ThreadInfo): Promise<number> {
  return (await net.getThread(id)).logs.reduce((sum, { head }) => sum + head.counter, 0)
}

async function haveRecords(count: number, info: ThreadInfo, ...hosts: readonly Counted[]): Promise<void> {
  for (const host of hosts) await expect.poll(() => records(host, info), TIMEOUT).toBe(count)
}

/** A thread that the first host made and the second joined. */
async function share(a: Counted, b: Counted, count = 0): Promise<ThreadInfo> {
  const info = await a.net.createThread(newThreadId('raw', randomBytes))
  await write(a, info, count)
  await b.net.addThread(info.addresses[0] as Address, { key: info.key })
  await haveRecords(count, info, b)
  return info
}

function sent({ frames }: Counted, part: keyof Frame): number {
  return frames.filter((frame) => frame[part] !== undefined).length
}

function clear(...hosts: readonly Counted[]): void {
  for (const { calls, frames } of hosts) for (const list of [calls, frames]) list.length = 0
}

describe('two hosts that know Sync', () => {
  it('bring each other what is there and what follows, over one stream and without other calls', async () => {
    const [a, b] = [await start(), await start()]
    const info = await share(a, b, 200)
    await expect.poll(() => a.opened + b.opened, TIMEOUT).toBeGreaterThan(0)
    clear(a, b)
    await write(a, info, 50)
    await write(b, info, 50)
    await haveRecords(300, info, a, b)
    expect([...a.calls, ...b.calls]).toEqual([])
    for (const { frames } of [a, b]) {
      expect(frames.flatMap(({ push }) => push?.records ?? [])).toHaveLength(50)
    }
  })

  it('have one stream in the end when both open one', async () => {
    const [a, b] = [await start(), await start()]
    const info = await a.net.createThread(newThreadId('raw', randomBytes))
    await Promise.all([a.net.connect(addressOf(b)), b.net.connect(addressOf(a))])
    await b.net.addThread(info.addresses[0] as Address, { key: info.key })
    await write(a, info, 5)
    await haveRecords(5, info, b)
    await expect.poll(() => sent(a, 'hello') + sent(b, 'hello'), TIMEOUT).toBeGreaterThanOrEqual(2)
    clear(a, b)
    const openedBefore = a.opened + b.opened
    await write(b, info, 5)
    await haveRecords(10, info, a)
    expect(a.opened + b.opened).toBe(openedBefore)
    expect([...a.calls, ...b.calls]).toEqual([])
  })

  it('send nothing again after a break, and name only what has changed', async () => {
    const [a, b] = [await start(), await start()]
    const quiet = await Promise.all(Array.from({ length: 5 }, () => share(a, b, 3)))
    const info = await share(a, b, 100)
    await haveToldAll(a, b)
    clear(a, b)
    b.host.shutOut(a.net.hostId, 1)
    await write(a, info, 20)
    await haveRecords(120, info, b)
    const sentRecords = a.frames.flatMap(({ push, records: part }) => [
      ...(push?.records ?? []),
      ...(part?.reply.logs.flatMap((log) => log.records) ?? []),
    ])
    expect(sent(a, 'hello')).toBeGreaterThan(0)
    expect(sentRecords.length).toBeLessThanOrEqual(40)
    const ids = new Set(quiet.map(({ id }) => id))
    const named = [...a.frames, ...b.frames].flatMap(({ heads, want }) => heads?.thread.id ?? want?.thread.id ?? [])
    expect(named.filter((id) => ids.has(id))).toEqual([])
  })

  it('find by ranges what one of them wrote while the other was away', async () => {
    const [backend, privateKey, port] = [
      await openMemoryStore(),
      generateKey(randomBytes),
      (await freePorts(1))[0] ?? 0,
    ]
    const a = await start()
    const b = await start({ backend, privateKey, port })
    const quiet = await Promise.all(Array.from({ length: 40 }, () => share(a, b, 1)))
    const info = await share(a, b, 10)
    await b.stop()
    await write(a, info, 10)
    const again = await start({ backend, privateKey, port })
    clear(a)
    await haveRecords(20, info, again)
    expect(sent(a, 'ranges') + sent(again, 'ranges')).toBeGreaterThan(1)
    const ids = new Set(quiet.map(({ id }) => id))
    const named = [...a.frames, ...again.frames].flatMap(({ want }) => want?.thread.id ?? [])
    expect(named.filter((id) => ids.has(id))).toEqual([])
  })

  it('say nothing of threads in which nothing happens', async () => {
    const [a, b] = [await start(), await start()]
    const idle: ThreadInfo[] = []
    for (let count = 0; count < 20; count++) idle.push(await share(a, b, 1))
    const busy = await share(a, b, 1)
    await haveToldAll(a, b)
    clear(a, b)
    for (let count = 2; count <= 11; count++) {
      await write(a, busy, 1)
      await haveRecords(count, busy, b)
      await haveToldAll(a, b)
    }
    expect([...a.calls, ...b.calls]).toEqual([])
    const ids = new Set(idle.map(({ id }) => id))
    const frames = [...a.frames, ...b.frames]
    const named = frames.flatMap(({ heads, want, push }) =>
      [heads, want, push].flatMap((part) => part?.thread.id ?? []),
    )
    expect(named).toContain(busy.id)
    expect(named.filter((id) => ids.has(id))).toEqual([])
  })

  it('exchange records that are larger than the window', async () => {
    const [a, b] = [await start(), await start()]
    const info = await share(a, b)
    await write(a, info, 2, 3 * 1024 * 1024)
    await write(a, info, 1)
    await haveRecords(3, info, b)
  })

  it('pass on what they have of a third, which only one of them reaches', async () => {
    const [a, b, c] = [await start(), await start(), await start()]
    const info = await share(a, b, 5)
    await c.net.addThread(infoAt(b, info), { key: { service: info.key.service } })
    await haveRecords(5, info, c)
    await write(a, info, 5)
    await haveRecords(10, info, b, c)
  })
})

describe('a host that does without Sync', () => {
  it.each([
    ['joins', true],
    ['is joined', false],
  ])('is served with the calls of go-threads when it %s, and not asked again', async (_, joins) => {
    const [knowing, plain] = [await start(), await start({ syncs: false })]
    const [a, b] = joins ? [knowing, plain] : [plain, knowing]
    const info = await share(a, b, 20)
    await write(a, info, 5)
    await write(b, info, 5)
    await haveRecords(30, info, a, b)
    const looks = (): number => knowing.calls.filter((call) => call === 'exchangeEdges').length
    const looksBefore = looks()
    await expect.poll(looks, TIMEOUT).toBeGreaterThan(looksBefore + 2)
    expect(knowing.opened).toBeLessThanOrEqual(1)
    expect([...a.calls, ...b.calls]).toEqual(expect.arrayContaining(['pushRecord', 'exchangeEdges', 'getRecords']))
    expect(sent(plain, 'hello')).toBe(0)
  })
})

/** Each has told the other of all that it has stored. */
async function haveToldAll(...hosts: readonly Counted[]): Promise<void> {
  for (const { net, frames } of hosts) {
    const isBehind = (): boolean => (frames.findLast(({ told }) => told !== undefined)?.told ?? 0) < net.journal.lastSeq
    await expect.poll(isBehind, TIMEOUT).toBe(false)
  }
}

function addressOf({ net }: Counted): Address {
  return parseAddress(`${net.hostAddresses()[0] ?? ''}/p2p/${net.hostId}`)
}

function infoAt(host: Counted, { id }: ThreadInfo): Address {
  return parseAddress(`${addressOf(host)}/thread/${id}`)
}
