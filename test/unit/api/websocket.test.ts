import { once } from 'node:events'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { APIDefinition } from '../../../src/api/gen/threads.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { callerIdentity, fixedRandom, startApi, type TestApi } from '../../support/api-server.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import type { FakeDatabase } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'
import { frameOf } from '../../support/web-client.ts'

const id = newThreadId('raw', fixedRandom)
const dbID = threadIdToBytes(id)
const { listDBs, writeTransaction } = APIDefinition.methods
const HEADERS = 'content-type: application/grpc-web+proto\r\nx-grpc-web: 1\r\n'
const END = Buffer.of(1)

let clock: FakeClock
let api: TestApi
let database: FakeDatabase

beforeEach(async () => {
  clock = new FakeClock()
  api = await startApi({ clock, corsOrigins: ['https://app.example'], maxMessageBytes: 64 * 1024 })
  database = await api.databases.create(id, { name: 'db', collections: [{ name: 'Dog', schema: '{}' }] })
})

afterEach(async () => {
  const stopped = api[Symbol.asyncDispose]()
  clock.advance(10_000)
  await stopped
})

function open(path: string, { protocol = 'grpc-websockets', origin = '' } = {}): WebSocket {
  const url = `${api.webUrl.replace('http:', 'ws:')}/threads.pb.API/${path}`
  return new WebSocket(url, protocol, origin === '' ? {} : { origin })
}

async function opened(path: string): Promise<{ socket: WebSocket; received: Buffer[] }> {
  const socket = open(path)
  const received: Buffer[] = []
  socket.on('message', (data: Buffer) => received.push(data))
  await once(socket, 'open')
  return { socket, received }
}

const data = (message: Uint8Array) => Buffer.concat([Buffer.of(0), frameOf(message)])

function transactionMessage(members: Parameters<typeof writeTransaction.requestType.fromPartial>[0]): Buffer {
  return data(writeTransaction.requestType.encode(writeTransaction.requestType.fromPartial(members)).finish())
}

const start = () =>
  transactionMessage({ option: { $case: 'startTransactionRequest', value: { dbID, collectionName: 'Dog' } } })
const create = () =>
  transactionMessage({ option: { $case: 'createRequest', value: { instances: [utf8('{"_id":"rex"}')] } } })

describe('a call over a websocket', () => {
  it('is answered with headers, frames and trailers, and a close', async () => {
    const { socket, received } = await opened('ListDBs')
    expect(socket.protocol).toBe('grpc-websockets')
    for (const message of [Buffer.from(HEADERS), data(new Uint8Array(0)), END]) socket.send(message)
    const [code, reason] = await once(socket, 'close')
    expect([code, String(reason)]).toEqual([1000, 'request body closed'])
    const [headers, reply, trailers] = received
    expect(headers?.[0]).toBe(0x80)
    expect(headers?.subarray(5).toString()).toBe('content-type: application/grpc+proto\r\ntrailer: Grpc-Status\r\n')
    expect(listDBs.responseType.decode(reply?.subarray(5) ?? Buffer.of()).dbs).toHaveLength(1)
    expect(trailers?.subarray(5).toString()).toBe('grpc-status: 0\r\n')
    expect(received).toHaveLength(3)
  })

  it('that fails before any reply is answered with one frame', async () => {
    const { socket, received } = await opened('GetDBInfo')
    for (const message of [Buffer.from(HEADERS), data(new Uint8Array(0)), END]) socket.send(message)
    await once(socket, 'close')
    expect(received.map((frame) => frame.subarray(5).toString())).toEqual([
      'content-type: application/grpc+proto\r\ntrailer: Grpc-Status\r\n' +
        'grpc-status: 3\r\ngrpc-message: reading%20varint:%20buffer%20too%20small\r\nthreads-error-code: INVALID_ID\r\n',
    ])
  })

  it('takes headers however they are written', async () => {
    const token = fakeNet(clock).issueToken(callerIdentity)
    const odd = `Host: http://127.0.0.1:6007\r\nnonsense\r\n: x\r\nAUTHORIZATION:   bearer ${token}\r\nauthorization: nonsense\r\n\r\n`
    const { socket, received } = await opened('ListDBs')
    for (const message of [Buffer.from(odd), data(new Uint8Array(0)), END]) socket.send(message)
    await once(socket, 'close')
    expect(received.at(-1)?.toString()).toContain('grpc-status: 0')
  })

  it('can be cut into messages anywhere behind their first bytes', async () => {
    const { socket, received } = await opened('ListDBs')
    const frame = frameOf(new Uint8Array(0))
    socket.send(Buffer.from(HEADERS))
    socket.send(Buffer.concat([Buffer.of(0), frame.subarray(0, 2)]))
    socket.send(Buffer.concat([Buffer.of(0), frame.subarray(2)]))
    socket.send(END)
    await once(socket, 'close')
    expect(received.at(-1)?.toString()).toContain('grpc-status: 0')
  })
})

