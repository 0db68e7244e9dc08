import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../../../src/api/index.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { fixedRandom, startApi, type TestApi } from '../../support/api-server.ts'
import { FakeDatabases } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'

const PATH = '/threads.pb.API/ListDBs'
const origin = 'https://app.example'
const grpcWeb = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1' }
const emptyFrame = Buffer.alloc(5)

let api: TestApi

beforeEach(async () => {
  api = await startApi({ corsOrigins: [origin] })
})

afterEach(() => api[Symbol.asyncDispose]())

describe('gRPC-Web over HTTP', () => {
  it('answers 200 with frames, the last of them the trailers, in the format of the request', async () => {
    const answer = await fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers: grpcWeb, body: emptyFrame })
    expect(answer.status).toBe(200)
    expect(answer.headers.get('content-type')).toBe('application/grpc-web+proto')
    const body = Buffer.from(await answer.arrayBuffer())
    expect(body.toString('latin1')).toBe('\0\0\0\0\0\x80\0\0\0\x10grpc-status: 0\r\n')
  })

  it('takes text that is cut and padded anywhere', async () => {
    const headers = { ...grpcWeb, 'content-type': 'application/grpc-web-text' }
    const encoded = `${emptyFrame.subarray(0, 1).toString('base64')}${emptyFrame.subarray(1).toString('base64')}`
    const answer = await fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers, body: encoded })
    expect(answer.headers.get('content-type')).toBe('application/grpc-web-text')
    expect(await answer.text()).toBe(
      emptyFrame.toString('base64') + Buffer.from('\x80\0\0\0\x10grpc-status: 0\r\n', 'latin1').toString('base64'),
    )
  })

  it('refuses a message that breaks off', async () => {
    const body = Buffer.from([0, 0, 0, 0, 9, 1])
    const answer = await fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers: grpcWeb, body })
    expect(await answer.text()).toContain('grpc-status: 13\r\ngrpc-message: unexpected%20EOF')
  })

  it('says which method is unknown', async () => {
    const url = `${api.webUrl}/threads.pb.API/Nope`
    const answer = await fetch(url, { method: 'POST', headers: grpcWeb, body: emptyFrame })
    const message = encodeURI('unknown method Nope for service threads.pb.API')
    expect(await answer.text()).toContain(`grpc-status: 12\r\ngrpc-message: ${message}`)
  })

  it('goes on serving a connection whose request was left unread', async () => {
    const tooLarge = Buffer.alloc(6 * 1024 * 1024)
    tooLarge.writeUInt32BE(tooLarge.length - 5, 1)
    for (let i = 0; i < 3; i++) {
      const refused = await fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers: grpcWeb, body: tooLarge })
      expect(await refused.text()).toContain('grpc-status: 8')
      const answer = await fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers: grpcWeb, body: emptyFrame })
      expect(await answer.text()).toContain('grpc-status: 0')
    }
  })
})

describe('other origins', () => {
  const preflight = {
    'access-control-request-method': 'POST',
    'access-control-request-headers': 'x-grpc-web,authorization',
  }

  it('are told in the preflight whether they may call', async () => {
    const ask = (from: string) =>
      fetch(`${api.webUrl}${PATH}`, { method: 'OPTIONS', headers: { ...preflight, origin: from } })
    const allowed = await ask(origin)
    expect(allowed.status).toBe(200)
    expect(allowed.headers.get('access-control-allow-origin')).toBe(origin)
    expect(allowed.headers.get('vary')).toBe('Origin, Access-Control-Request-Method, Access-Control-Request-Headers')
    const refused = await ask('https://evil.example')
    expect(refused.headers.get('access-control-allow-origin')).toBeNull()
  })

  it('cannot call without asking', async () => {
    const call = (from: string) =>
      fetch(`${api.webUrl}${PATH}`, { method: 'POST', headers: { ...grpcWeb, origin: from }, body: emptyFrame })
    expect((await call(origin)).headers.get('access-control-allow-origin')).toBe(origin)
    expect((await call('https://evil.example')).status).toBe(403)
  })
})

describe('requests that are no calls', () => {
  it.each([
    ['GET', '/', {}],
    ['GET', PATH, {}],
    ['POST', PATH, { 'content-type': 'application/json' }],
    ['OPTIONS', PATH, {}],
    ['OPTIONS', '/threads.pb.API/Nope', { 'access-control-request-headers': 'x-grpc-web' }],
  ])('%s %s %j: not found', async (method, path, headers) => {
    const answer = await fetch(`${api.webUrl}${path}`, { method, headers })
    expect(answer.status).toBe(404)
  })

  it('go to the fallback if there is one', async () => {
    const free = { host: '127.0.0.1', port: 0 }
    const other = createApi({
      net: fakeNet(systemClock),
      databases: new FakeDatabases(),
      clock: systemClock,
      random: fixedRandom,
      logger: silentLogger,
      options: { grpc: free, web: free },
      fallback: (request, response) => response.end(`you asked for ${request.url}`),
    })
    const { web } = await other.start()
    const answer = await fetch(`http://${web.host}:${web.port}/console?x=1`)
    expect(await answer.text()).toBe('you asked for /console?x=1')
    await other.stop()
  })
})

it('says which address it cannot have, and can be stopped then', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' ? (address?.port ?? 0) : 0
  await expect(startApi({ web: { host: '127.0.0.1', port } })).rejects.toThrow(
    new RegExp(`^cannot serve gRPC-Web on 127.0.0.1:${port}: .*EADDRINUSE`),
  )
  taken.close()
})

describe('options', () => {
  it.each([{ maxMessageBytes: 1 }, { keepAliveIntervalMs: 10 }, { stopTimeoutMs: -1 }, { stopTimeoutMs: Number.NaN }])(
    '%j are refused',
    async (options) => {
      const [name] = Object.keys(options)
      const refused = { name: 'TypeError', message: expect.stringContaining(`${name} must be from`) }
      await expect(startApi(options)).rejects.toMatchObject(refused)
    },
  )
})
