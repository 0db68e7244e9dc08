import { once } from 'node:events'
import { type ClientHttp2Session, connect, createServer, type Http2Server, type ServerHttp2Session } from 'node:http2'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { roundTrip, sessionOf } from '../../../src/api/round-trip.ts'

let server: Http2Server
let client: ClientHttp2Session
let session: ServerHttp2Session
let pings: number

beforeEach(async () => {
  server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  client = connect(`http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`)
  client.on('error', () => {})
  pings = 0
  client.on('ping', () => pings++)
  ;[session] = await once(server, 'session')
})

afterEach(() => {
  client.destroy()
  server.close()
})

describe('a round trip', () => {
  it('is answered by a client that is there', async () => {
    expect(await roundTrip(session)).toBe(true)
  })

  it('is shared by those that ask while another one is under way', async () => {
    expect(await Promise.all(Array.from({ length: 100 }, () => roundTrip(session)))).not.toContain(false)
    const first = roundTrip(session)
    await expect.poll(() => pings).toBe(2)
    const others = Array.from({ length: 100 }, () => roundTrip(session))
    expect(await Promise.all([first, ...others])).not.toContain(false)
    expect(pings).toBe(3)
  })

  it('is not answered by one that is gone, before or meanwhile', async () => {
    const answered = roundTrip(session)
    client.destroy()
    expect(await answered).toBe(false)
    expect(await roundTrip(session)).toBe(false)
  })
})

it('calls that are none have no session', () => {
  for (const call of [{}, { call: undefined }, { call: {} }, { call: { stream: {} } }]) {
    expect(sessionOf(call)).toBeUndefined()
  }
})
