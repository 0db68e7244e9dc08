/** What peers can do to go-threads. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseAddress, peerAddress } from '../../../src/core/address.ts'
import { encode } from '../../../src/core/cbor.ts'
import { silentLogger } from '../../../src/core/logger.ts'
import { publicKeyOfPeer } from '../../../src/core/peer-id.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import type { ThreadInfo } from '../../../src/net/index.ts'
import type { PeerHost } from '../../../src/net/host/libp2p-host.ts'
import { createPeerClient, type PeerClient } from '../../../src/net/protocol/client.ts'
import type { Handlers } from '../../../src/net/protocol/handlers/handlers.ts'
import { servePeers } from '../../../src/net/protocol/server.ts'
import { Status } from '../../../src/net/protocol/status.ts'
import type { PeerLog } from '../../../src/net/replica.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { newHost } from '../../support/peer-host.ts'

const TIMEOUT = { timeout: 15_000 }

let host: TestHost
let info: ThreadInfo
/** The other side: a peer that does what a test says. */
let peer: PeerHost
let client: PeerClient
let exchanges: number
let answers: Partial<Handlers>

beforeEach(async () => {
  host = await startHost({ net: { maxUnsolicitedThreads: 4 } })
  info = await host.net.createThread(newThreadId('raw', randomBytes))
  await host.net.createRecord(info.id, encode({}))
  peer = await newHost()
  exchanges = 0
  answers = {}
  const handlers: Handlers = {
    getLogs: (...call) => answers.getLogs?.(...call) ?? Promise.resolve({ logs: [], unreadable: 0 }),
    getRecords: (...call) => answers.getRecords?.(...call) ?? Promise.resolve({ logs: [], unreadable: 0 }),
    pushLog: () => Promise.resolve({}),
    pushRecord: () => Promise.resolve({}),
    exchangeEdges: async ({ threads }) => {
      exchanges++
      return {
        threads: threads.map(({ threadId }) => ({ threadId, exists: true, edges: { addresses: 1n, heads: 1n } })),
      }
    },
  }
  servePeers({ host: peer, handlers, logger: silentLogger })
  await peer.start()
  peer.remember(host.net.hostId, host.net.hostAddresses())
  client = createPeerClient(peer)
  const [address] = peer.addresses()
  await host.net.connect(parseAddress(`${address}/p2p/${peer.id}`))
})

afterEach(async () => {
  client.close()
  await peer.close()
  await host[Symbol.asyncDispose]()
})

/** A log that the peer says it keeps. */
function logOfPeer(changes: Partial<PeerLog> = {}): PeerLog {
  const { id } = newPeer()
  return {
    id,
    publicKey: publicKeyOfPeer(id),
    addresses: [peerAddress(peer.id)],
    head: undefined,
    counter: 0,
    ...changes,
  }
}

function pushLog(log: PeerLog, changes: { threadId?: ThreadInfo['id']; serviceKey?: Uint8Array | undefined } = {}) {
  const request = { threadId: info.id, serviceKey: info.key.service, readKey: undefined, log, ...changes }
  return client.call(host.net.hostId, 'pushLog', request)
}

async function logsHere(): Promise<string[]> {
  return (await host.net.getThread(info.id)).logs.map((log) => log.id)
}

describe('a peer', () => {
  it('8.2-5: adds logs to a thread only with its key', async () => {
    const log = logOfPeer()
    await expect(pushLog(log, { serviceKey: undefined })).rejects.toMatchObject({ status: Status.notFound })
    const serviceKey = randomBytes(32)
    await expect(pushLog(log, { serviceKey })).rejects.toMatchObject({ status: Status.unauthenticated })
    expect(await logsHere()).not.toContain(log.id)
    await pushLog(log)
    expect(await logsHere()).toContain(log.id)
  })

  it('8.2-5: makes the host keep threads of others up to a number only', async () => {
    const push = () => pushLog(logOfPeer(), { threadId: newThreadId('raw', randomBytes), serviceKey: randomBytes(32) })
    await push()
    await push()
    await expect(push()).rejects.toMatchObject({ status: Status.resourceExhausted })
    expect(host.net.listThreads()).toHaveLength(3)
  })

  it('8.2-6: does not end the exchange with others by an address without a peer', async () => {
    const bad = logOfPeer({ addresses: [parseAddress('/ip4/127.0.0.1/tcp/4006')] })
    await pushLog(bad)
    await pushLog(logOfPeer())
    exchanges = 0
    await expect.poll(() => exchanges, TIMEOUT).toBeGreaterThan(2)
    expect((await host.net.getThread(info.id)).logs.find((log) => log.id === bad.id)?.addresses).toEqual([])
  })

  it('8.2-6: does not end the exchange by a thread that is deleted meanwhile', async () => {
    const other = await host.net.createThread(newThreadId('raw', randomBytes))
    for (const { id, key } of [info, other]) await pushLog(logOfPeer(), { threadId: id, serviceKey: key.service })
    await host.net.deleteThread(other.id)
    exchanges = 0
    await expect.poll(() => exchanges, TIMEOUT).toBeGreaterThan(2)
  })

  it('8.2-7: cannot name a log without its key', async () => {
    const nameless = logOfPeer({ publicKey: undefined })
    let asked = 0
    const records = async () => {
      asked++
      return { logs: [{ logId: nameless.id, records: [], log: nameless }], unreadable: 0 }
    }
    answers = { getRecords: records, getLogs: async () => ({ logs: [nameless], unreadable: 0 }) }
    const named = logOfPeer()
    await pushLog(named)
    await expect.poll(() => asked, TIMEOUT).toBeGreaterThan(0)
    await host.net.pullThread(info.id)
    expect(await logsHere()).toEqual([...info.logs.map((log) => log.id), named.id])
  })

  it('8.2-21: is told nothing of a thread whose key it has not shown', async () => {
    const ask = async () => {
      const request = { threads: [{ threadId: info.id, edges: { addresses: 1n, heads: 1n } }] }
      const { threads } = await client.call(host.net.hostId, 'exchangeEdges', request)
      return threads
    }
    expect(await ask()).toMatchObject([{ exists: false, edges: { addresses: 0n, heads: 0n } }])
    await client.call(host.net.hostId, 'getLogs', { threadId: info.id, serviceKey: info.key.service })
    expect(await ask()).toMatchObject([{ exists: true }])
  })
})
