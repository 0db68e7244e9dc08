/** `threadsd migrate` between two daemons, as an operator runs it. */
import { Server, ServerCredentials } from '@grpc/grpc-js'
import { Client } from '@textile/threads-client'
import { Context } from '@textile/context'
import { PrivateKey } from '@textile/crypto'
import { ThreadID } from '@textile/threads-id'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { APIDefinition as NetDefinition } from '../../src/api/gen/threadsnet.ts'
import { addressToBytes, parseAddress } from '../../src/core/address.ts'
import { encode } from '../../src/core/cbor.ts'
import { randomBytes } from '../../src/core/crypto.ts'
import { newThreadId, threadIdToBytes } from '../../src/core/thread-id.ts'
import { type Exit, freePorts, runDaemon, startDaemon, type TestDaemon } from '../support/daemon.ts'
import { grpcTransport, ServiceClient } from '../support/grpc-client.ts'

const schema = {
  properties: { _id: { type: 'string' }, name: { type: 'string' }, tag: { type: 'string' } },
  required: ['_id'],
}
const animals = {
  name: 'Animal',
  schema,
  indexes: [
    { path: 'name', unique: false },
    { path: 'tag', unique: true },
  ],
  writeValidator: (_writer: string, event: { patch: unknown }) => JSON.stringify(event.patch).indexOf('bad') < 0,
  readFilter: (_reader: string, instance: object) => instance,
}

let old: TestDaemon
let fresh: TestDaemon
let oldClient: Client
let freshClient: Client

async function clientOf(daemon: TestDaemon): Promise<Client> {
  const client = new Client(new Context(daemon.webAddress))
  await client.getToken(PrivateKey.fromRandom())
  return client
}

async function newZoo(name: string, documents: number): Promise<ThreadID> {
  const id = await oldClient.newDB(ThreadID.fromRandom(), name)
  await oldClient.newCollection(id, animals)
  for (let at = 0; at < documents; at++) await oldClient.create(id, 'Animal', [{ _id: `a${at}`, name: `n${at}` }])
  return id
}

function migrate(...args: string[]): Promise<Exit> {
  return runDaemon(['migrate', '-from', old.grpcAddress, '-to', fresh.grpcAddress, ...args])
}

/** The cells of the row of a database or thread. */
function rowOf({ stdout }: Exit, id: { toString(): string }): string[] | undefined {
  const line = stdout.split('\n').find((each) => each.startsWith(id.toString()))
  return line?.split(/ {2,}/).slice(1)
}

beforeAll(async () => {
  ;[old, fresh] = await Promise.all([startDaemon(), startDaemon()])
  ;[oldClient, freshClient] = await Promise.all([clientOf(old), clientOf(fresh)])
})

afterAll(async () => {
  await old[Symbol.asyncDispose]()
  await fresh[Symbol.asyncDispose]()
})

