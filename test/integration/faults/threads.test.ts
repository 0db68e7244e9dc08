/** What go-threads does wrongly with threads. Titles begin with the number of the fault in docs/compatibility.md. */
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Address, parseAddress } from '../../../src/core/address.ts'
import { encode } from '../../../src/core/cbor.ts'
import { newThreadId } from '../../../src/core/thread-id.ts'
import type { Net, ThreadInfo } from '../../../src/net/index.ts'
import { freePorts } from '../../support/daemon.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { startHost, type TestHost } from '../../support/host.ts'
import { bytesOf, newNotes } from '../../support/notes.ts'

const TIMEOUT = { timeout: 15_000 }
const RECORDS_AT_ONCE = 50

let one: TestHost
let two: TestHost

beforeAll(async () => {
  // The second host asks for nothing by itself: what it has was pulled on demand, or pushed.
  ;[one, two] = await Promise.all([startHost(), startHost({ net: { pull: false } })])
})

afterAll(async () => {
  await one[Symbol.asyncDispose]()
  await two[Symbol.asyncDispose]()
})

function addressOf({ addresses: [address] }: ThreadInfo): Address {
  if (address === undefined) throw new Error('the host has no address')
  return address
}

async function countersOf(net: Net, { id }: ThreadInfo): Promise<number[]> {
  const { logs } = await net.getThread(id)
  return logs.map((log) => log.head.counter)
}

describe('records of a log', () => {
  it('8.1-4: that are created at once follow each other', async () => {
    const info = await one.net.createThread(newThreadId('raw', randomBytes))
    const made = await Promise.all(
      Array.from({ length: RECORDS_AT_ONCE }, (_, n) => one.net.createRecord(info.id, encode({ n }))),
    )
    const counters = made.map((record) => record.counter).toSorted((a, b) => a - b)
    expect(counters).toEqual(Array.from({ length: RECORDS_AT_ONCE }, (_, index) => index + 1))
    expect(await countersOf(one.net, info)).toEqual([RECORDS_AT_ONCE])
  })

  it('8.1-21: are refused, before they are made, where no peer could take them', async () => {
    const info = await one.net.createThread(newThreadId('raw', randomBytes))
    const create = (bytes: number) => one.net.createRecord(info.id, encode(new Uint8Array(bytes)))
    await expect(create(3.5 * 1024 * 1024)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    await create(3.4 * 1024 * 1024)
    await two.net.addThread(addressOf(info), { key: info.key })
    await expect.poll(() => countersOf(two.net, info), TIMEOUT).toContain(1)
  })
})

describe('a thread', () => {
  it('8.3-6: that was joined gets its records without being asked for them', async () => {
    const info = await one.net.createThread(newThreadId('raw', randomBytes))
    await one.net.createRecord(info.id, encode({}))
    await two.net.addThread(addressOf(info), { key: info.key })
    await expect.poll(() => countersOf(two.net, info), TIMEOUT).toContain(1)
  })

  it('8.3-7: is pulled without an error when its peers are away, as clients expect', async () => {
    const away = await startHost()
    const info = await away.net.createThread(newThreadId('raw', randomBytes))
    await two.net.addThread(addressOf(info), { key: info.key })
    await away[Symbol.asyncDispose]()
    await two.net.pullThread(info.id)
  })

  it('8.3-5: whose database was deleted can be made anew and written', async () => {
    const { database, notes } = await newNotes(one, [{ _id: 'a' }])
    await expect(one.net.createRecord(database.id, encode({}))).rejects.toThrow('thread is in use')
    await one.databases.delete(database.id)
    await expect(notes.create([bytesOf({ _id: 'b' })])).rejects.toThrow('not found')
    await one.net.createThread(database.id)
    await one.net.createRecord(database.id, encode({}))
    await one.net.deleteThread(database.id)
  })
})

describe('a replicator', () => {
  it('8.1-27: that cannot be reached leaves no address behind', async () => {
    const info = await one.net.createThread(newThreadId('raw', randomBytes))
    const [port] = await freePorts(1)
    const nobody = parseAddress(`/ip4/127.0.0.1/tcp/${port}/p2p/${newPeer().id}`)
    await expect(one.net.addReplicator(info.id, nobody)).rejects.toMatchObject({ code: 'PEER_UNREACHABLE' })
    expect((await one.net.getThread(info.id)).logs).toMatchObject([{ addresses: [`/p2p/${one.net.hostId}`] }])
  })
})
