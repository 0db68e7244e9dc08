/** What all transports have in common. */
import { status } from '@grpc/grpc-js'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APIDefinition } from '../../../src/api/gen/threads.ts'
import { HealthDefinition } from '../../../src/api/gen/health.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { newThreadId, type ThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { startApi, TRANSPORTS, type TestApi } from '../../support/api-server.ts'
import type { FakeDatabase } from '../../support/fake-databases.ts'
import { ServiceClient, type Transport } from '../../support/grpc-client.ts'

const rpc = APIDefinition.methods
const MAX = 64 * 1024
const id: ThreadId = newThreadId('raw', (length) => new Uint8Array(length).fill(3))
const dbID = threadIdToBytes(id)
const dogs = { dbID, collectionName: 'Dog' }
const rex = utf8('{"_id":"rex"}')

let api: TestApi
let transport: Transport
let client: ServiceClient
let database: FakeDatabase

describe.each(TRANSPORTS)('over $name', ({ connect, streams }) => {
  beforeEach(async () => {
    api = await startApi({ maxMessageBytes: MAX })
    database = await api.databases.create(id, { collections: [{ name: 'Dog', schema: '{}' }] })
    transport = connect(api)
    client = new ServiceClient(transport, APIDefinition)
  })

  afterEach(async () => {
    transport[Symbol.dispose]()
    await api[Symbol.asyncDispose]()
  })

  it('a call is answered', async () => {
    expect(await client.unary(rpc.create, { ...dogs, instances: [rex] })).toMatchObject({ instanceIDs: ['rex'] })
    const { instances } = await client.unary(rpc.find, { ...dogs, queryJSON: utf8('{}') })
    expect(instances.map((instance) => Buffer.from(instance).toString())).toEqual(['{"_id":"rex"}'])
  })

  it('a failure has code, text and, beside them, the code of the failure', async () => {
    const find = client.unary(rpc.findByID, { ...dogs, instanceID: 'nobody' })
    await expect(find).rejects.toMatchObject({
      code: status.UNKNOWN,
      message: 'instance not found',
      trailers: { 'threads-error-code': 'INSTANCE_NOT_FOUND' },
    })
    const other = client.unary(rpc.getDBInfo, { dbID: threadIdToBytes(newThreadId('raw', (n) => new Uint8Array(n))) })
    await expect(other).rejects.toMatchObject({ code: status.NOT_FOUND, message: 'thread not found' })
  })

  it('a text of any characters arrives', async () => {
    const call = transport.open('/threads.pb.API/Listen')
    call.send(Buffer.from([0x12, 0x02, 0x18, 0x04]))
    call.halfClose()
    expect((await call.status).message).toBe('reading varint: buffer too small')
    database.collection = () => {
      throw Object.assign(new Error('x'), { name: 'ä' })
    }
    await expect(client.unary(rpc.has, dogs)).rejects.toMatchObject({
      code: status.INTERNAL,
      message: 'internal error',
    })
  })

  it('a request that is no message is refused', async () => {
    for (const bytes of ['ffff', '0a']) {
      const call = transport.open('/threads.pb.API/GetDBInfo')
      call.send(Buffer.from(bytes, 'hex'))
      call.halfClose()
      expect(await call.status).toMatchObject({
        code: status.INTERNAL,
        message: 'grpc: error unmarshalling request: proto: cannot parse invalid wire-format data',
      })
    }
  })

  it('a text that is not UTF-8 is refused', async () => {
    const call = transport.open('/threads.pb.API/FindByID')
    call.send(Buffer.from('1201ff', 'hex'))
    call.halfClose()
    expect(await call.status).toMatchObject({
      code: status.INTERNAL,
      message: 'grpc: error unmarshalling request: string field contains invalid UTF-8',
    })
  })

  it('a request over the limit is refused in known words, one at the limit is taken', async () => {
    const overhead = rpc.create.requestType.encode({ ...dogs, instances: [new Uint8Array(MAX / 2)] }).finish().length
    const room = MAX - (overhead - MAX / 2)
    const document = (bytes: number) => utf8(`{"_id":"${'x'.repeat(bytes - 10)}"}`)
    await client.unary(rpc.create, { ...dogs, instances: [document(room)] })
    await expect(client.unary(rpc.create, { ...dogs, instances: [document(room + 1)] })).rejects.toMatchObject({
      code: status.RESOURCE_EXHAUSTED,
      message: `grpc: received message larger than max (${MAX + 1} vs. ${MAX})`,
    })
  })

  it('a reply may be larger than any request', async () => {
    const large = utf8(`{"_id":"x","text":"${'x'.repeat(MAX - 200)}"}`)
    for (let i = 0; i < 20; i++) {
      await client.unary(rpc.create, {
        ...dogs,
        instances: [Buffer.from(Buffer.from(large).toString().replace('"x"', `"x${i}"`))],
      })
    }
    const { instances } = await client.unary(rpc.find, { ...dogs, queryJSON: utf8('{}') })
    expect(instances).toHaveLength(20)
  })

  it('the health service answers', async () => {
    const health = new ServiceClient(transport, HealthDefinition)
    for (const service of ['', 'threads.pb.API', 'threads.net.pb.API']) {
      expect(await health.unary(HealthDefinition.methods.check, { service })).toEqual({ status: 1 })
    }
    const unknown = health.unary(HealthDefinition.methods.check, { service: 'nope' })
    await expect(unknown).rejects.toMatchObject({ code: status.NOT_FOUND })
  })

  it('a deadline that passes ends the call', async () => {
    const call = client.open(rpc.listen, { timeoutMs: 50 })
    call.send({ dbID })
    call.call.halfClose()
    expect(await call.call.status).toMatchObject({ code: status.DEADLINE_EXCEEDED })
    await expect.poll(() => database.listeners).toBe(0)
  })

  it('updates are sent as they come, until the listener cancels', async () => {
    const call = client.open(rpc.listen)
    call.send({ dbID })
    call.call.halfClose()
    await expect.poll(() => database.listeners).toBe(1)
    await database.collection('Dog').create([rex])
    expect(await call.receive()).toMatchObject({ collectionName: 'Dog', instanceID: 'rex', action: 0 })
    await database.collection('Dog').delete(['rex'])
    expect(await call.receive()).toMatchObject({ action: 2, instance: new Uint8Array(0) })
    call.call.cancel()
    await expect.poll(() => database.listeners).toBe(0)
  })

  it('a stream ends with OK when its source ends', async () => {
    const call = client.open(rpc.listen)
    call.send({ dbID })
    call.call.halfClose()
    await expect.poll(() => database.listeners).toBe(1)
    await api.databases.delete(id)
    expect(await call.call.status).toMatchObject({ code: 0 })
  })

  it('streams are ended when the server stops', async () => {
    const call = client.open(rpc.listen)
    call.send({ dbID })
    call.call.halfClose()
    await expect.poll(() => database.listeners).toBe(1)
    await api[Symbol.asyncDispose]()
    expect((await call.call.status).code).toBe(status.CANCELLED)
  })

  describe.runIf(streams)('a write transaction', () => {
    const start = { option: { $case: 'startTransactionRequest' as const, value: dogs } }
    const create = { option: { $case: 'createRequest' as const, value: { instances: [rex] } } }

    it('is committed by the half-close', async () => {
      const call = client.open(rpc.writeTransaction)
      call.send(start)
      call.send(create)
      expect(await call.receive()).toMatchObject({ option: { $case: 'createReply', value: { instanceIDs: ['rex'] } } })
      expect(database.commits).toBe(0)
      await call.end()
      expect(database.commits).toBe(1)
      expect(database.openTransactions).toBe(0)
    })

    it('is not committed when the client goes away', async () => {
      const call = client.open(rpc.writeTransaction)
      call.send(start)
      call.send(create)
      await call.receive()
      call.call.cancel()
      await expect.poll(() => database.openTransactions).toBe(0)
      expect(database.commits).toBe(0)
    })

    it('ends when its time is up', async () => {
      const call = client.open(rpc.writeTransaction)
      call.send(start)
      call.send(create)
      await call.receive()
      database.lastWrite?.expire()
      expect(await call.call.status).toMatchObject({
        code: status.ABORTED,
        trailers: { 'threads-error-code': 'TRANSACTION_TIMEOUT' },
      })
      expect(database.commits).toBe(0)
      expect(database.openTransactions).toBe(0)
    })

    it('takes many messages sent at once, in order', async () => {
      const call = client.open(rpc.writeTransaction)
      call.send(start)
      for (let i = 0; i < 200; i++) {
        const instances = [utf8(`{"_id":"d${i}","text":"${'x'.repeat(1_000)}"}`)]
        call.send({ option: { $case: 'createRequest', value: { instances } } })
      }
      for (let i = 0; i < 200; i++) {
        expect(await call.receive()).toMatchObject({ option: { value: { instanceIDs: [`d${i}`] } } })
      }
      await call.end()
    })
  })
})
