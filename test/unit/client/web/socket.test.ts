/** Calls over websockets, with servers that behave badly. Good ones are those of the conformance suite. */
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type WebSocket as ServerSocket, WebSocketServer } from 'ws'
import { concatBytes, utf8 } from '../../../../src/core/bytes.ts'
import { frameOf } from '../../../../src/client/web/frames.ts'
import { openSocket } from '../../../../src/client/web/socket.ts'
import type { MessageStream } from '../../../../src/client/transport.ts'

let server: WebSocketServer
let peer: Promise<ServerSocket>
/** What the client sent, in order. */
let received: Buffer[]

beforeEach(async () => {
  received = []
  server = new WebSocketServer({ port: 0, host: '127.0.0.1', handleProtocols: () => 'grpc-websockets' })
  await new Promise((resolve) => server.once('listening', resolve))
  peer = new Promise((resolve) => {
    server.once('connection', (socket) => {
      socket.on('message', (data: Buffer) => received.push(data))
      resolve(socket)
    })
  })
})
afterEach(async () => {
  for (const socket of server.clients) socket.terminate()
  await new Promise((resolve) => server.close(resolve))
})

function open(signal?: AbortSignal): MessageStream {
  const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const options = { authorization: 'bearer x', ...(signal && { signal }) }
  return openSocket({ address, hint: 'Start it.' }, '/a.Service/Method', options)
}

function trailers(text: string): Uint8Array {
  const frame = frameOf(utf8(text))
  frame[0] = 0x80
  return frame
}

const closeOf = (socket: ServerSocket) => new Promise((resolve) => socket.once('close', resolve))

describe('a call over a websocket', () => {
  it('sends headers, messages and the half-close, and ends with the status', async () => {
    const stream = open()
    stream.send(utf8('one'))
    stream.halfClose()
    const socket = await peer
    await expect.poll(() => received.length).toBe(3)
    expect(received[0]?.toString()).toContain('authorization: bearer x\r\n')
    expect(received[1]).toEqual(Buffer.from(concatBytes(Uint8Array.of(0), frameOf(utf8('one')))))
    expect(received[2]).toEqual(Buffer.of(1))
    socket.send(trailers('content-type: x\r\n'))
    socket.send(concatBytes(frameOf(utf8('two')), trailers('grpc-status: 0\r\n')))
    socket.close()
    expect(await stream.receive()).toEqual(utf8('two'))
    expect(await stream.receive()).toBeUndefined()
    expect(await stream.receive()).toBeUndefined()
  })

  it('tells all that came before the failure', async () => {
    const stream = open()
    const socket = await peer
    socket.send(frameOf(utf8('one')))
    socket.send(trailers('grpc-status: 10\r\nthreads-error-code: TRANSACTION_TIMEOUT\r\n'))
    socket.close()
    expect(await stream.receive()).toEqual(utf8('one'))
    await expect(stream.receive()).rejects.toMatchObject({ code: 'TRANSACTION_TIMEOUT' })
  })

  it.each<[string, (socket: ServerSocket) => void, string]>([
    ['the connection is lost', (socket) => socket.terminate(), 'PEER_UNREACHABLE'],
    ['the server closes without a status', (socket) => socket.close(), 'PEER_UNREACHABLE'],
    ['the server sends a text', (socket) => socket.send('hello'), 'BAD_MESSAGE'],
    ['the server sends what is no frame', (socket) => socket.send(utf8('hello')), 'BAD_MESSAGE'],
    ['a message is too large', (socket) => socket.send(Uint8Array.of(0, 255, 0, 0, 0)), 'TOO_LARGE'],
  ])('fails when %s', async (_, act, code) => {
    const stream = open()
    act(await peer)
    await expect(stream.receive()).rejects.toMatchObject({ code })
  })

  it('fails where no daemon takes it', async () => {
    const stream = openSocket({ address: 'http://127.0.0.1:1', hint: '' }, '/a/B', { authorization: '' })
    stream.send(utf8('lost'))
    await expect(stream.receive()).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })

  it('keeps no more than it may of what nobody reads, and loses nothing of that', async () => {
    const stream = open()
    const socket = await peer
    const closed = closeOf(socket)
    const message = frameOf(new Uint8Array(1024 * 1024))
    for (let sent = 0; sent < 40; sent++) socket.send(message)
    await closed
    let kept = 0
    const reading = async () => {
      for (; ; kept++) await stream.receive()
    }
    await expect(reading()).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    expect(kept).toBeGreaterThan(15)
    expect(kept).toBeLessThan(20)
  })

  it.each<[string, (stream: MessageStream, giving: AbortController) => void]>([
    ['cancelled', (stream) => stream.cancel()],
    ['aborted', (_stream, giving) => giving.abort('enough')],
  ])('closes without a half-close when it is %s', async (_, end) => {
    const giving = new AbortController()
    const stream = open(giving.signal)
    stream.send(utf8('one'))
    const socket = await peer
    const closed = closeOf(socket)
    await expect.poll(() => received.length).toBe(2)
    end(stream, giving)
    await closed
    stream.send(utf8('late'))
    expect(received.length).toBe(2)
  })

  it('is not begun when its signal is aborted already', async () => {
    const stream = open(AbortSignal.abort('before'))
    await expect(stream.receive()).rejects.toMatchObject({ code: 'CLOSED', cause: 'before' })
  })
})