describe('a write transaction over a websocket', () => {
  it.each([
    ['closes', (socket: WebSocket) => socket.close()],
    ['breaks', (socket: WebSocket) => socket.terminate()],
    ['sends nonsense', (socket: WebSocket) => socket.send(Buffer.of(7))],
    ['sends text', (socket: WebSocket) => socket.send('text')],
  ])('is never committed when the socket %s', async (_title, leave) => {
    const { socket } = await opened('WriteTransaction')
    for (const message of [Buffer.from(HEADERS), start(), create()]) socket.send(message)
    await once(socket, 'message')
    expect(database.openTransactions).toBe(1)
    leave(socket)
    await expect.poll(() => database.openTransactions).toBe(0)
    expect(database.commits).toBe(0)
  })

  it('is not committed when the socket closes with requests unread', async () => {
    const { socket } = await opened('WriteTransaction')
    for (const message of [Buffer.from(HEADERS), start(), ...Array.from({ length: 50 }, create)]) socket.send(message)
    socket.close()
    await once(socket, 'close')
    await expect.poll(() => database.openTransactions).toBe(0)
    expect(database.commits).toBe(0)
  })

  it('that fails in the middle ends with its first failure', async () => {
    const { socket, received } = await opened('WriteTransaction')
    const tooLarge = Buffer.concat([Buffer.of(0), frameOf(new Uint8Array(64 * 1024 + 1))])
    for (const message of [Buffer.from(HEADERS), start(), tooLarge, END]) socket.send(message)
    await once(socket, 'close')
    expect(received.at(-1)?.toString()).toContain('grpc-status: 8')
    expect(database.commits).toBe(0)
  })
})

describe('an upgrade', () => {
  it.each([
    ['Nope', {}],
    ['ListDBs', { protocol: 'other' }],
    ['ListDBs', { origin: 'https://evil.example' }],
  ])('to %s with %j is refused', async (path, options) => {
    const socket = open(path, options)
    const [, response] = await once(socket, 'unexpected-response')
    expect(response.statusCode).toBe(403)
  })

  it('of a page that may call is taken', async () => {
    const socket = open('ListDBs', { origin: 'https://app.example' })
    await once(socket, 'open')
    socket.close()
  })
})

describe('a socket that is silent', () => {
  it('is pinged at intervals', async () => {
    const { socket } = await opened('WriteTransaction')
    socket.send(Buffer.from(HEADERS))
    socket.send(start())
    await expect.poll(() => database.openTransactions).toBe(1)
    for (let i = 0; i < 20; i++) {
      const pinged = once(socket, 'ping')
      // The server's side of the socket may come up later than ours.
      await expect.poll(() => clock.pendingTimers).toBe(1)
      clock.advance(5_000)
      await pinged
    }
    socket.close()
    await expect.poll(() => clock.pendingTimers).toBe(0)
  })

  it('is given up when pings are not answered', async () => {
    const socket = new WebSocket(`${api.webUrl.replace('http:', 'ws:')}/threads.pb.API/Listen`, 'grpc-websockets', {
      autoPong: false,
    })
    await once(socket, 'open')
    await expect.poll(() => clock.pendingTimers).toBe(1)
    const closed = once(socket, 'close')
    clock.advance(13 * 5_000)
    expect((await closed)[0]).toBe(1006)
  })

  it('is given up when it never begins a call', async () => {
    const { socket } = await opened('Listen')
    const closed = once(socket, 'close')
    for (let count = 0; count < 12; count++) {
      const pinged = once(socket, 'ping')
      await expect.poll(() => clock.pendingTimers).toBe(1)
      clock.advance(5_000)
      await pinged
    }
    clock.advance(5_000)
    expect((await closed)[0]).toBe(1006)
  })

  it('is closed when its headers are too large', async () => {
    const { socket } = await opened('ListDBs')
    socket.send(Buffer.from(`x: ${'x'.repeat(64 * 1024)}\r\n`))
    expect((await once(socket, 'close'))[0]).toBe(1002)
  })
})
