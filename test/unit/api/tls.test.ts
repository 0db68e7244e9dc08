import { once } from 'node:events'
import { request } from 'node:https'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { Client, credentials } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { WebSocket } from 'ws'
import { startApi, type TestApi } from '../../support/api-server.ts'
import { tlsIdentity } from '../../support/tls/identities.ts'

const [first, second] = [tlsIdentity('first'), tlsIdentity('second')]
/** HealthCheckResponse { status: SERVING }. */
const SERVING = Buffer.from([0x08, 0x01])
const CHECK = '/grpc.health.v1.Health/Check'

let api: TestApi
beforeEach(async () => {
  api = await startApi({ tls: first })
})
afterEach(() => api[Symbol.asyncDispose]())

const portOf = (address: string): number => Number(address.split(':').at(-1))

async function check(client: Client): Promise<Buffer> {
  const asIs = (bytes: Buffer): Buffer => bytes
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(CHECK, asIs, asIs, Buffer.alloc(0), (error, reply) => {
      if (error === null) resolve(reply ?? Buffer.alloc(0))
      else reject(error)
    })
  })
}

async function withGrpc<T>(ca: string, work: (client: Client) => Promise<T>): Promise<T> {
  const client = new Client(api.grpcAddress, credentials.createSsl(Buffer.from(ca)))
  try {
    return await work(client)
  } finally {
    client.close()
  }
}

/** Common name of the certificate that a new connection is shown. */
async function shownOn(address: string, protocol: string): Promise<string | string[] | undefined> {
  const ca = [first.cert, second.cert]
  const socket: TLSSocket = connectTls({ host: '127.0.0.1', port: portOf(address), ca, ALPNProtocols: [protocol] })
  await once(socket, 'secureConnect')
  const { CN } = socket.getPeerCertificate().subject
  socket.destroy()
  return CN
}

async function answerOfWeb(ca: string): Promise<number | undefined> {
  const headers = { 'content-type': 'application/grpc-web+proto' }
  const call = request(`${api.webUrl.replace('http:', 'https:')}${CHECK}`, { method: 'POST', headers, ca })
  call.end(Buffer.alloc(5))
  const [response] = await once(call, 'response')
  response.resume()
  return response.statusCode
}

describe('an API with a certificate', () => {
  it('answers gRPC over TLS', async () => {
    expect(await withGrpc(first.cert, check)).toEqual(SERVING)
    await expect(withGrpc(second.cert, check)).rejects.toThrow('UNAVAILABLE')
  })

  it('answers gRPC-Web and websockets over TLS', async () => {
    expect(await answerOfWeb(first.cert)).toBe(200)
    await expect(answerOfWeb(second.cert)).rejects.toMatchObject({ code: 'DEPTH_ZERO_SELF_SIGNED_CERT' })
    const url = `${api.webUrl.replace('http:', 'wss:')}${CHECK}`
    const socket = new WebSocket(url, 'grpc-websockets', { ca: first.cert })
    await once(socket, 'open')
    socket.terminate()
  })

  it('hears nobody without TLS', async () => {
    for (const address of [api.grpcAddress, api.webUrl]) {
      const socket = connectTcp(portOf(address), '127.0.0.1')
      let heard = ''
      socket.on('error', () => {}).on('data', (data) => (heard += data.toString('latin1')))
      socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
      await once(socket, 'close')
      expect(heard).not.toContain('HTTP')
    }
  })

  it('shows new connections a new one, and keeps those that are open', async () => {
    await withGrpc(first.cert, async (client) => {
      expect(await check(client)).toEqual(SERVING)
      api.renewTls(second)
      expect(await shownOn(api.grpcAddress, 'h2')).toBe('second')
      expect(await shownOn(api.webUrl, 'http/1.1')).toBe('second')
      expect(await check(client)).toEqual(SERVING)
    })
    expect(await withGrpc(second.cert, check)).toEqual(SERVING)
  })

  it('keeps the old one if the new one does not fit its key', async () => {
    expect(() => api.renewTls({ cert: second.cert, key: first.key })).toThrow()
    expect(() => api.renewTls({ cert: '', key: 'garbage' })).toThrow()
    expect(await shownOn(api.grpcAddress, 'h2')).toBe('first')
    expect(await withGrpc(first.cert, check)).toEqual(SERVING)
  })
})
