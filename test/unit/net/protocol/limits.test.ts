/** What a peer may use of a host, whatever it sends and however slowly. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from 'node:http2'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { silentLogger } from '../../../../src/core/logger.ts'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import type { Accept } from '../../../../src/net/host/libp2p-host.ts'
import {
  MAX_HOST_CALLS,
  MAX_MESSAGE_BYTES,
  MAX_PEER_CALLS,
  MAX_PEER_SESSIONS,
} from '../../../../src/net/protocol/constants.ts'
import type { Handlers } from '../../../../src/net/protocol/handlers/handlers.ts'
import { methods } from '../../../../src/net/protocol/methods.ts'
import { servePeers } from '../../../../src/net/protocol/server.ts'
import { PeerSession } from '../../../../src/net/protocol/session.ts'
import { Status } from '../../../../src/net/protocol/status.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'
import { streamPair } from '../../../support/stream-pair.ts'

const REPLY = { logs: [], unreadable: 0 }
const REQUEST = { threadId: new FakeReplica().addThread(), serviceKey: undefined }
const OPTIONS = { timeoutMs: 60_000, maxReplyBytes: MAX_MESSAGE_BYTES }
/** Two bytes stand for an empty part. */
const BOMB = new Uint8Array(MAX_MESSAGE_BYTES - 2).map((_, at) => (at % 2 === 0 ? 0x0a : 0))
const { path } = methods.getLogs
const unused = (): Promise<never> => Promise.reject(new Error('not expected'))

let getLogs: Handlers['getLogs']
let accept: Accept
let sessions: { destroy(): void }[]

beforeEach(() => {
  getLogs = async () => REPLY
  sessions = []
  const handlers: Handlers = {
    getLogs: (...asked) => getLogs(...asked),
    pushLog: unused,
    getRecords: unused,
    pushRecord: unused,
    exchangeEdges: unused,
  }
  servePeers({ host: { handle: (_, accepts) => void (accept = accepts) }, handlers, logger: silentLogger })
})

afterEach(() => {
  vi.useRealTimers()
  for (const session of sessions) session.destroy()
})

/** The peer's end of a stream to the host. */
function streamOf(peer: PeerId): Duplex {
  const [ours, theirs] = streamPair()
  accept(theirs, peer)
  return ours
}

function call(peer: PeerId, bytes = methods.getLogs.request.encode(REQUEST)): Promise<Uint8Array> {
  const session = new PeerSession(streamOf(peer), peer)
  sessions.push(session)
  return session.call(path, bytes, OPTIONS)
}

/** A session that does as it likes. */
function rawSession(peer: PeerId, options: Parameters<typeof connect>[1] = {}): ClientHttp2Session {
  const session = connect('http://host', { createConnection: () => streamOf(peer), ...options })
  session.on('error', () => {})
  sessions.push(session)
  return session
}

function rawCall(session: ClientHttp2Session): ClientHttp2Stream {
  const headers = { ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' }
  const stream = session.request(headers)
  stream.on('error', () => {})
  return stream
}

async function statusOf(stream: ClientHttp2Stream): Promise<number> {
  return new Promise((resolve) => {
    const take = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) resolve(Number(headers['grpc-status']))
    }
    stream.on('response', take).on('trailers', take).resume()
  })
}

describe('a message of very many parts', () => {
  it('is refused before they are read', async () => {
    await expect(call(newPeer().id, BOMB)).rejects.toMatchObject({
      code: Status.resourceExhausted,
      message: 'the message has too many parts',
    })
  })

  it('is refused as a reply, too', () => {
    for (const { reply } of [methods.getLogs, methods.getRecords]) {
      expect(() => reply.decode(BOMB)).toThrow('the message has too many parts')
    }
  })

  it('is taken with as many as the largest thread has', () => {
    const { key, id } = newPeer()
    const addresses = Array.from({ length: 16 }, () => `/p2p/${newPeer().id}` as never)
    const log = { id, publicKey: key.publicKey, addresses, head: undefined, counter: 7 }
    const bytes = methods.getLogs.reply.encode({ logs: Array.from({ length: 5_000 }, () => log), unreadable: 0 })
    expect(methods.getLogs.reply.decode(bytes).logs).toHaveLength(5_000)
  })
})

it('of very many addresses in a log only so many are looked at', () => {
  const address = `/p2p/${newPeer().id}` as never
  const log = { ...newLog(), addresses: Array.from({ length: 50_000 }, () => address) }
  const bytes = methods.pushLog.request.encode({ ...REQUEST, readKey: undefined, log: { ...log, head: undefined } })
  expect(methods.pushLog.request.decode(bytes).log.addresses).toHaveLength(1_000)
})

