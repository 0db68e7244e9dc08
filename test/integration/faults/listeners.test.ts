/** What go-threads does wrongly with subscribers. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { Client, type ClientReadableStream, credentials } from '@grpc/grpc-js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APIDefinition as NetDefinition } from '../../../src/api/gen/threadsnet.ts'
import { encode } from '../../../src/core/cbor.ts'
import { newThreadId, threadIdToBytes } from '../../../src/core/thread-id.ts'
import { startDaemon, type TestDaemon } from '../../support/daemon.ts'
import { grpcTransport, ServiceClient, type Transport } from '../../support/grpc-client.ts'
import { startHost } from '../../support/host.ts'
import { bytesOf, newNotes, noteOf } from '../../support/notes.ts'

const OK = 0
const CANCELLED = 1
/** go-threads gives a slow subscriber 5 s with each write; here nobody waits for one. */
const WRITES = 5
const HELD_UP_MS = WRITES * 5_000

let daemon: TestDaemon
let transport: Transport
let net: ServiceClient

beforeAll(async () => {
  daemon = await startDaemon()
  transport = grpcTransport(daemon.grpcAddress)
  net = new ServiceClient(transport, NetDefinition)
})

afterAll(async () => {
  transport[Symbol.dispose]()
  await daemon[Symbol.asyncDispose]()
})

const newId = () => threadIdToBytes(newThreadId('raw', randomBytes))

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
    for (let count = 0; count < WRITES; count++) await create()
    expect(performance.now() - before).toBeLessThan(HELD_UP_MS)
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
    await using host = await startHost()
    const { database, notes } = await newNotes(host, [{ _id: 'a', n: 0 }])
    const updates = database.listen()[Symbol.asyncIterator]()
    const saves = Array.from({ length: 100 }, (_, index) => index + 1)
    for (const n of saves) await notes.save([bytesOf({ _id: 'a', n })])
    await notes.delete(['a'])
    const seen: unknown[] = []
    for (let next = await updates.next(); next.done !== true; next = await updates.next()) {
      const { kind, document } = next.value
      if (kind === 'deleted') break
      seen.push(document === undefined ? undefined : noteOf(document)['n'])
    }
    expect(seen).toEqual(saves)
  })
})
