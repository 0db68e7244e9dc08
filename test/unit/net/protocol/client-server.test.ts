/** The client and the server of the peer service, between hosts on loopback. */
import { connect } from 'node:http2'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, it } from 'vitest'
import { ThreadsError } from '../../../../src/core/errors.ts'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { PeerHost } from '../../../../src/net/host/libp2p-host.ts'
import { createPeerClient, type PeerClient } from '../../../../src/net/protocol/client.ts'
import { PROTOCOL } from '../../../../src/net/protocol/constants.ts'
import type { Handlers } from '../../../../src/net/protocol/handlers/handlers.ts'
import { pushRecordRequest } from '../../../../src/net/protocol/messages.ts'
import { servePeers } from '../../../../src/net/protocol/server.ts'
import { PeerRefusal, Status, StatusError } from '../../../../src/net/protocol/status.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { knows, newHost } from '../../../support/peer-host.ts'

const MIB = 1024 * 1024
const threadId = new FakeReplica().addThread()
const LOGS_REQUEST = { threadId, serviceKey: undefined }
const running: { close(): unknown }[] = []

afterEach(async () => {
  for (const each of running.splice(0).toReversed()) await each.close()
})

const unused = (): Promise<never> => Promise.reject(new Error('not expected'))
const NO_HANDLERS: Handlers = {
  getLogs: unused,
  pushLog: unused,
  getRecords: unused,
  pushRecord: unused,
  exchangeEdges: unused,
}

async function startHost(handlers: Partial<Handlers> = {}): Promise<PeerHost> {
  const host = await newHost()
  servePeers({ host, handlers: { ...NO_HANDLERS, ...handlers }, logger: silentLogger })
  await host.start()
  running.push(host)
  return host
}

async function clientOf(server: PeerHost): Promise<{ client: PeerClient; host: PeerHost; dials: () => number }> {
  const host = await startHost()
  knows(host, server)
  let dials = 0
  const client = createPeerClient({
    dial: (...args) => {
      dials++
      return host.dial(...args)
    },
  })
  running.push(client)
  return { client, host, dials: () => dials }
}

function bigRecord(bytes: number) {
  const small = new Uint8Array(1)
  const record = { recordNode: small, eventNode: small, headerNode: small, bodyNode: new Uint8Array(bytes).fill(1) }
  return { threadId, logId: newPeer().id, record, counter: 1 }
}