describe('a reply', () => {
  it('is not read if it is larger than replies of its kind are', async () => {
    getLogs = async () => ({ ...REPLY, logs: Array.from({ length: 100 }, newLog) })
    const session = new PeerSession(streamOf(newPeer().id), newPeer().id)
    sessions.push(session)
    const { maxReplyBytes } = methods.pushRecord
    const asked = session.call(path, methods.getLogs.request.encode(REQUEST), { ...OPTIONS, maxReplyBytes })
    await expect(asked).rejects.toThrow(`at most ${maxReplyBytes} are taken`)
  })

  it('that the peer does not take costs it its session, and the room is free again', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
    const asked: PeerId[] = []
    getLogs = async (_, caller) => {
      asked.push(caller)
      return { ...REPLY, logs: Array.from({ length: 100 }, newLog) }
    }
    const peer = newPeer().id
    const deaf = rawSession(peer, { settings: { initialWindowSize: 0 } })
    const streams = [rawCall(deaf), rawCall(deaf), rawCall(deaf)]
    for (const stream of streams) stream.end(framed(methods.getLogs.request.encode(REQUEST)))
    // The third has no room.
    while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve))
    await turns(20)
    expect(asked).toHaveLength(2)
    vi.advanceTimersByTime(20_000)
    while (!deaf.destroyed) await new Promise((resolve) => setImmediate(resolve))
    const next = call(peer)
    await expect(next).resolves.toBeDefined()
  })
})

it('a request in tiny pieces costs the peer its session', async () => {
  const peer = newPeer().id
  const stream = streamOf(peer)
  const session = connect('http://host', { createConnection: () => stream })
  session.on('error', () => {})
  sessions.push(session)
  const asked = rawCall(session)
  asked.write(Buffer.from([0, 0, 0, 255, 255]))
  await turns(20)
  const piece = Buffer.from([0, 0, 1, 0, 0, 0, 0, 0, asked.id ?? 1, 7])
  for (let count = 0; count < 1_000; count++) stream.write(piece)
  await expect.poll(() => session.destroyed).toBe(true)
  await expect(call(peer)).resolves.toBeDefined()
})

describe('calls', () => {
  it('of one peer are limited over all its sessions, and others are answered', async () => {
    const peer = newPeer().id
    const [a, b] = [rawSession(peer), rawSession(peer)]
    const waiting = Array.from({ length: MAX_PEER_CALLS }, (_, index) => rawCall(index % 2 === 0 ? a : b))
    for (const stream of waiting) stream.write(Buffer.alloc(1))
    await turns(50)
    expect(await statusOf(rawCall(a))).toBe(Status.aborted)
    await expect(call(newPeer().id)).resolves.toBeDefined()
    for (const stream of waiting) stream.close()
    await turns(50)
    await expect(call(peer)).resolves.toBeDefined()
  })

  it('of all peers are limited, and refused beyond', async () => {
    const peers = Array.from({ length: MAX_HOST_CALLS / MAX_PEER_CALLS }, () => newPeer().id)
    for (const peer of peers) {
      const session = rawSession(peer)
      for (let count = 0; count < MAX_PEER_CALLS; count++) rawCall(session).write(Buffer.alloc(1))
    }
    await turns(100)
    await expect(call(newPeer().id)).rejects.toMatchObject({
      code: Status.aborted,
      message: 'too many calls at once',
    })
  })
})

describe('sessions of one peer', () => {
  it('are limited: a further one ends the oldest', async () => {
    const peer = newPeer().id
    const all = Array.from({ length: MAX_PEER_SESSIONS }, () => rawSession(peer))
    await turns(20)
    expect(all.map((session) => session.destroyed)).toEqual(all.map(() => false))
    const next = rawSession(peer)
    await expect.poll(() => all.map((session) => session.destroyed)).toEqual(all.map((_, index) => index === 0))
    expect(next.destroyed).toBe(false)
    await expect(call(newPeer().id)).resolves.toBeDefined()
  })
})

function newLog() {
  const { key, id } = newPeer()
  return { id, publicKey: key.publicKey, addresses: [], head: undefined, counter: 0 }
}

function framed(bytes: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(bytes.length, 1)
  return Buffer.concat([head, bytes])
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setImmediate(resolve))
}
