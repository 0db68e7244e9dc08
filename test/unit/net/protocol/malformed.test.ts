/** Whatever bytes a peer sends, the host goes on and answers others. */
import { readFileSync } from 'node:fs'
import { connect } from 'node:http2'
import { type Duplex, duplexPair } from 'node:stream'
import * as fc from 'fast-check'
import { beforeEach, describe, expect, it } from 'vitest'
import { fromHex } from '../../../../src/core/bytes.ts'
import { systemClock } from '../../../../src/core/clock.ts'
import { type Logger, silentLogger } from '../../../../src/core/logger.ts'
import type { PeerId } from '../../../../src/core/peer-id.ts'
import type { Accept } from '../../../../src/net/host/libp2p-host.ts'
import { createHandlers } from '../../../../src/net/protocol/handlers/handlers.ts'
import { methods } from '../../../../src/net/protocol/methods.ts'
import { servePeers } from '../../../../src/net/protocol/server.ts'
import { PeerSession } from '../../../../src/net/protocol/session.ts'
import { Status } from '../../../../src/net/protocol/status.ts'
import { FakeReplica, newPeer } from '../../../support/fake-replica.ts'

const VECTORS = new URL('../../../interop/vectors/exchange.json', import.meta.url)
const { cases }: { cases: { request: string; method: string }[] } = JSON.parse(readFileSync(VECTORS, 'utf8'))
const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
const member = newPeer().id

let bugs: unknown[]
let open: (peer: PeerId) => Duplex

beforeEach(() => {
  bugs = []
  const logger: Logger = { ...silentLogger, error: (fields) => void bugs.push(fields['error']) }
  const replica = new FakeReplica()
  const threadId = replica.addThread()
  replica.append(threadId, replica.addOwnLog(threadId))
  replica.prove(threadId, member)
  const hints = { seen: () => {}, has: () => {}, ahead: () => {} }
  let accept: Accept | undefined
  const host = {
    handle: (_protocol: string, handler: Accept) => {
      accept = handler
    },
  }
  servePeers({ host, handlers: createHandlers({ replica, hints, clock: systemClock, pullRecords: 100 }), logger })
  open = (peer) => {
    const [ours, theirs] = duplexPair()
    accept?.(theirs, peer)
    return ours
  }
})

async function answersOthers(): Promise<void> {
  const session = new PeerSession(open(member), member)
  const bytes = methods.exchangeEdges.request.encode({ threads: [] })
  await expect(
    session.call(methods.exchangeEdges.path, bytes, { timeoutMs: 5_000, maxReplyBytes: 1_000_000 }),
  ).resolves.toHaveLength(0)
  session.destroy()
}

/** Sends bytes and waits until the host has ended the stream or taken them in. */
async function send(bytes: Uint8Array): Promise<void> {
  const stream = open(member)
  stream.on('error', () => {})
  stream.resume()
  await new Promise<void>((resolve) => stream.write(bytes, () => resolve()))
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve))
  stream.destroy()
}

/** The gRPC status of a call whose body is these bytes. */
function callRaw(path: string, body: Uint8Array): Promise<number | undefined> {
  const session = connect('http://peer', { createConnection: () => open(member) })
  session.on('error', () => {})
  return new Promise((resolve) => {
    const stream = session.request({
      ':method': 'POST',
      ':path': path,
      'content-type': 'application/grpc',
      te: 'trailers',
    })
    let status: number | undefined
    const read = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status'])
    }
    stream.on('response', read)
    stream.on('trailers', read)
    stream.on('error', () => {})
    stream.on('close', () => {
      resolve(status)
      session.destroy()
    })
    stream.resume()
    stream.end(body)
  })
}

function framed(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5)
  head[0] = flag
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

const paths = fc.constantFrom(...Object.values(methods).map(({ path }) => path))

describe('a host', () => {
  it('survives streams that are not HTTP/2', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), (bytes) => send(bytes)),
      { numRuns: 100 },
    )
    await answersOthers()
    expect(bugs).toEqual([])
  })

  it('survives frames of HTTP/2 in any order and of any content', async () => {
    const frame = fc
      .record({
        type: fc.integer({ min: 0, max: 12 }),
        flags: fc.nat(255),
        id: fc.nat(5),
        payload: fc.uint8Array({ maxLength: 40 }),
      })
      .map(({ type, flags, id, payload }) =>
        Buffer.concat([Buffer.from([0, 0, payload.length, type, flags, 0, 0, 0, id]), payload]),
      )
    await fc.assert(
      fc.asyncProperty(fc.array(frame, { maxLength: 8 }), (frames) => send(Buffer.concat([PREFACE, ...frames]))),
      { numRuns: 150 },
    )
    await answersOthers()
    expect(bugs).toEqual([])
  })

  it('answers any message with a status', async () => {
    await fc.assert(
      fc.asyncProperty(paths, fc.uint8Array({ maxLength: 100 }), async (path, message) => {
        expect(await callRaw(path, framed(message))).toEqual(expect.any(Number))
      }),
      { numRuns: 150 },
    )
    expect(bugs).toEqual([])
  })

  it('answers messages of peers that were changed on the way', async () => {
    const changed = fc.record({
      message: fc.constantFrom(...cases),
      cut: fc.double({ min: 0, max: 1, noNaN: true }),
      at: fc.double({ min: 0, max: 1, noNaN: true }),
      byte: fc.nat(255),
    })
    await fc.assert(
      fc.asyncProperty(changed, async ({ message, cut, at, byte }) => {
        const bytes = fromHex(message.request)
        const kept = bytes.slice(0, Math.ceil(bytes.length * cut))
        if (kept.length > 0) kept[Math.floor((kept.length - 1) * at)] = byte
        expect(await callRaw(`/net.pb.Service/${message.method}`, framed(kept))).toEqual(expect.any(Number))
      }),
      { numRuns: 150 },
    )
    expect(bugs).toEqual([])
  })

  it('refuses bodies that are not one message', async () => {
    const path = methods.exchangeEdges.path
    const good = framed(methods.exchangeEdges.request.encode({ threads: [] }))
    expect(await callRaw(path, good)).toBe(Status.ok)
    for (const body of [Buffer.alloc(0), Buffer.concat([good, good]), good.subarray(0, 4), framed(good, 1)]) {
      const status = await callRaw(path, body)
      expect(status === undefined || status > 0).toBe(true)
    }
    expect(await callRaw('/net.pb.Service/Unknown', good)).toBe(Status.unimplemented)
    await answersOthers()
  })
})
