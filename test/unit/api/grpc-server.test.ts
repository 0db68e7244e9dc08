import { connect, constants } from 'node:http2'
import { createServer } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { APIDefinition } from '../../../src/api/gen/threads.ts'
import { utf8 } from '../../../src/core/bytes.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { fixedRandom, startApi, type TestApi } from '../../support/api-server.ts'
import type { FakeDatabase } from '../../support/fake-databases.ts'
import { grpcTransport, ServiceClient } from '../../support/grpc-client.ts'
import { http2Transport } from '../../support/http2-client.ts'
import { startProxy } from '../../support/tcp-proxy.ts'
import { frameOf } from '../../support/web-client.ts'

const id = newThreadId('raw', fixedRandom)
const dogs = { dbID: threadIdToBytes(id), collectionName: 'Dog' }
const { writeTransaction, listen, has } = APIDefinition.methods
const start = { option: { $case: 'startTransactionRequest' as const, value: dogs } }
const create = { option: { $case: 'createRequest' as const, value: { instances: [utf8('{"_id":"rex"}')] } } }

let api: TestApi
let database: FakeDatabase

beforeEach(async () => {
  api = await startApi({ stopTimeoutMs: 100 })
  database = await api.databases.create(id, { collections: [{ name: 'Dog', schema: '{}' }] })
})

afterEach(() => api[Symbol.asyncDispose]())

/** A write transaction of a client that is no grpc-js. */
async function beginOverHttp2() {
  const session = connect(`http://${api.grpcAddress}`)
  session.on('error', () => {})
  const stream = session.request({
    ':method': 'POST',
    ':path': '/threads.pb.API/WriteTransaction',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  stream.on('error', () => {})
  for (const message of [start, create]) {
    const { requestType } = writeTransaction
    stream.write(frameOf(requestType.encode(requestType.fromPartial(message)).finish()))
  }
  await new Promise((resolve) => stream.once('data', resolve))
  expect(database.openTransactions).toBe(1)
  return { session, stream }
}

describe('a write transaction', () => {
  it.each(['NGHTTP2_CANCEL', 'NGHTTP2_NO_ERROR', 'NGHTTP2_INTERNAL_ERROR'] as const)(
    'is not committed when its stream is reset with %s',
    async (code) => {
      const { session, stream } = await beginOverHttp2()
      stream.close(constants[code])
      await expect.poll(() => database.openTransactions).toBe(0)
      expect(database.commits).toBe(0)
      session.destroy()
    },
  )

  it('is not committed if the client is not heard of again after its half-close', async () => {
    await using proxy = await startProxy(Number(api.grpcAddress.split(':')[1]))
    using through = http2Transport(`127.0.0.1:${proxy.port}`)
    using direct = grpcTransport(api.grpcAddress)
    const call = new ServiceClient(through, APIDefinition).open(writeTransaction)
    call.send(start)
    call.send(create)
    await call.receive()
    proxy.block()
    call.call.halfClose()
    // Time enough for the half-close to arrive.
    for (let i = 0; i < 10; i++) await new ServiceClient(direct, APIDefinition).unary(has, dogs)
    proxy.reset()
    await expect.poll(() => database.openTransactions).toBe(0)
    expect(database.commits).toBe(0)
  })

  it('is not committed when the connection breaks', async () => {
    const { session } = await beginOverHttp2()
    session.socket.destroy()
    await expect.poll(() => database.openTransactions).toBe(0)
    expect(database.commits).toBe(0)
  })

  it('is committed when its stream is closed', async () => {
    const { session, stream } = await beginOverHttp2()
    const trailers = new Promise((resolve) => stream.once('trailers', resolve))
    stream.end()
    expect(await trailers).toMatchObject({ 'grpc-status': '0' })
    expect(database.commits).toBe(1)
    session.destroy()
  })
})

describe('the server', () => {
  it('says which address it cannot have', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => taken.once('listening', resolve))
    const address = taken.address()
    const port = typeof address === 'object' ? (address?.port ?? 0) : 0
    await expect(startApi({ grpc: { host: '127.0.0.1', port } })).rejects.toThrow(
      new RegExp(`^cannot serve gRPC on 127.0.0.1:${port}: .*EADDRINUSE`),
    )
    taken.close()
  })

  it('stops in time although a client keeps a transaction open', async () => {
    using transport = grpcTransport(api.grpcAddress)
    const call = new ServiceClient(transport, APIDefinition).open(writeTransaction)
    call.send(start)
    call.send(create)
    await call.receive()
    await api[Symbol.asyncDispose]()
    expect((await call.call.status).code).not.toBe(0)
    await expect.poll(() => database.openTransactions).toBe(0)
    expect(database.commits).toBe(0)
  })

  it('lets a call under way end before it stops', async () => {
    const { session, stream } = await beginOverHttp2()
    const stopped = api[Symbol.asyncDispose]()
    const trailers = new Promise((resolve) => stream.once('trailers', resolve))
    stream.end()
    expect(await trailers).toMatchObject({ 'grpc-status': '0' })
    session.close()
    await stopped
    expect(database.commits).toBe(1)
  })

  it('holds replies back while the client does not read', async () => {
    using transport = grpcTransport(api.grpcAddress)
    const call = new ServiceClient(transport, APIDefinition).open(listen)
    call.send({ dbID: dogs.dbID })
    call.call.halfClose()
    await expect.poll(() => database.listeners).toBe(1)
    const updates = 200
    for (let i = 0; i < updates; i++) {
      await database.collection('Dog').save([utf8(`{"_id":"d${i}","text":"${'x'.repeat(50_000)}"}`)])
    }
    for (let i = 0; i < updates; i++) expect(await call.receive()).toMatchObject({ instanceID: `d${i}` })
    call.call.cancel()
  })

  it('tells tools what it serves', async () => {
    using transport = grpcTransport(api.grpcAddress)
    const call = transport.open('/grpc.reflection.v1.ServerReflection/ServerReflectionInfo')
    // list_services: ""
    call.send(Buffer.from('3a00', 'hex'))
    const reply = Buffer.from((await call.receive()) ?? []).toString('latin1')
    for (const service of ['threads.pb.API', 'threads.net.pb.API', 'grpc.health.v1.Health']) {
      expect(reply).toContain(service)
    }
    // file_containing_symbol
    const symbol = 'threads.pb.API.Find'
    call.send(Buffer.concat([Buffer.from([0x22, symbol.length]), Buffer.from(symbol)]))
    expect(Buffer.from((await call.receive()) ?? []).toString('latin1')).toContain('FindByIDRequest')
    call.halfClose()
    expect((await call.status).code).toBe(0)
  })
})
