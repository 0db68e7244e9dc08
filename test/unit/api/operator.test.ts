/** The calls for operators, over every transport. */
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APIDefinition } from '../../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../../src/api/gen/threadsnet.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { cidOf } from '../../../src/core/cbor.ts'
import { systemClock } from '../../../src/core/clock.ts'
import { keyFromSeed } from '../../../src/core/keys.ts'
import { type PeerId, peerIdOf, peerIdToBytes } from '../../../src/core/peer-id.ts'
import { newThreadId, type ThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import type { Refusal, WaitingRecord } from '../../../src/db/index.ts'
import type { Net, PeerStatus } from '../../../src/net/index.ts'
import { startApi, TRANSPORTS, type TestApi } from '../../support/api-server.ts'
import type { FakeDatabase } from '../../support/fake-databases.ts'
import { fakeNet } from '../../support/fake-net.ts'
import { ServiceClient, type Transport } from '../../support/grpc-client.ts'

const rpc = APIDefinition.methods
const netRpc = NetDefinition.methods
const id: ThreadId = newThreadId('raw', (length) => new Uint8Array(length).fill(3))
const dbID = threadIdToBytes(id)
const peer = (seed: number): PeerId => peerIdOf(keyFromSeed(new Uint8Array(32).fill(seed)).publicKey)
const [low, high] = [peer(1), peer(2)].toSorted() as [PeerId, PeerId]
const recordId = cidOf(utf8('record'))
const position = utf8('position')

const REFUSAL: Refusal = {
  logId: low,
  counter: 7,
  recordId,
  time: 1_790_000_000_000_000_001n,
  code: 'denied',
  reason: 'no',
  documents: [{ collection: 'Dog', id: 'rex' }],
  position,
}
const WAITING: WaitingRecord = {
  logId: low,
  counter: 7,
  recordId,
  records: 3,
  reason: { kind: 'clock', untilMs: 1_790_000_000_000 },
  sinceMs: 1_780_000_000_000.5,
  position: 'place',
}
const BEHIND: PeerStatus = {
  peer: high,
  failure: { times: 3, retryAtMs: 1_790_000_000_000.25 },
  outstanding: [{ threadId: id, logId: low, has: 4, until: 9 }],
  stalls: [{ peer: high, threadId: id, logId: low, kind: 'gap', reason: 'not sent', retryAtMs: 5, times: 2 }],
}
const UNREACHABLE: PeerStatus = { ...BEHIND, peer: low, outstanding: [], stalls: [] }

let api: TestApi
let transport: Transport
let client: ServiceClient
let netClient: ServiceClient
let database: FakeDatabase
let asked: unknown
let statuses: PeerStatus[]
let gossip: ReturnType<Net['gossipStatus']>

async function open(connect: (api: TestApi) => Transport): Promise<void> {
  gossip = undefined
  statuses = [BEHIND, UNREACHABLE]
  const net = fakeNet(systemClock, {
    syncStatus: (options) => {
      asked = options
      return statuses
    },
    forkedLogs: () => [{ threadId: id, logId: high, branches: 2, own: true }],
    gossipStatus: () => gossip,
  })
  api = await startApi({ net })
  database = await api.databases.create(id)
  transport = connect(api)
  client = new ServiceClient(transport, APIDefinition)
  netClient = new ServiceClient(transport, NetDefinition)
}

async function close(): Promise<void> {
  transport[Symbol.dispose]()
  await api[Symbol.asyncDispose]()
}

describe.each(TRANSPORTS)('over $name', ({ connect }) => {
  beforeEach(() => open(connect))
  afterEach(close)

  it('refusals are listed', async () => {
    database.refusals = async () => [REFUSAL]
    const { refusals } = await client.unary(rpc.listRefusals, { dbID })
    expect(refusals).toMatchObject([
      {
        counter: 7n,
        time: 1_790_000_000_000_000_001n,
        code: 'denied',
        reason: 'no',
        instances: [{ collectionName: 'Dog', instanceID: 'rex' }],
        instanceCount: 1n,
      },
    ])
    expect(Buffer.from(refusals[0]?.logID ?? []).equals(peerIdToBytes(low))).toBe(true)
    expect(Buffer.from(refusals[0]?.recordID ?? []).equals(recordId.bytes)).toBe(true)
    expect(Buffer.from(refusals[0]?.position ?? []).equals(position)).toBe(true)
  })

  it('waiting logs are listed', async () => {
    const stuck: WaitingRecord = { ...WAITING, recordId: undefined, reason: { kind: 'retry', alone: true } }
    database.waiting = async () => [WAITING, stuck]
    const { logs } = await client.unary(rpc.listWaitingLogs, { dbID })
    const sinceMs = 1_780_000_000_001n
    expect(logs).toMatchObject([
      { counter: 7n, records: 3n, reason: 'clock', sinceMs, untilMs: 1_790_000_000_000n, skippable: false },
      { counter: 7n, records: 3n, reason: 'retry', sinceMs, untilMs: 0n, skippable: true },
    ])
    expect(logs.map(({ recordID }) => recordID.length)).toEqual([36, 0])
    expect(Buffer.from(logs[0]?.position ?? []).toString()).toBe('place')
  })

  it('conflicts are listed', async () => {
    database.conflicts = async () => ({ conflicts: [{ value: '"x"', ids: ['a', 'b'] }], next: position })
    const { conflicts, next } = await client.unary(rpc.listConflicts, { dbID, collectionName: 'Dog', path: 'name' })
    expect(conflicts.map(({ value, instanceIDs }) => [Buffer.from(value).toString(), instanceIDs])).toEqual([
      ['"x"', ['a', 'b']],
    ])
    expect(Buffer.from(next).equals(position)).toBe(true)
  })

  it('logs are admitted, records skipped and clocks reset', async () => {
    const calls: unknown[] = []
    database.admit = async (...[logId]: [PeerId?]) => void calls.push(logId)
    database.skip = async (...[logId, record]: [PeerId?, typeof recordId?]) =>
      void calls.push(logId, record?.toString())
    database.resetClock = async () => void calls.push('reset')
    const logID = peerIdToBytes(low)
    await client.unary(rpc.admitLog, { dbID, logID })
    await client.unary(rpc.skipRecord, { dbID, logID, recordID: recordId.bytes })
    await client.unary(rpc.resetClock, { dbID })
    expect(calls).toEqual([low, low, recordId.toString(), 'reset'])
  })

  it('the state of peers is told', async () => {
    const { peers, gossip: none, forks, forkCount } = await netClient.unary(netRpc.getSyncStatus, {})
    expect(none).toBeUndefined()
    expect(forks).toMatchObject([{ branches: 2n, own: true }])
    expect(forkCount).toBe(1n)
    expect(peers.map(({ peerID }) => Buffer.from(peerID).toString('hex'))).toEqual(
      [low, high].map((each) => Buffer.from(peerIdToBytes(each)).toString('hex')),
    )
    expect(peers[1]).toMatchObject({
      failures: 3n,
      retryAtMs: 1_790_000_000_001n,
      outstanding: [{ has: 4n, until: 9n }],
      stalls: [{ kind: 'gap', reason: 'not sent', retryAtMs: 5n, times: 2n }],
      outstandingCount: 1n,
      stallCount: 1n,
    })
    const dropped = {
      tooLarge: 0,
      malformed: 1,
      foreign: 0,
      forged: 0,
      unknownLog: 0,
      repeated: 8,
      busy: 0,
      refused: 0,
    }
    gossip = { published: 4, notPublished: 3, taken: 2, dropped }
    expect((await netClient.unary(netRpc.getSyncStatus, {})).gossip).toEqual({
      published: 4n,
      notPublished: 3n,
      taken: 2n,
      dropped: [
        { reason: 'malformed', messages: 1n },
        { reason: 'repeated', messages: 8n },
      ],
    })
  })
})

describe('a list for operators', () => {
  beforeEach(() => open((started) => TRANSPORTS[0]?.connect(started) ?? expect.unreachable()))
  afterEach(close)

  it('comes in pages of the length and at the place that is asked for', async () => {
    const pages: unknown[] = []
    const note = async (...[options]: [object?]): Promise<[]> => {
      const { signal: _signal, ...page } = options as { signal: AbortSignal }
      pages.push(page)
      return []
    }
    database.refusals = note
    database.waiting = note
    await client.unary(rpc.listRefusals, { dbID })
    await client.unary(rpc.listRefusals, { dbID, limit: 1_000, before: position })
    await client.unary(rpc.listRefusals, { dbID, limit: 1, after: position })
    await client.unary(rpc.listWaitingLogs, { dbID, limit: 5, after: utf8('place') })
    expect(pages).toEqual([
      { limit: 100 },
      { limit: 1_000, before: new Uint8Array(position) },
      { limit: 1, after: new Uint8Array(position) },
      { limit: 5, after: 'place' },
    ])
    const first = await netClient.unary(netRpc.getSyncStatus, { limit: 1 })
    expect(first.peers).toHaveLength(1)
    const { peers } = await netClient.unary(netRpc.getSyncStatus, { after: first.peers[0]?.peerID ?? dbID })
    expect(peers).toMatchObject([{ failures: 3n, outstanding: [{}] }])
  })

  it('names the first 100 instances of a record and logs of a peer, and how many there are', async () => {
    const documents = Array.from({ length: 101 }, (_, i) => ({ collection: 'Dog', id: `${i}` }))
    database.refusals = async () => [{ ...REFUSAL, documents }]
    const { refusals } = await client.unary(rpc.listRefusals, { dbID })
    expect(refusals[0]).toMatchObject({ instanceCount: 101n })
    expect(refusals[0]?.instances.map(({ instanceID }) => instanceID)).toEqual(
      documents.slice(0, 100).map((document) => document.id),
    )
    const [outstanding, stalls] = [BEHIND.outstanding, BEHIND.stalls].map((logs) => Array(101).fill(logs[0]).flat())
    statuses = [{ ...BEHIND, outstanding: outstanding ?? [], stalls: stalls ?? [] }]
    const { peers } = await netClient.unary(netRpc.getSyncStatus, {})
    expect(peers[0]).toMatchObject({ outstandingCount: 101n, stallCount: 101n })
    expect([peers[0]?.outstanding.length, peers[0]?.stalls.length]).toEqual([100, 100])
  })

  it('can be that of one thread', async () => {
    await netClient.unary(netRpc.getSyncStatus, { threadID: dbID })
    expect(asked).toMatchObject({ thread: id, caller: {} })
  })

  it.each([
    ['a length below 0', () => client.unary(rpc.listRefusals, { dbID, limit: -1 })],
    ['a length above 1000', () => client.unary(rpc.listWaitingLogs, { dbID, limit: 1_001 })],
    ['two places', () => client.unary(rpc.listRefusals, { dbID, before: position, after: position })],
    ['a log that is none', () => client.unary(rpc.admitLog, { dbID, logID: utf8('log') })],
    ['a record that is none', () => client.unary(rpc.skipRecord, { dbID, logID: peerIdToBytes(low), recordID: dbID })],
    ['a thread that is none', () => netClient.unary(netRpc.getSyncStatus, { threadID: utf8('thread') })],
  ])('with %s is refused', async (_title, call) => {
    await expect(call()).rejects.toMatchObject({ code: status.INVALID_ARGUMENT })
  })

  it('of nothing that waits admits, skips and resets nothing', async () => {
    const logID = peerIdToBytes(low)
    for (const call of [
      client.unary(rpc.admitLog, { dbID, logID }),
      client.unary(rpc.skipRecord, { dbID, logID, recordID: recordId.bytes }),
      client.unary(rpc.resetClock, { dbID }),
    ]) {
      await expect(call).rejects.toMatchObject({
        code: status.FAILED_PRECONDITION,
        trailers: { 'threads-error-code': 'NOT_WAITING' },
      })
    }
  })
})
