/**
 * What a client may try. Each time the daemon stays up, an honest client is answered meanwhile, what the daemon takes of
 * memory stays under the bound of ARCHITECTURE.md, and when the client goes nothing of it is left.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { constants } from 'node:http2'
import type { Socket } from 'node:net'
import { status } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  FindRequest,
  ListenRequest,
  ReadTransactionRequest,
  WriteTransactionRequest,
} from '../../src/api/gen/threads.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { DogClient } from '../support/dog-client.ts'
import { grpcTransport, type Transport } from '../support/grpc-client.ts'
import { claim, closed, HostileClient, outcomeOf, textUntilOver, webSocketFrame } from '../support/hostile-client.ts'
import { frameOf, webSocketTransport } from '../support/web-client.ts'

const MIB = 1024 * 1024
/** Of all that clients can make the daemon hold, with the daemon itself. */
const RSS_BOUND = 1536 * MIB
const MAX_MESSAGE_BYTES = 4 * MIB
const MAX_CONNECTIONS = 4_000
const CALLS_OF_CONNECTION = 1_000
const BATCH = 200
const API = '/threads.pb.API'
const PATIENT = { timeout: 60_000 }

// Seconds where nothing else runs.
vi.setConfig({ testTimeout: 120_000, hookTimeout: 120_000 })

let daemon: TestDaemon
let transport: Transport
let honest: DogClient
let hostile: HostileClient
let openFiles: number
let slow: { client: HostileClient; closed: Promise<unknown>[]; cancel: () => void }

beforeAll(async () => {
  daemon = await startDaemon({ flags: { transactionIdle: '1h', transactionTotal: '1h' } })
  transport = grpcTransport(daemon.grpcAddress)
  honest = await DogClient.create(transport)
  slow = startSlowOnes()
  openFiles = filesOf(daemon)
})

afterAll(async () => {
  slow.cancel()
  transport[Symbol.dispose]()
  await daemon[Symbol.asyncDispose]()
})

beforeEach(() => {
  hostile = newHostile()
})

afterEach(async () => {
  hostile.leave()
  // Also a lock that the hostile client held is free.
  await honestGoesOn()
  expect(peakOf(daemon)).toBeLessThan(RSS_BOUND)
  await expect.poll(() => filesOf(daemon), PATIENT).toBeLessThanOrEqual(openFiles + 10)
  using web = webSocketTransport(daemon.webAddress)
  expect(await new DogClient(web, honest.dbID).has('nobody')).toBe(false)
})

function newHostile(): HostileClient {
  const portOf = (address: string): number => Number(address.split(':').at(-1))
  return new HostileClient({ grpc: portOf(daemon.grpcAddress), web: portOf(daemon.webAddress) })
}

/** The honest client reads and writes. */
async function honestGoesOn(): Promise<void> {
  await honest.create()
  expect(await honest.has('nobody')).toBe(false)
}

/** The same while nobody can write. */
async function honestReads(): Promise<void> {
  for (let count = 0; count < 20; count++) expect(await honest.has('nobody')).toBe(false)
}

/** Largest resident size of the process so far, in bytes. */
function peakOf({ pid }: TestDaemon): number {
  const [, kib] = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? []
  return Number(kib) * 1024
}

