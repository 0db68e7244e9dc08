/** Calls that stay open, against a real daemon: how they end, and what a client that goes away leaves behind. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  CreateRequest,
  GetTokenRequest,
  HasRequest,
  ReadTransactionRequest,
  WriteTransactionRequest,
} from '../../src/api/gen/threads.ts'
import { toHex, utf8 } from '../../src/core/bytes.ts'
import { startDaemon, type TestDaemon } from '../support/daemon.ts'
import { DogClient } from '../support/dog-client.ts'
import { grpcTransport, type OpenOptions, type RpcCall, type Transport } from '../support/grpc-client.ts'
import { http2Transport } from '../support/http2-client.ts'
import { startProxy, type TcpProxy } from '../support/tcp-proxy.ts'
import { webSocketTransport } from '../support/web-client.ts'

const DOG_PROCESS = join(import.meta.dirname, '../support/dog-process.ts')
/** Longer than any test: where nothing is to end because its time is up. */
const UNLIMITED = { transactionIdle: '1h', transactionTotal: '1h', logLevel: 'debug' }
/** A dog of a transaction that must not be committed. */
const LOST = 'lost'

interface Way {
  readonly name: string
  addressOf(daemon: TestDaemon): string
  /** `port` leads to the address, directly or through a proxy. */
  connect(port: number): Transport
}

const grpcAddress = (daemon: TestDaemon): string => daemon.grpcAddress
const webAddress = (daemon: TestDaemon): string => daemon.webAddress
const WAYS: readonly Way[] = [
  { name: 'gRPC', addressOf: grpcAddress, connect: (port) => grpcTransport(`127.0.0.1:${port}`) },
  // A client that leaves deadlines to the server.
  { name: 'HTTP/2', addressOf: grpcAddress, connect: (port) => http2Transport(`127.0.0.1:${port}`) },
  { name: 'websockets', addressOf: webAddress, connect: (port) => webSocketTransport(`http://127.0.0.1:${port}`) },
]

interface Stream {
  readonly name: string
  open(client: DogClient, options?: OpenOptions): Promise<RpcCall>
}

const STREAMS: readonly Stream[] = [
  { name: 'threads.pb.API/GetToken', open: (client, options) => client.getToken(options) },
  { name: 'threads.net.pb.API/GetToken', open: (client, options) => client.getNetToken(options) },
  { name: 'threads.pb.API/ReadTransaction', open: (client, options) => client.readTransaction(options) },
  { name: 'threads.pb.API/WriteTransaction', open: (client, options) => client.writeTransaction(LOST, options) },
  { name: 'threads.pb.API/Listen', open: (client, options) => client.listen(options) },
  { name: 'threads.net.pb.API/Subscribe', open: (client, options) => client.subscribe(options) },
]

const LEAVES: readonly { how: string; leave(call: RpcCall, way: TcpProxy): void }[] = [
  { how: 'cancels', leave: (call) => call.cancel() },
  { how: 'is reset', leave: (_call, way) => way.reset() },
]

