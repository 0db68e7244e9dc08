/** An operator's calls to a host, from the first look to the log that goes on. */
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createApi } from '../../src/api/index.ts'
import { APIDefinition } from '../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../src/api/gen/threadsnet.ts'
import { addressToBytes, parseAddress } from '../../src/core/address.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { threadIdToBytes } from '../../src/core/thread-id.ts'
import type { Collection, Database } from '../../src/db/index.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { FaultySandbox } from '../support/faulty-sandbox.ts'
import { ForeignLog } from '../support/foreign-log.ts'
import { grpcTransport, ServiceClient } from '../support/grpc-client.ts'
import { startHost } from '../support/host.ts'
import { idsOf, newNotes, NOTE } from '../support/notes.ts'

const HOUR_MS = 3_600_000
const rpc = APIDefinition.methods

const clock = new FakeClock(Date.UTC(2026, 5, 1))
let stack: AsyncDisposableStack
let sandbox: FaultySandbox
let database: Database
let notes: Collection
let dbID: Uint8Array
let api: ServiceClient
let net: ServiceClient
let newLog: () => Promise<ForeignLog>
let add: (log: ForeignLog, id: string, options?: { name?: string; atMs?: number }) => Promise<void>

beforeEach(async () => {
  stack = new AsyncDisposableStack()
  sandbox = new FaultySandbox()
  const host = stack.use(await startHost({ clock, sandbox, net: { pull: false } }))
  ;({ database, notes } = await newNotes(host))
  dbID = threadIdToBytes(database.id)
  newLog = async () => {
    const log = new ForeignLog((await database.info()).key)
    await log.introduce(host, database)
    return log
  }
  add = (log, id, { name = id, atMs = clock.nowMs() } = {}) => {
    const patch = JSON.stringify({ _id: id, name })
    return host.net.addRecord(database.id, log.id, log.record([{ type: 'create', id, patch, atMs }]))
  }
  const free = { host: '127.0.0.1', port: 0 }
  const { databases, net: hostNet } = host
  const components = { net: hostNet, databases, clock, random: randomBytes, logger: silentLogger }
  const served = createApi({ ...components, options: { grpc: free, web: free, stopTimeoutMs: 1_000 } })
  const { grpc } = await served.start()
  stack.defer(() => served.stop())
  const transport = stack.use(grpcTransport(`${grpc.host}:${grpc.port}`))
  api = new ServiceClient(transport, APIDefinition)
  net = new ServiceClient(transport, NetDefinition)
})

afterEach(() => stack[Symbol.asyncDispose]())

describe('an operator', () => {
  it('finds a log that is ahead of the clock, and admits it', async () => {
    const log = await newLog()
    await add(log, 'early', { atMs: clock.nowMs() + HOUR_MS })
    const { logs } = await api.unary(rpc.listWaitingLogs, { dbID })
    expect(logs).toMatchObject([{ counter: 1n, records: 1n, reason: 'clock', skippable: false }])
    expect(logs[0]?.untilMs).toBe(BigInt(clock.nowMs() + HOUR_MS - 600_000))
    await api.unary(rpc.admitLog, { dbID, logID: logs[0]?.logID ?? dbID })
    expect(await idsOf(notes)).toEqual(['early'])
    expect((await api.unary(rpc.listWaitingLogs, { dbID })).logs).toEqual([])
  })

  it('finds a record that cannot be judged, and skips it', async () => {
    await database.updateCollection({ ...NOTE, writeValidator: 'return true' })
    const log = await newLog()
    sandbox.failOn(({ event }) => event.id === 'stuck')
    for (const id of ['stuck', 'next']) await add(log, id)
    const [waiting] = (await api.unary(rpc.listWaitingLogs, { dbID })).logs
    expect(waiting).toMatchObject({ counter: 1n, records: 2n, reason: 'sandbox', skippable: true })
    const { logID = dbID, recordID = dbID } = waiting ?? {}
    await api.unary(rpc.skipRecord, { dbID, logID, recordID })
    expect(await idsOf(notes)).toEqual(['next'])
    const { refusals } = await api.unary(rpc.listRefusals, { dbID })
    expect(refusals).toMatchObject([{ counter: 1n, code: 'skipped', instances: [{ instanceID: 'stuck' }] }])
    expect(refusals[0]?.recordID).toEqual(recordID)
    await expect(api.unary(rpc.skipRecord, { dbID, logID, recordID })).rejects.toMatchObject({
      trailers: { 'threads-error-code': 'NOT_WAITING' },
    })
  })

  it('resets the clock after it was days ahead', async () => {
    const startMs = clock.nowMs()
    clock.set(startMs + 48 * HOUR_MS)
    await notes.create([Buffer.from('{"_id":"ahead"}')])
    clock.set(startMs)
    await expect(notes.create([Buffer.from('{"_id":"n"}')])).rejects.toMatchObject({ code: 'CLOCK_SKEW' })
    await api.unary(rpc.resetClock, { dbID })
    await notes.create([Buffer.from('{"_id":"n"}')])
    expect(await idsOf(notes)).toEqual(['n'])
    expect((await api.unary(rpc.listWaitingLogs, { dbID })).logs).toMatchObject([{ counter: 1n, reason: 'clock' }])
  })

  it('finds the documents that share a unique value', async () => {
    await database.updateCollection({ ...NOTE, indexes: [{ path: 'name', unique: true }] })
    const log = await newLog()
    for (const id of ['a', 'b']) await add(log, id, { name: 'same' })
    const { conflicts, next } = await api.unary(rpc.listConflicts, { dbID, collectionName: 'Note', path: 'name' })
    expect(conflicts.map(({ value, instanceIDs }) => [Buffer.from(value).toString(), instanceIDs])).toEqual([
      ['"same"', ['a', 'b']],
    ])
    expect(next).toHaveLength(0)
  })

  it('finds peers that cannot be reached', async () => {
    const other = await startHost({ net: { pull: false } })
    const address = parseAddress(`${other.net.hostAddresses()[0]}/p2p/${other.net.hostId}`)
    await net.unary(NetDefinition.methods.addReplicator, { threadID: dbID, addr: addressToBytes(address) })
    await other[Symbol.asyncDispose]()
    await notes.create([Buffer.from('{"_id":"n"}')])
    const status = () => net.unary(NetDefinition.methods.getSyncStatus, { threadID: dbID })
    await expect.poll(async () => (await status()).peers[0]?.failures ?? 0n).toBeGreaterThan(0n)
    const { peers, gossip } = await status()
    expect(peers).toMatchObject([{ outstanding: [{ until: 1n }], stalls: [] }])
    expect(gossip).toBeUndefined()
  })
})