describe('a call', () => {
  it('is answered, and the handler knows who calls', async () => {
    const callers: string[] = []
    const server = await startHost({
      getLogs: async (_request, caller) => {
        callers.push(caller)
        return { logs: [], unreadable: 0 }
      },
    })
    const { client, host } = await clientOf(server)
    await expect(client.call(server.id, 'getLogs', LOGS_REQUEST)).resolves.toEqual({ logs: [], unreadable: 0 })
    expect(callers).toEqual([host.id])
  })

  it('shares one session with others', async () => {
    const server = await startHost({ pushRecord: async () => ({}) })
    const { client, dials } = await clientOf(server)
    await Promise.all(Array.from({ length: 100 }, () => client.call(server.id, 'pushRecord', bigRecord(10))))
    expect(dials()).toBe(1)
  })

  it('ends with the code and the text of a refusal, in any script', async () => {
    const text = 'no — ungültig ✗ 100%'
    const server = await startHost({ getLogs: () => Promise.reject(new StatusError(Status.notFound, text)) })
    const { client } = await clientOf(server)
    const refusal = await client.call(server.id, 'getLogs', LOGS_REQUEST).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(PeerRefusal)
    expect(refusal).toMatchObject({ code: 'PEER_REFUSED', status: Status.notFound, message: text })
  })

  it('tells nothing of a failure that is a bug', async () => {
    const server = await startHost({ getLogs: () => Promise.reject(new TypeError('secret')) })
    const { client } = await clientOf(server)
    const refusal = await client.call(server.id, 'getLogs', LOGS_REQUEST).catch((error: unknown) => error)
    expect(refusal).toMatchObject({ status: Status.internal, message: 'internal error' })
  })

  it('survives lone surrogates in the text of a refusal', async () => {
    const server = await startHost({ getLogs: () => Promise.reject(new ThreadsError('LOG_NOT_FOUND', 'x\ud800')) })
    const { client } = await clientOf(server)
    await expect(client.call(server.id, 'getLogs', LOGS_REQUEST)).rejects.toMatchObject({ status: Status.notFound })
  })

  it('ends when its signal does', async () => {
    const server = await startHost({ getLogs: () => new Promise(() => {}) })
    const { client } = await clientOf(server)
    const stop = new AbortController()
    const call = client.call(server.id, 'getLogs', LOGS_REQUEST, { signal: stop.signal })
    stop.abort(new Error('enough'))
    await expect(call).rejects.toThrow('enough')
  })

  it('goes over a new session once the peer was away', async () => {
    const server = await startHost({ getLogs: async () => ({ logs: [], unreadable: 0 }) })
    const { client, host, dials } = await clientOf(server)
    await client.call(server.id, 'getLogs', LOGS_REQUEST)
    await server.close()
    await expect(client.call(server.id, 'getLogs', LOGS_REQUEST)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    expect(dials()).toBe(2)
    const again = await startHost({ getLogs: async () => ({ logs: [], unreadable: 0 }) })
    knows(host, again)
    await client.call(again.id, 'getLogs', LOGS_REQUEST)
  })

  it('fails at a peer that is not there', async () => {
    const { client } = await clientOf(await startHost())
    await expect(client.call(newPeer().id, 'getLogs', LOGS_REQUEST)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
  })
})

describe('messages of up to 4 MiB', () => {
  it('wait at the peer while the host has no room for them', async () => {
    const gate = Promise.withResolvers<void>()
    let held = 0
    const server = await startHost({
      pushRecord: async () => {
        held++
        await gate.promise
        return {}
      },
      getLogs: async () => ({ logs: [], unreadable: 0 }),
    })
    const [{ client }, { client: other }] = [await clientOf(server), await clientOf(server)]
    const calls = Array.from({ length: 6 }, () => client.call(server.id, 'pushRecord', bigRecord(3.5 * MIB)))
    await expect.poll(() => held).toBe(2)
    for (let call = 0; call < 50; call++) await other.call(server.id, 'getLogs', LOGS_REQUEST)
    expect(held).toBe(2)
    gate.resolve()
    await Promise.all(calls)
    expect(held).toBe(6)
  })

  it('pass both ways, more at once than there is room for', async () => {
    const server = await startHost({
      pushRecord: async () => ({}),
      getRecords: async () => ({
        unreadable: 0,
        logs: [{ logId: newPeer().id, records: [bigRecord(3 * MIB).record], log: undefined }],
      }),
    })
    const { client } = await clientOf(server)
    const calls = Array.from({ length: 8 }, () => client.call(server.id, 'pushRecord', bigRecord(3.5 * MIB)))
    await Promise.all(calls)
    const request = { ...LOGS_REQUEST, logs: [] }
    const replies = await Promise.all([1, 2, 3, 4].map(() => client.call(server.id, 'getRecords', request)))
    for (const { logs } of replies) expect(logs[0]?.records[0]?.bodyNode).toHaveLength(3 * MIB)
  })

  it('are the largest that are sent', async () => {
    const server = await startHost()
    const { client } = await clientOf(server)
    await expect(client.call(server.id, 'pushRecord', bigRecord(4 * MIB))).rejects.toMatchObject({ code: 'TOO_LARGE' })
  })

  it('are the largest that are taken, and others do not suffer', async () => {
    const server = await startHost({ getLogs: async () => ({ logs: [], unreadable: 0 }) })
    const { host } = await clientOf(server)
    const session = rawSession(await host.dial(server.id, PROTOCOL))
    const large = pushRecordRequest.encode(bigRecord(4 * MIB))
    expect(await rawCall(session, '/net.pb.Service/PushRecord', framed(large))).toBe(Status.resourceExhausted)
    const announced = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
    expect(await rawCall(session, '/net.pb.Service/PushRecord', announced)).toBe(Status.resourceExhausted)
    expect(await rawCall(session, '/net.pb.Service/GetLogs', framed(new Uint8Array()))).toBe(Status.invalidArgument)
    session.destroy()
  })

  it('give back the room of calls that were cut off', async () => {
    const server = await startHost({ pushRecord: async () => ({}), getLogs: async () => ({ logs: [], unreadable: 0 }) })
    const { client, host } = await clientOf(server)
    const session = rawSession(await host.dial(server.id, PROTOCOL))
    const half = framed(new Uint8Array(2 * MIB)).subarray(0, MIB)
    const cut = Array.from({ length: 8 }, () => {
      const stream = openCall(session, '/net.pb.Service/PushRecord')
      stream.on('error', () => {})
      stream.write(half)
      return stream
    })
    await new Promise((resolve) => setImmediate(resolve))
    for (const stream of cut) stream.close()
    await client.call(server.id, 'getLogs', LOGS_REQUEST)
    await client.call(server.id, 'pushRecord', bigRecord(3 * MIB))
    session.destroy()
  })
})

function rawSession(duplex: Duplex) {
  const session = connect('http://peer', { createConnection: () => duplex })
  session.on('error', () => {})
  return session
}

function openCall(session: ReturnType<typeof rawSession>, path: string) {
  return session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' })
}

function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** The status a call ends with. */
function rawCall(session: ReturnType<typeof rawSession>, path: string, bytes: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const stream = openCall(session, path)
    const read = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']))
    }
    stream.on('response', read)
    stream.on('trailers', read)
    stream.on('error', reject)
    stream.resume()
    stream.end(bytes)
  })
}
