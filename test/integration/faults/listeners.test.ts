/** What go-threads does wrongly with subscribers. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { Client, type ClientReadableStream, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APIDefinition as DbDefinition, ListenReply_Action } from '../../../src/api/gen/threads.ts'
import { APIDefinition as NetDefinition } from '../../../src/api/gen/threadsnet.ts'
import { encode } from '../../../src/core/cbor.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { startDaemon, type TestDaemon } from '../../support/daemon.ts'
import { grpcTransport, ServiceClient, type Transport } from '../../support/grpc-client.ts'
import { bytesOf, NOTE, noteOf } from './notes.ts'

const OK = 0
const CANCELLED = 1
/** go-threads gives a slow subscriber 5 s; here nobody waits for one. */
const QUICK_MS = 2_000

let daemon: TestDaemon
let transport: Transport
let db: ServiceClient
let net: ServiceClient

beforeAll(async () => {
  daemon = await startDaemon()
  transport = grpcTransport(daemon.grpcAddress)
  db = new ServiceClient(transport, DbDefinition)
  net = new ServiceClient(transport, NetDefinition)
})

afterAll(async () => {
  transport[Symbol.dispose]()
  await daemon[Symbol.asyncDispose]()
})

const newId = () => threadIdToBytes(newThreadId('raw', randomBytes))

async function newNotes(): Promise<Uint8Array> {
  const dbID = newId()
  const collections = [{ name: NOTE.name, schema: Buffer.from(NOTE.schema) }]
  await db.unary(DbDefinition.methods.newDB, { dbID, collections })
  return dbID
}

function save(dbID: Uint8Array, n: number): Promise<unknown> {
  const instances = [bytesOf({ _id: 'a', n })]
  return db.unary(DbDefinition.methods.save, { dbID, collectionName: 'Note', instances })
}

/** A subscription whose client reads nothing, so that its stream is soon full. */
function stuckSubscriber(threadID: Uint8Array): ClientReadableStream<Buffer> & Disposable {
  const client = new Client(daemon.grpcAddress, credentials.createInsecure())
  const stream = client.makeServerStreamRequest(
    `/${NetDefinition.fullName}/Subscribe`,
    (bytes: Uint8Array) => Buffer.from(bytes),
    (bytes: Buffer) => bytes,
    NetDefinition.methods.subscribe.requestType.encode({ threadIDs: [threadID] }).finish(),
  )
  stream.on('error', () => {})
  return Object.assign(stream, {
    [Symbol.dispose]: () => {
      stream.cancel()
      client.close()
    },
  })
}

describe('a subscriber of records', () => {
  it.each([
    ['8.1-2', 'that does not read', () => {}],
    ['8.1-3', 'that leaves while it is handed a record', (stream: Disposable) => stream[Symbol.dispose]()],
  ] as const)('%s: %s holds up no write', async (_, _what, leave) => {
    const threadID = newId()
    await net.unary(NetDefinition.methods.createThread, { threadID })
    using stream = stuckSubscriber(threadID)
    const body = encode(randomBytes(64 * 1024))
    const create = () => net.unary(NetDefinition.methods.createRecord, { threadID, body })
    for (let count = 0; count < 40; count++) await create()
    leave(stream)
    const before = performance.now()
    for (let count = 0; count < 5; count++) await create()
    expect(performance.now() - before).toBeLessThan(QUICK_MS)
  })

  it('8.2-28: is told of the end with OK, also when the daemon stops, as Go clients end their process otherwise', async () => {
    await using stopping = await startDaemon()
    using link = grpcTransport(stopping.grpcAddress)
    const client = new ServiceClient(link, NetDefinition)
    const threadID = newId()
    await client.unary(NetDefinition.methods.createThread, { threadID })
    const streams = [[], [threadID]].map((threadIDs) => {
      const stream = client.open(NetDefinition.methods.subscribe)
      stream.send({ threadIDs })
      stream.call.halfClose()
      return stream
    })
    // Both are subscribed once they are told of a record.
    let told = 0
    for (const stream of streams) void stream.receive().then(() => told++)
    await expect
      .poll(async () => {
        await client.unary(NetDefinition.methods.createRecord, { threadID, body: encode({}) })
        return told
      })
      .toBe(2)
    await stopping.kill('SIGTERM')
    for (const stream of streams) expect([OK, CANCELLED]).toContain((await stream.call.status).code)
  })
})

describe('a listener', () => {
  it('8.1-18, 8.1-26: that is slow is told of every update, each with the document as it was then', async () => {
    const dbID = await newNotes()
    const listener = db.open(DbDefinition.methods.listen)
    listener.send({ dbID })
    listener.call.halfClose()
    // The first update it is told of shows that it listens.
    let listens = false
    void listener.receive().then(() => (listens = true))
    await expect
      .poll(async () => {
        await save(dbID, 0)
        return listens
      })
      .toBe(true)
    const saves = Array.from({ length: 100 }, (_, index) => index + 1)
    for (const n of saves) await save(dbID, n)
    const instanceIDs = ['a']
    await db.unary(DbDefinition.methods.delete, { dbID, collectionName: 'Note', instanceIDs })
    const seen: unknown[] = []
    for (let update = await listener.receive(); update !== undefined; update = await listener.receive()) {
      if (update.action === ListenReply_Action.DELETE) break
      seen.push(noteOf(update.instance)['n'])
    }
    expect(seen.filter((n) => n !== 0)).toEqual(saves)
    listener.call.cancel()
  })
})