describe('migrate', () => {
  it('joins every database with name, key, collections and records', async () => {
    const ids = [await newZoo('zoo', 25), await newZoo('farm', 3), await newZoo('void', 0)]
    const before = await migrate('--check')
    expect(before.code).toBe(1)
    expect(rowOf(before, ids[0] ?? '')).toEqual(['zoo', '1', '25', 'differs: the daemon at -to does not have it'])
    expect(await freshClient.listDBs()).toEqual([])

    const exit = await migrate()
    expect(exit.stdout).toContain('3 of 3 are the same.')
    expect(exit.code).toBe(0)
    expect(ids.map((id) => rowOf(exit, id))).toEqual([
      ['zoo', '1', '25', 'same'],
      ['farm', '1', '3', 'same'],
      ['void', '0', '0', 'same'],
    ])
    for (const id of ids) {
      expect((await freshClient.getDBInfo(id)).key).toBe((await oldClient.getDBInfo(id)).key)
      expect(await freshClient.listCollections(id)).toEqual(await oldClient.listCollections(id))
      expect(await freshClient.find(id, 'Animal', {})).toEqual(await oldClient.find(id, 'Animal', {}))
    }
    expect((await migrate('-check')).code).toBe(0)
  })

  it('can be run again: it brings what is new on either side', async () => {
    const id = await newZoo('again', 2)
    expect((await migrate()).code).toBe(0)
    await oldClient.newCollection(id, { name: 'Plant', schema })
    await Promise.all([
      oldClient.create(id, 'Plant', [{ _id: 'oak', name: 'oak' }]),
      freshClient.create(id, 'Animal', [{ _id: 'new', name: 'new' }]),
    ])
    const exit = await migrate()
    expect(exit.stderr).not.toContain('joined')
    expect(rowOf(exit, id)).toEqual(['again', '2', '4', 'same'])
    expect(exit.code).toBe(0)
    expect(await freshClient.has(id, 'Plant', ['oak'])).toBe(true)
    expect(await oldClient.has(id, 'Animal', ['new'])).toBe(true)
  })

  it('tells of collections that were defined in another way since', async () => {
    const id = await newZoo('changed', 1)
    await migrate()
    await oldClient.updateCollection(id, { name: 'Animal', schema })
    const exit = await migrate()
    expect(rowOf(exit, id)?.at(-1)).toBe('differs: the same records, but other definitions of Animal')
    expect(exit.code).toBe(1)
    await freshClient.updateCollection(id, { name: 'Animal', schema })
    expect((await migrate('-check')).code).toBe(0)
  })

  it('joins a database of which the new daemon is a replicator', async () => {
    const id = await newZoo('kept', 3)
    using transport = grpcTransport(old.grpcAddress)
    const net = new ServiceClient(transport, NetDefinition)
    const addr = addressToBytes(parseAddress(fresh.hostAddress))
    await net.unary(NetDefinition.methods.addReplicator, { threadID: id.toBytes(), addr })
    const exit = await migrate()
    expect(rowOf(exit, id)).toEqual(['kept', '1', '3', 'same'])
    expect(await freshClient.find(id, 'Animal', {})).toEqual(await oldClient.find(id, 'Animal', {}))
  })

  it('brings threads that are no databases, if they are named', async () => {
    using transport = grpcTransport(old.grpcAddress)
    const net = new ServiceClient(transport, NetDefinition)
    const id = newThreadId('raw', randomBytes)
    const threadID = threadIdToBytes(id)
    await net.unary(NetDefinition.methods.createThread, { threadID, keys: {} })
    for (let at = 0; at < 4; at++) {
      await net.unary(NetDefinition.methods.createRecord, { threadID, body: encode({ at }) })
    }
    expect(rowOf(await migrate(), id)).toBeUndefined()
    const exit = await migrate('-threads', id)
    expect(rowOf(exit, id)).toEqual(['(no database)', '1', '4', 'same'])
    expect(exit.code).toBe(0)
    const nowhere = newThreadId('raw', randomBytes)
    const missing = await migrate('-threads', `${id},${nowhere}`)
    expect(rowOf(missing, nowhere)?.at(-1)).toBe('differs: the daemon at -from does not have it')
    expect(missing.code).toBe(1)
  })
})

describe('migrate refuses, in one line,', () => {
  const run = (from: string, to: string): Promise<Exit> => runDaemon(['migrate', `-from=${from}`, `--to=${to}`])

  it('the same daemon twice', async () => {
    const { code, stderr } = await run(old.grpcAddress, old.grpcAddress)
    expect([code, stderr]).toEqual([1, 'threadsd: -from and -to are the same daemon. -help lists the flags.\n'])
  })

  it('a port where nobody listens, or no gRPC', async () => {
    const [free] = await freePorts(1)
    for (const to of [`127.0.0.1:${free}`, new URL(fresh.webAddress).host]) {
      const { code, stderr } = await run(old.grpcAddress, to)
      expect(stderr).toMatch(new RegExp(`^threadsd: no daemon answers at ${to}: .* by default 6006\n$`))
      expect(code).toBe(1)
    }
  })

  it('another gRPC server', async () => {
    const server = new Server()
    const port = await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, at: number): void => (error === null ? resolve(at) : reject(error))
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), bound)
    })
    const { code, stderr } = await run(old.grpcAddress, `127.0.0.1:${port}`)
    server.forceShutdown()
    expect(stderr).toMatch(/^threadsd: 127\.0\.0\.1:\d+ does not offer \/threads\.net\.pb\.API\/GetHostID\. .*\n$/)
    expect(code).toBe(1)
  })

  it.each([
    [['-from', '127.0.0.1:6006'], 'migrate needs -from HOST:PORT and -to HOST:PORT'],
    [['-form', '127.0.0.1:6006'], "Unknown option '--form'"],
    [['-from', '127.0.0.1:1', '-to', '127.0.0.1:2', '-threads', 'x'], 'id too short'],
  ])('%j', async (args, message) => {
    const { code, stderr } = await runDaemon(['migrate', ...args])
    expect(stderr).toMatch(/^threadsd: [^\n]*\n$/)
    expect(stderr).toContain(message)
    expect(code).toBe(1)
  })

  it('nothing when asked for help', async () => {
    const { code, stdout } = await runDaemon(['migrate', '-help'])
    expect([code, stdout.split('\n')[0]]).toEqual([
      0,
      'Usage: threadsd migrate -from HOST:PORT -to HOST:PORT [-threads ID,ID...] [-check]',
    ])
  })
})
