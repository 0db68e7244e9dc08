/** A peer that signs two records after the same one, and one that forges first records, among hosts over real sockets. */
import { randomBytes } from 'node:crypto'
import { afterEach, expect, it } from 'vitest'
import { parseAddress, peerAddress } from '../../src/core/address.ts'
import { newThreadId } from '../../src/core/thread-id.ts'
import type { RecordBlocks } from '../../src/core/record.ts'
import type { Database } from '../../src/db/index.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { createPeerClient, type PeerClient } from '../../src/net/protocol/client.ts'
import { ForeignLog } from '../support/foreign-log.ts'
import { startHost, type TestHost } from '../support/host.ts'
import { NOTE } from '../support/notes.ts'
import { newHost } from '../support/peer-host.ts'

const TIMEOUT = { timeout: 20_000 }
const hosts: TestHost[] = []
const peers: { host: PeerHost; client: PeerClient }[] = []

afterEach(async () => {
  for (const { host, client } of peers.splice(0)) {
    client.close()
    await host.close()
  }
  for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]()
})

async function open(): Promise<TestHost> {
  const host = await startHost()
  hosts.push(host)
  return host
}

/** Two hosts with a database, and a peer that knows its key and can call both. */
async function openShared(): Promise<{
  databases: readonly [Database, Database]
  log: ForeignLog
  push(to: number, records: readonly RecordBlocks[]): Promise<void>
}> {
  const [a, b] = [await open(), await open()]
  const first = await a.databases.create(newThreadId('raw', randomBytes), { collections: [NOTE] })
  const { addresses, key } = await first.info()
  const [address] = addresses
  if (address === undefined) throw new Error('the host has no address')
  const second = await b.databases.join(address, { key, collections: [NOTE], block: true })
  const host = await newHost()
  await host.start()
  const client = createPeerClient(host)
  peers.push({ host, client })
  for (const { net } of [a, b]) host.remember(net.hostId, net.hostAddresses())
  const log = new ForeignLog(key)
  const told = {
    id: log.id,
    publicKey: log.key.publicKey,
    addresses: [peerAddress(host.id)],
    head: undefined,
    counter: 0,
  }
  const threadId = first.id
  for (const { net } of [a, b]) {
    const request = { threadId, serviceKey: key.service, readKey: undefined, log: told }
    await client.call(net.hostId, 'pushLog', request)
  }
  return {
    databases: [first, second],
    log,
    async push(to, records) {
      const { net } = to === 0 ? a : b
      for (const [index, record] of records.entries()) {
        const request = { threadId, logId: log.id, record, counter: index + 1 }
        await client.call(net.hostId, 'pushRecord', request)
      }
    },
  }
}

async function notesOf(database: Database): Promise<string[]> {
  const found = await database.collection('Note').find({})
  return found.map((document) => Buffer.from(document).toString()).toSorted()
}

function create(id: string, text: string): Parameters<ForeignLog['record']>[0] {
  return [{ type: 'create', id, patch: JSON.stringify({ _id: id, text }) }]
}

function counterOf(host: TestHost | undefined, log: ForeignLog, id: Database['id']): Promise<number | undefined> {
  if (host === undefined) throw new Error('the host is not open')
  return host.net.getThread(id).then(({ logs }) => logs.find((each) => each.id === log.id)?.head.counter)
}

it('hosts that were given different chains of a log show the documents of both', async () => {
  const { databases, log, push } = await openShared()
  const start = log.record(create('start', 'of both'))
  const forks = ['a', 'b'].map((name) => log.fork(create(name, `for ${name}`)).blocks)
  await push(0, [start, forks[0] as RecordBlocks])
  await push(1, [start, forks[1] as RecordBlocks])
  const all = ['{"_id":"a","text":"for a"}', '{"_id":"b","text":"for b"}', '{"_id":"start","text":"of both"}']
  for (const database of databases) await expect.poll(() => notesOf(database), TIMEOUT).toEqual(all)
  for (const { net } of hosts) {
    await expect.poll(() => net.forkedLogs(), TIMEOUT).toMatchObject([{ logId: log.id, branches: 1, own: false }])
  }
  // They go on.
  await databases[0].collection('Note').create([Buffer.from('{"_id":"last"}')])
  await expect.poll(async () => (await notesOf(databases[1])).length, TIMEOUT).toBe(4)
})

it('a forged first record is gone from all hosts once the log goes on', async () => {
  const { databases, log, push } = await openShared()
  // What is signed of a first record is its author: whoever has one can make another.
  const forged = log.fork(create('forged', 'by a liar')).blocks
  await push(1, [forged])
  await expect.poll(() => notesOf(databases[1]), TIMEOUT).toEqual(['{"_id":"forged","text":"by a liar"}'])
  await push(0, [log.record(create('first', 'of the owner')), log.record(create('second', 'of the owner'))])
  const all = ['{"_id":"first","text":"of the owner"}', '{"_id":"second","text":"of the owner"}']
  for (const database of databases) await expect.poll(() => notesOf(database), TIMEOUT).toEqual(all)
  for (const host of hosts) expect(await counterOf(host, log, databases[0].id)).toBe(2)
  for (const { net } of hosts) expect(net.forkedLogs()).toEqual([])
})

it('a host vouches for its own first record', async () => {
  const [a, b] = [await open(), await open()]
  const first = await a.databases.create(newThreadId('raw', randomBytes), { collections: [NOTE] })
  const { addresses, key } = await first.info()
  const second = await b.databases.join(addresses[0] ?? parseAddress('/ip4/127.0.0.1'), {
    key,
    collections: [NOTE],
    block: true,
  })
  const [own] = (await a.net.getThread(first.id)).logs
  if (own?.privateKey === undefined) throw new Error('the host has no log')
  const forger = new ForeignLog(key, own.privateKey)
  await b.net.addRecord(first.id, own.id, forger.record(create('forged', 'by a liar')))
  expect(await notesOf(second)).toEqual(['{"_id":"forged","text":"by a liar"}'])
  await first.collection('Note').create([Buffer.from('{"_id":"first"}')])
  for (const database of [first, second]) {
    await expect.poll(() => notesOf(database), TIMEOUT).toEqual([expect.stringContaining('"_id":"first"')])
  }
  expect((await b.net.getThread(first.id)).logs.find(({ id }) => id === own.id)?.head.counter).toBe(1)
})