function filesOf({ pid }: TestDaemon): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Connections that never get to a request, or only at a byte a second. */
function startSlowOnes(): typeof slow {
  const client = newHostile()
  const silent = [client.socket('grpc'), client.socket('web')]
  const texts: [Socket, string][] = [
    [client.socket('grpc'), 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    [client.socket('web'), `POST ${API}/ListDBs HTTP/1.1\r\nhost: x\r\nx-long: ${'x'.repeat(1000)}`],
  ]
  let at = 0
  const timer = setInterval(() => {
    for (const [socket, text] of texts) if (socket.writable) socket.write(text.slice(at, at + 1))
    at++
  }, 1_000)
  const body = client.post(`${API}/ListDBs`, Buffer.of(0), { length: 1_000 })
  const bodyTimer = setInterval(() => body.write(Buffer.of(0)), 1_000)
  return {
    client,
    closed: [...silent, ...texts.map(([socket]) => socket)].map(closed),
    cancel: () => {
      clearInterval(timer)
      clearInterval(bodyTimer)
      client.leave()
    },
  }
}

const dogs = () => ({ dbID: honest.dbID, collectionName: 'Dog' })
const listenFrame = () => frameOf(ListenRequest.encode(ListenRequest.fromPartial({ dbID: honest.dbID })).finish())

function readFrame(): Buffer {
  const start = { option: { $case: 'startTransactionRequest', value: dogs() } } as const
  return frameOf(ReadTransactionRequest.encode(ReadTransactionRequest.fromPartial(start)).finish())
}

function writeFrame(): Buffer {
  const start = { option: { $case: 'startTransactionRequest', value: dogs() } } as const
  return frameOf(WriteTransactionRequest.encode(WriteTransactionRequest.fromPartial(start)).finish())
}

function findFrame(): Buffer {
  return frameOf(FindRequest.encode(FindRequest.fromPartial({ ...dogs(), queryJSON: Buffer.from('{}') })).finish())
}

/** Writes again and again, as fast as it is read, until the connection is closed or that many bytes are gone. */
async function flood(
  to: Socket | ReturnType<HostileClient['call']>,
  chunk: Uint8Array,
  maxBytes: number,
): Promise<void> {
  const ended = new Promise<void>((resolve) => to.once('close', () => resolve()))
  for (let sent = 0; sent < maxBytes && !to.destroyed; sent += chunk.length) {
    if (!to.write(chunk)) await Promise.race([new Promise<void>((resolve) => to.once('drain', () => resolve())), ended])
  }
}

describe('a client that opens all it can', () => {
  it('has 10,000 streams over HTTP/2, and then one for each connection', async () => {
    for (let connection = 0; connection < 10; connection++) {
      const session = hostile.session()
      for (let count = 0; count < CALLS_OF_CONNECTION / 2; count++) {
        hostile.call(session, `${API}/Listen`, listenFrame()).end()
        hostile.call(session, `${API}/ReadTransaction`, readFrame())
      }
      expect(await honest.has('nobody')).toBe(false)
    }
    const last = hostile.session()
    const [, second] = [1, 2].map(() => outcomeOf(hostile.call(last, `${API}/ReadTransaction`, readFrame())))
    expect(await second).toMatchObject({ status: status.RESOURCE_EXHAUSTED })
    await honestGoesOn()
  })

  it.each([
    ['websockets', () => hostile.webSocket(`${API}/Listen`, listenFrame())],
    ['connections that say nothing', () => hostile.socket('grpc')],
  ])('has thousands of %s, and no more than that', async (_what, open) => {
    const ends: Promise<void>[] = []
    while (ends.length < MAX_CONNECTIONS + BATCH) {
      ends.push(...Array.from({ length: BATCH }, () => closed(open())))
      // No more at once than the system keeps for the daemon to accept.
      expect(await honest.has('nobody')).toBe(false)
    }
    await Promise.all([Promise.race(ends), honestGoesOn()])
  })

  it('has transactions that wait for one another: they end with it', async () => {
    const session = hostile.session()
    for (let count = 0; count < 500; count++) hostile.call(session, `${API}/WriteTransaction`, writeFrame())
    for (let count = 0; count < 50; count++) hostile.webSocket(`${API}/WriteTransaction`, writeFrame())
    await honestReads()
  })

  it('opens streams and resets them at once', async () => {
    const session = hostile.session()
    const ended = new Promise<void>((resolve) => session.once('close', () => resolve()))
    const reset = async (): Promise<void> => {
      while (!session.destroyed && !session.closed) {
        for (let count = 0; count < 500 && !session.closed; count++) {
          hostile.call(session, `${API}/Listen`, listenFrame()).close(constants.NGHTTP2_CANCEL)
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    await Promise.all([ended, reset(), honestGoesOn()])
  })
})

describe('a client that sends more than it may', () => {
  it('claims a message of 1 GiB: it is refused before it is read', async () => {
    const call = hostile.call(hostile.session(), `${API}/WriteTransaction`, claim(1024 * MIB))
    expect(await outcomeOf(call)).toMatchObject({ status: status.RESOURCE_EXHAUSTED })
    expect(await textUntilOver(hostile.webSocket(`${API}/WriteTransaction`, claim(1024 * MIB)))).toContain(
      'grpc-status: 8',
    )
    expect(await textUntilOver(hostile.post(`${API}/Create`, claim(1024 * MIB)))).toContain('grpc-status: 8')
  })

  it('sends hundreds of messages, but not their last bytes, over HTTP/2', async () => {
    const almost = claim(MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES - 1)
    const session = hostile.session()
    const ended = Array.from({ length: 120 }, () => outcomeOf(hostile.call(session, `${API}/Create`, almost)))
    expect(await Promise.race(ended)).toMatchObject({ reset: constants.NGHTTP2_ENHANCE_YOUR_CALM })
    await honestGoesOn()
  })

  it.each([
    ['in one piece', (bytes: Buffer) => [bytes]],
    ['in fragments', (bytes: Buffer) => [bytes.subarray(0, -9), Buffer.alloc(0)]],
  ])('sends hundreds of messages, but not their last bytes, over websockets, %s', async (_how, cut) => {
    const [payload = Buffer.of()] = cut(Buffer.concat([Buffer.of(0), claim(MAX_MESSAGE_BYTES, MAX_MESSAGE_BYTES)]))
    const first = cut(payload).length === 1 ? 0x82 : 0x02
    const almost = webSocketFrame(payload, { first }).subarray(0, -1)
    const ended = Array.from({ length: 100 }, () => {
      const socket = hostile.webSocket(`${API}/WriteTransaction`, writeFrame())
      socket.write(almost)
      return closed(socket)
    })
    await Promise.race(ended)
    await honestReads()
  })

  it('sends messages without end that nobody reads', async () => {
    hostile.call(hostile.session(), `${API}/WriteTransaction`, writeFrame())
    const empty = Buffer.concat(Array.from({ length: 10_000 }, () => frameOf(new Uint8Array(0))))
    const piece = webSocketFrame(Buffer.concat([Buffer.of(0), empty]))
    const tiny = Buffer.concat(Array.from({ length: 8_000 }, () => webSocketFrame(Buffer.of(0, 0))))
    const floods = [
      flood(hostile.call(hostile.session(), `${API}/WriteTransaction`, writeFrame()), empty, 64 * MIB),
      flood(hostile.webSocket(`${API}/WriteTransaction`, writeFrame()).resume(), piece, 64 * MIB),
      flood(hostile.webSocket(`${API}/WriteTransaction`, writeFrame()).resume(), tiny, 64 * MIB),
    ]
    await Promise.race([Promise.all(floods), honestReads()])
    await honestReads()
  })

  it('pings without end, and takes no pongs', async () => {
    const pings = Buffer.concat(Array.from({ length: 500 }, () => webSocketFrame(Buffer.alloc(125), { first: 0x89 })))
    const socket = hostile.webSocket(`${API}/Listen`, listenFrame()).pause()
    await Promise.race([flood(socket, pings, 256 * MIB), honestReads()])
    await honestReads()
  })

  it('sends a text of base64 with nothing in it', async () => {
    const text = Buffer.from('A=A='.repeat(MIB))
    expect(await textUntilOver(hostile.post(`${API}/Create`, text, { format: '-text' }))).not.toBe('')
    await honestGoesOn()
  })

  it('sends headers of megabytes', async () => {
    const long = 'x'.repeat(2 * MIB)
    const http = hostile.socket('web')
    http.write(`POST ${API}/ListDBs HTTP/1.1\r\nx-long: ${long}\r\n\r\n`)
    expect(await textUntilOver(http)).toMatch(/^(HTTP\/1.1 431|$)/)
    const session = hostile.session()
    const stream = session.request({ ':method': 'POST', ':path': `${API}/ListDBs`, 'x-long': long })
    stream.on('error', () => {})
    await once(stream, 'close').catch(() => {})
    const socket = hostile.webSocket(`${API}/Listen`)
    socket.write(webSocketFrame(Buffer.from(`x-long: ${long}`)))
    await textUntilOver(socket)
    await honestGoesOn()
  })
})

describe('a client that asks for more than it takes', () => {
  it.each(['HTTP/2', 'websockets'])('never reads a large reply over %s', async (way) => {
    for (let count = 0; count < 6; count++) await honest.createLarge(`${way} ${count}`, 3 * MIB)
    const session = hostile.session({ initialWindowSize: 0 })
    const ended = Array.from({ length: 60 }, () => {
      if (way === 'HTTP/2') return outcomeOf(hostile.call(session, `${API}/Find`, findFrame()).end())
      const socket = hostile.webSocket(`${API}/Find`, findFrame()).pause()
      return new Promise<void>((resolve) => socket.on('close', () => resolve()))
    })
    const first = Promise.race(ended)
    if (way === 'HTTP/2') expect(await first).toMatchObject({ reset: constants.NGHTTP2_ENHANCE_YOUR_CALM })
    await honestGoesOn()
  })
})

describe('a client that speaks nonsense', () => {
  const preface = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')

  it('sends garbage to both servers', async () => {
    const ended = Array.from({ length: 100 }, (_, count) => {
      const socket = hostile.socket(count % 2 === 0 ? 'grpc' : 'web')
      if (count % 4 === 0) socket.write(preface)
      socket.end(randomBytes(10_000))
      return textUntilOver(socket)
    })
    await Promise.all([...ended, honestGoesOn()])
  })

  it.each([
    ['longer than the body', claim(10, 3), '', 'grpc-status: 13'],
    ['longer than allowed', claim(2 ** 32 - 1), '', 'grpc-status: 8'],
    ['of a packed message', Buffer.of(1, 0, 0, 0, 0), '', 'grpc-status: 12'],
    ['cut in two', Buffer.of(0, 0), '', 'grpc-status: 13'],
  ])('sends a frame of gRPC-Web with a length %s', async (_what, body, format, answer) => {
    expect(await textUntilOver(hostile.post(`${API}/ListDBs`, body, { format }))).toContain(answer)
    const text = Buffer.from(body.toString('base64'))
    const reply = await textUntilOver(hostile.post(`${API}/ListDBs`, text, { format: '-text' }))
    expect(reply).toContain('application/grpc-web-text')
  })

  it.each([
    ['unmasked', webSocketFrame(Buffer.of(0), { mask: false })],
    ['of 2^62 bytes', Buffer.of(0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)],
    ['with unknown bits', webSocketFrame(Buffer.of(0), { first: 0xf2 })],
    ['with an unknown code', webSocketFrame(Buffer.of(0), { first: 0x87 })],
    [
      'in fragments without end',
      Buffer.concat(
        Array.from({ length: 20_000 }, (_, count) => webSocketFrame(Buffer.of(0), { first: count === 0 ? 0x02 : 0 })),
      ),
    ],
  ])('sends frames of a websocket %s', async (_what, frames) => {
    const socket = hostile.webSocket(`${API}/WriteTransaction`, writeFrame())
    socket.write(frames)
    await Promise.all([textUntilOver(socket), honestReads()])
  })
})

it('a client that is silent, or sends a byte a second, is not waited for', async () => {
  await Promise.all([...slow.closed, honestGoesOn()])
  // The body of a request may take longer.
  slow.cancel()
})