describe.each(WAYS)('over $name', ({ addressOf, connect }) => {
  let daemon: TestDaemon
  let port: number
  let transport: Transport
  let dogs: DogClient

  beforeAll(async () => {
    daemon = await startDaemon({ flags: UNLIMITED })
    port = portOf(addressOf(daemon))
    transport = connect(port)
  })

  beforeEach(async () => {
    dogs = await DogClient.create(transport)
  })

  afterAll(async () => {
    transport[Symbol.dispose]()
    await daemon[Symbol.asyncDispose]()
  })

  /** The next write has its turn, and nothing of the lost transaction is there. */
  async function expectNothingLeft(): Promise<void> {
    await dogs.create('next')
    expect(await dogs.has(LOST)).toBe(false)
  }

  describe.each(STREAMS)('$name', ({ name, open }) => {
    it.each(LEAVES)('ends when its client $how', async ({ leave }) => {
      await using proxy = await startProxy(port)
      using through = connect(proxy.port)
      const before = failures(daemon, name)
      leave(await open(new DogClient(through, dogs.dbID)), proxy)
      await expect.poll(() => failures(daemon, name)).toBe(before + 1)
      await expectNothingLeft()
    })

    it('ends when its deadline passes', async () => {
      const before = failures(daemon, name)
      const call = await open(dogs, { timeoutMs: 300 })
      expect((await call.status).code).toBe(status.DEADLINE_EXCEEDED)
      await expect.poll(() => failures(daemon, name)).toBe(before + 1)
      await expectNothingLeft()
    })

    it('ends at its deadline though its client reads nothing', async () => {
      await using proxy = await startProxy(port)
      using through = connect(proxy.port)
      const before = failures(daemon, name)
      const call = await open(new DogClient(through, dogs.dbID), { timeoutMs: 300 })
      proxy.block()
      await expect.poll(() => failures(daemon, name)).toBe(before + 1)
      await expectNothingLeft()
      proxy.unblock()
      expect((await call.status).code).toBe(status.DEADLINE_EXCEEDED)
    })
  })

  describe('a write transaction that waits for its turn', () => {
    it.each(LEAVES)('gives it up when its client $how', async ({ leave }) => {
      await using proxy = await startProxy(port)
      using through = connect(proxy.port)
      const before = await dogs.writeTransaction('before')
      const waiting = new DogClient(through, dogs.dbID)
      const call = waiting.beginWrite(LOST)
      // Answered after what was sent before it.
      await waiting.has(LOST)
      leave(call, proxy)
      await call.status
      before.halfClose()
      expect((await before.status).code).toBe(0)
      await expectNothingLeft()
      expect(await dogs.has('before')).toBe(true)
    })

    it('gives it up when its client leaves more behind than the daemon takes in', async () => {
      const before = await dogs.writeTransaction('before')
      using through = connect(port)
      const call = new DogClient(through, dogs.dbID).beginWrite(LOST)
      for (let i = 0; i < 8; i++) call.send(createLarge(`${LOST}-${i}`))
      await dogs.has(LOST)
      call.cancel()
      // A websocket that is not read any more tells of its end only when the call has its turn.
      before.halfClose()
      expect((await before.status).code).toBe(0)
      await expectNothingLeft()
      await call.status
    })

    it('gives it up when its deadline passes', async () => {
      const before = await dogs.writeTransaction('before')
      const call = dogs.beginWrite(LOST, { timeoutMs: 200 })
      expect((await call.status).code).toBe(status.DEADLINE_EXCEEDED)
      before.halfClose()
      expect((await before.status).code).toBe(0)
      await expectNothingLeft()
    })
  })

  it('a write transaction whose client reads nothing is over at its deadline', async () => {
    await using proxy = await startProxy(port)
    using through = connect(proxy.port)
    const before = failures(daemon, 'threads.pb.API/WriteTransaction')
    const call = await new DogClient(through, dogs.dbID).writeTransaction(LOST, { timeoutMs: 300 })
    proxy.block()
    await expect.poll(() => failures(daemon, 'threads.pb.API/WriteTransaction')).toBe(before + 1)
    await dogs.create('while the client is still there')
    // It does not know yet.
    call.halfClose()
    proxy.unblock()
    expect((await call.status).code).toBe(status.DEADLINE_EXCEEDED)
    await expectNothingLeft()
  })

  it('a write whose deadline passes while it waits for its turn is not made', async () => {
    const before = await dogs.writeTransaction('before')
    await expect(dogs.create(LOST, { timeoutMs: 200 })).rejects.toMatchObject({ code: status.DEADLINE_EXCEEDED })
    before.halfClose()
    expect((await before.status).code).toBe(0)
    await expectNothingLeft()
  })

  it('none of many cancelled transactions is committed', async () => {
    for (let round = 0; round < 200; round++) {
      const call = await dogs.writeTransaction(LOST)
      call.cancel()
      await call.status
    }
    await expectNothingLeft()
  })

  describe('a half-close', () => {
    it('commits a write transaction', async () => {
      const call = await dogs.writeTransaction('rex')
      call.halfClose()
      expect((await call.status).code).toBe(0)
      expect(await dogs.has('rex')).toBe(true)
    })

    it('ends a read transaction', async () => {
      const call = await dogs.readTransaction()
      call.halfClose()
      expect((await call.status).code).toBe(0)
    })

    it('without the signature gets no token', async () => {
      for (const call of [await dogs.getToken(), await dogs.getNetToken()]) {
        call.halfClose()
        expect(await call.status).toMatchObject({ code: status.UNKNOWN, message: 'EOF' })
      }
    })

    it.each(STREAMS)('of $name before its first message is the end of it', async ({ name }) => {
      const call = transport.open(`/${name}`)
      call.halfClose()
      expect(await call.status).toMatchObject({ code: status.UNKNOWN, message: 'EOF' })
    })

    it('leaves listeners and subscribers listening', async () => {
      for (const listen of [() => dogs.listen(), () => dogs.subscribe()]) {
        const call = await listen()
        for (let i = 0; i < 3; i++) {
          await dogs.create()
          expect(await call.receive()).toBeDefined()
        }
        call.cancel()
      }
    })
  })

  describe('GetToken', () => {
    it('answers others while many leave their challenges open', async () => {
      const calls = await Promise.all(Array.from({ length: 200 }, () => dogs.getToken()))
      expect(await dogs.token()).toMatch(/^ey/)
      for (const call of calls) call.cancel()
      await Promise.all(calls.map((call) => call.status))
      expect(await dogs.token()).toMatch(/^ey/)
    })

    it.each([
      ['too large for a message', 4 * 1024 * 1024, status.RESOURCE_EXHAUSTED],
      ['too large for a key', 1024 * 1024, status.UNKNOWN],
    ])('refuses a key that is %s', async (_title, bytes, code) => {
      const call = transport.open('/threads.pb.API/GetToken')
      call.send(GetTokenRequest.encode({ payload: { $case: 'key', value: 'b'.repeat(bytes) } }).finish())
      const failed = await call.status
      expect(failed.code).toBe(code)
      expect(failed.message.length).toBeLessThanOrEqual(2_000)
    })
  })

  it('a client that is killed leaves nothing', async () => {
    const child = spawn(process.execPath, [DOG_PROCESS, addressOf(daemon), toHex(dogs.dbID), LOST], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await once(child.stdout, 'data')
    const before = failures(daemon, '')
    child.kill('SIGKILL')
    await expect.poll(() => failures(daemon, '')).toBe(before + 2)
    await expectNothingLeft()
  })
})

const TIMEOUT = { code: status.ABORTED, trailers: { 'threads-error-code': 'TRANSACTION_TIMEOUT' } }
const LIMITS = [
  { how: 'idle', busy: false, flags: { transactionIdle: '200ms', transactionTotal: '1h' } },
  { how: 'busy for too long', busy: true, flags: { transactionIdle: '1h', transactionTotal: '500ms' } },
]

describe.each(LIMITS)('a transaction that is $how', ({ busy, flags }) => {
  let daemon: TestDaemon

  beforeAll(async () => {
    daemon = await startDaemon({ flags })
  })

  afterAll(() => daemon[Symbol.asyncDispose]())

  it.each(WAYS)('is aborted if it writes over $name', async ({ addressOf, connect }) => {
    using transport = connect(portOf(addressOf(daemon)))
    const dogs = await DogClient.create(transport)
    const call = await dogs.writeTransaction(LOST)
    const value = HasRequest.create()
    if (busy)
      await askUntilOver(call, WriteTransactionRequest.encode({ option: { $case: 'hasRequest', value } }).finish())
    expect(await call.status).toMatchObject(TIMEOUT)
    await dogs.create('next')
    expect(await dogs.has(LOST)).toBe(false)
  })

  it.each(WAYS)('is aborted if it reads over $name', async ({ addressOf, connect }) => {
    using transport = connect(portOf(addressOf(daemon)))
    const call = await (await DogClient.create(transport)).readTransaction()
    const value = HasRequest.create()
    if (busy)
      await askUntilOver(call, ReadTransactionRequest.encode({ option: { $case: 'hasRequest', value } }).finish())
    expect(await call.status).toMatchObject(TIMEOUT)
  })

  it.each(WAYS)(
    'lets others have their turn though its client reads nothing over $name',
    async ({ addressOf, connect }) => {
      const port = portOf(addressOf(daemon))
      using transport = connect(port)
      const dogs = await DogClient.create(transport)
      await using proxy = await startProxy(port)
      using through = connect(proxy.port)
      const call = await new DogClient(through, dogs.dbID).writeTransaction(LOST)
      proxy.block()
      await dogs.create('next')
      call.halfClose()
      proxy.unblock()
      expect((await call.status).code).toBe(status.ABORTED)
      expect(await dogs.has(LOST)).toBe(false)
    },
  )
})

/** A message of a write transaction, a quarter of the size of the largest. */
function createLarge(id: string): Uint8Array {
  const instances = [utf8(JSON.stringify({ _id: id, text: 'x'.repeat(1024 * 1024) }))]
  return WriteTransactionRequest.encode({
    option: { $case: 'createRequest', value: CreateRequest.create({ instances }) },
  }).finish()
}

async function askUntilOver(call: RpcCall, question: Uint8Array): Promise<void> {
  do call.send(question)
  while ((await call.receive()) !== undefined)
}

/** Calls the daemon says have failed. */
function failures(daemon: TestDaemon, method: string): number {
  const lines = daemon.stderr().split('\n')
  return lines.filter((line) => line.includes(`"rpc":"/${method}`) && line.includes('"call failed"')).length
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(':') + 1))
}
