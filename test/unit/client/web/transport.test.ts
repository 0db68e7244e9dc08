/** Calls by fetch, to servers that answer badly. Good answers are those of the conformance suite. */
import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { concatBytes, utf8 } from '../../../../src/core/bytes.ts'
import { frameOf } from '../../../../src/client/web/frames.ts'
import { WebTransport } from '../../../../src/client/web/transport.ts'

let server: Server | undefined

afterEach(async () => {
  server?.closeAllConnections()
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)))
  server = undefined
})

/** A transport to a server that answers every call so. */
async function transportTo(answer: (response: ServerResponse) => void): Promise<WebTransport> {
  const listening = createServer((_request, response) => answer(response))
  server = listening
  await new Promise<void>((resolve) => listening.listen(0, '127.0.0.1', resolve))
  return new WebTransport(`http://127.0.0.1:${(listening.address() as AddressInfo).port}/`)
}

const call = (transport: WebTransport, signal?: AbortSignal): Promise<Uint8Array> =>
  transport.unary('/a.Service/Method', utf8('request'), { authorization: '', ...(signal && { signal }) })

function trailers(text: string): Uint8Array {
  const frame = frameOf(utf8(text))
  frame[0] = 0x80
  return frame
}

const reply = frameOf(utf8('reply'))
const ok = trailers('grpc-status: 0\r\n')

describe('a call by fetch', () => {
  it('is answered by the message, when the status is good', async () => {
    const transport = await transportTo((response) => response.end(concatBytes(reply, ok)))
    expect(await call(transport)).toEqual(utf8('reply'))
  })

  it('takes the status from the headers of an answer without a body', async () => {
    const headers = { 'grpc-status': '5', 'grpc-message': 'db%20not%20found', 'threads-error-code': 'DB_NOT_FOUND' }
    const transport = await transportTo((response) => response.writeHead(200, headers).end())
    await expect(call(transport)).rejects.toMatchObject({ code: 'DB_NOT_FOUND', message: 'db not found' })
  })

  it.each<[string, (response: ServerResponse) => void, string]>([
    ['an HTTP error', (response) => response.writeHead(502).end('bad gateway'), 'PEER_UNREACHABLE'],
    ['no gRPC-Web', (response) => response.end('<!doctype html>'), 'BAD_MESSAGE'],
    ['no status', (response) => response.end(reply), 'PEER_UNREACHABLE'],
    ['a status and no message', (response) => response.end(ok), 'BAD_MESSAGE'],
    ['a part of a message', (response) => response.end(reply.subarray(0, 7)), 'PEER_UNREACHABLE'],
    ['a message that is too large', (response) => response.end(Uint8Array.of(0, 255, 0, 0, 0)), 'TOO_LARGE'],
    [
      'a message and then a failure',
      (response) => response.end(concatBytes(reply, trailers('grpc-status:14\r\n'))),
      'PEER_UNREACHABLE',
    ],
    ['a method it does not know', (response) => response.end(trailers('grpc-status: 12\r\n')), 'PEER_REFUSED'],
    [
      'an unknown failure',
      (response) => response.end(trailers('grpc-status: 2\r\ngrpc-message: no\r\n')),
      'PEER_REFUSED',
    ],
    ['a cut connection', (response) => void response.write(reply, () => response.destroy()), 'PEER_UNREACHABLE'],
  ])('fails with %s', async (_, answer, code) => {
    await expect(call(await transportTo(answer))).rejects.toMatchObject({ code })
  })

  it('keeps a code that this version does not know in the hint', async () => {
    const text = 'grpc-status: 2\r\ngrpc-message: later\r\nthreads-error-code: FROM_THE_FUTURE\r\n'
    const transport = await transportTo((response) => response.end(trailers(text)))
    const failure = { code: 'PEER_REFUSED', message: 'later', hint: expect.stringContaining('FROM_THE_FUTURE') }
    await expect(call(transport)).rejects.toMatchObject(failure)
  })

  it('fails where nobody listens, and says which port is needed', async () => {
    const failure = { code: 'PEER_UNREACHABLE', hint: expect.stringContaining('6007') }
    await expect(call(new WebTransport('http://127.0.0.1:1'))).rejects.toMatchObject(failure)
  })

  it('is given up with the reason of its signal, and the server hears of it', async () => {
    const closed = Promise.withResolvers<void>()
    const giving = new AbortController()
    const transport = await transportTo((response) => {
      response.on('close', () => closed.resolve())
      response.write(reply)
      giving.abort('enough')
    })
    await expect(call(transport, giving.signal)).rejects.toBe('enough')
    await closed.promise
  })

  it('ends at the server too when the loop over its replies is left', async () => {
    const closed = Promise.withResolvers<void>()
    const transport = await transportTo((response) => {
      response.on('close', () => closed.resolve())
      response.write(reply)
    })
    for await (const _ of transport.replies('/a.Service/Method', utf8(''), { authorization: '' })) break
    await closed.promise
  })
})

describe('an address', () => {
  it.each(['', '127.0.0.1:6007', 'localhost', 'ws://127.0.0.1', '/ip4/127.0.0.1/tcp/6007'])('is not %j', (address) => {
    expect(() => new WebTransport(address)).toThrow(expect.objectContaining({ code: 'INVALID_ADDRESS' }))
  })
})
