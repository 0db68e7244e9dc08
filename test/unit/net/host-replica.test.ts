import { beforeEach, describe, expect, it } from 'vitest'
import { parseAddress, peerAddress } from '../../../src/core/address.ts'
import { addressesEdge, headsEdge } from '../../../src/core/edge.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { LogId } from '../../../src/core/peer-id.ts'
import { prepareRecord } from '../../../src/net/append.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { encode } from '../../../src/core/cbor.ts'
import { newPeer } from '../../support/fake-replica.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { type NetCore, openCore } from '../../support/net-core.ts'

let core: NetCore
let id: ThreadId
let log: LogMaker
const peer = newPeer().id

beforeEach(async () => {
  core = await openCore({ net: { maxLogs: 5, maxLogAddresses: 3 } })
  log = new LogMaker()
  id = newThreadId('raw', random)
  await core.membership.create(id, { key: log.threadKey })
})

/** Writes a record to the log of this host. Resolves when it is prepared. */
async function append(): Promise<{ stored: Promise<unknown> }> {
  return core.writer.write(core.entry(id), async (draft) => {
    const [own] = draft.state.logs.values()
    if (own === undefined) throw new Error('there is no log')
    const author = identityOf(own.publicKey)
    const made = prepareRecord(own, { body: encode({}), author, key: draft.state.key, random, maxRecordBytes: 10_000 })
    draft.addRecord(own.id, made.cid, made.blocks)
  })
}

async function restartAfterWrites(): Promise<void> {
  await (await append()).stored
  core = await core.restart()
}

function ownLog(): LogId {
  const [own] = core.entry(id).stored.logs.values()
  if (own === undefined) throw new Error('there is no log')
  return own.id
}

async function told(): Promise<unknown> {
  const all = await core.replica.recordsAfter(id, ownLog(), { counter: 0, maxRecords: 100, maxBytes: 1e6 })
  const { counter, head } = core.replica.log(id, ownLog()) ?? {}
  return { counter, hasHead: head !== undefined, records: all.length, hasEdge: core.replica.edges(id).heads !== 0n }
}

describe('what peers are told', () => {
  it('is stored: heads, edges and records of a write under way are not', async () => {
    const stall = core.faulty.stallBatch(1)
    const { stored } = await append()
    await stall.reached
    expect(await told()).toEqual({ counter: 0, hasHead: false, records: 0, hasEdge: false })
    stall.release()
    await stored
    expect(await told()).toEqual({ counter: 1, hasHead: true, records: 1, hasEdge: true })
  })

  it('survives a power loss, also where callers do not wait for that', async () => {
    core = await openCore({ store: { durability: 'relaxed' } })
    await core.membership.create(id, { key: log.threadKey })
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    core.clock.advance(50)
    await expect.poll(() => core.store.journal.lastSeq).toBe(2)
    const { stored } = await append()
    await stored
    expect(core.entry(id).stored.logs.get(ownLog())?.head.counter).toBe(1)
    expect(await told()).toEqual({ counter: 0, hasHead: false, records: 0, hasEdge: false })
    // Records of others are theirs to keep.
    await core.replica.receive({ threadId: id, logId: log.id, records: log.next(2), from: peer })
    expect(core.replica.log(id, log.id)?.counter).toBe(2)
    core.clock.advance(50)
    await expect.poll(told).toEqual({ counter: 1, hasHead: true, records: 1, hasEdge: true })
  })

  it('has the edges of all logs, and none of a thread without addresses', async () => {
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    await core.replica.receive({ threadId: id, logId: log.id, records: log.next(2), from: peer })
    const logs = core.replica.logs(id)
    const addresses = logs.flatMap((each) => each.addresses.map((address) => ({ logId: each.id, address })))
    const heads = logs.flatMap(({ id: logId, head }) => (head === undefined ? [] : [{ logId, head }]))
    expect(core.replica.edges(id)).toEqual({
      addresses: addressesEdge(addresses),
      heads: headsEdge(heads),
      chains: headsEdge(heads),
    })
    expect(core.replica.edges(newThreadId('raw', random))).toEqual({ addresses: 0n, heads: 0n })
    const bare = newThreadId('raw', random)
    await core.replica.adopt(bare, { service: log.threadKey.service, read: undefined }, peer)
    await core.replica.addLogs(bare, [log.asPeerLog()], peer)
    await core.replica.receive({ threadId: bare, logId: log.id, records: log.blocks(), from: peer })
    expect(core.replica.edges(bare)).toEqual({ addresses: 0n, heads: 0n, chains: 0n })
  })

  it('is cut at the limits, one record at least', async () => {
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    const blocks = log.next(5)
    await core.replica.receive({ threadId: id, logId: log.id, records: blocks, from: peer })
    const after = (counter: number, maxRecords: number, maxBytes: number): Promise<unknown> =>
      core.replica.recordsAfter(id, log.id, { counter, maxRecords, maxBytes })
    expect(await after(1, 2, 1e6)).toEqual(blocks.slice(1, 3))
    expect(await after(3, 9, 1)).toEqual(blocks.slice(3, 4))
    expect(await after(5, 9, 1e6)).toEqual([])
    expect(await after(9, 9, 1e6)).toEqual([])
    expect(await core.replica.recordsAfter(id, peer, { counter: 0, maxRecords: 1, maxBytes: 1 })).toEqual([])
  })

  it('includes where a record stands in its log', async () => {
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    await core.replica.receive({ threadId: id, logId: log.id, records: log.next(3), from: peer })
    const positions = log.records.map(({ cid }) => core.replica.counterOf(id, log.id, cid))
    expect(await Promise.all(positions)).toEqual([1, 2, 3])
    const [first] = log.records
    if (first === undefined) throw new Error('there is no record')
    expect(await core.replica.counterOf(id, ownLog(), first.cid)).toBeUndefined()
    expect(await core.replica.counterOf(id, log.id, log.make().cid)).toBeUndefined()
  })
})

describe('peers of a thread', () => {
  it('are those that its logs name, without this host, and belong to it', async () => {
    const other = newPeer().id
    await core.replica.addLogs(id, [log.asPeerLog(peer, other)], peer)
    expect(core.replica.peers(id)).toEqual([peer, other])
    expect(core.replica.isProven(id, other)).toBe(true)
    expect(core.replica.isProven(id, newPeer().id)).toBe(false)
    await core.replica.addLogs(id, [log.asPeerLog(newPeer().id)], peer)
    expect(core.replica.peers(id)).toHaveLength(3)
  })

  it('belong to it when they have shown so, until too many others did', async () => {
    const first = newPeer().id
    core.replica.prove(id, first)
    expect(core.replica.isProven(id, first)).toBe(true)
    for (let count = 1; count <= 1_000; count++) core.replica.prove(id, `peer ${count}` as LogId)
    expect(core.replica.isProven(id, first)).toBe(false)
    expect(core.replica.isProven(newThreadId('raw', random), first)).toBe(false)
  })
})

describe('a peer that showed the key, and that no log names,', () => {
  it('belongs to the thread after a restart', async () => {
    core.replica.prove(id, peer)
    await restartAfterWrites()
    expect(core.replica.isProven(id, peer)).toBe(true)
    expect(core.replica.isProven(id, newPeer().id)).toBe(false)
  })

  it('is one of a limited number, of which the newest are kept', async () => {
    const peers = Array.from({ length: 101 }, () => newPeer().id)
    for (const each of peers) core.replica.prove(id, each)
    await restartAfterWrites()
    expect(peers.map((each) => core.replica.isProven(id, each))).toEqual([false, ...peers.slice(1).map(() => true)])
  })

  it('costs no write when it shows it again', async () => {
    core.replica.prove(id, peer)
    const write = await append()
    await write.stored
    const { lastSeq } = core.store.journal
    core.replica.prove(id, peer)
    await (await append()).stored
    expect(core.store.journal.lastSeq).toBe(lastSeq + 1)
  })
})

describe('logs that peers tell of', () => {
  it('are refused with a key that is not theirs, or none', async () => {
    const forged = { ...log.asPeerLog(), publicKey: newPeer().key.publicKey }
    for (const bad of [forged, { ...log.asPeerLog(), publicKey: undefined }]) {
      await expect(core.replica.addLogs(id, [bad], peer)).rejects.toMatchObject({
        code: 'INVALID_KEY',
        message: "log ID doesn't provided match public key",
      })
    }
    expect(core.replica.log(id, log.id)).toBeUndefined()
  })

  it('are empty, whatever head they claim', async () => {
    log.next(3)
    await core.replica.addLogs(id, [log.asPeerLog()], peer)
    expect(core.replica.log(id, log.id)).toMatchObject({ counter: 0, head: undefined })
  })

  it('add addresses and take none away', async () => {
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    const other = newPeer().id
    await core.replica.addLogs(id, [{ ...log.asPeerLog(other, other), publicKey: undefined }], peer)
    await core.replica.addLogs(id, [log.asPeerLog()], peer)
    expect(core.replica.log(id, log.id)?.addresses).toEqual([peer, other].map(peerAddress))
  })

  it('are taken without addresses that name no peer, and with as many others as the limit allows', async () => {
    const peers = Array.from({ length: 5 }, () => newPeer().id)
    const nowhere = parseAddress('/ip4/10.0.0.1/tcp/1')
    await core.replica.addLogs(id, [log.withAddresses([nowhere, ...peers.map(peerAddress)])], peer)
    expect(core.replica.log(id, log.id)?.addresses).toEqual(peers.slice(0, 3).map(peerAddress))
    await core.replica.addLogs(id, [log.asPeerLog(newPeer().id)], peer)
    expect(core.replica.log(id, log.id)?.addresses).toHaveLength(3)
    expect(core.replica.peers(id)).toEqual(peers.slice(0, 3))
  })

  it('are refused over the limit, as a whole', async () => {
    const logs = Array.from({ length: 5 }, () => new LogMaker().asPeerLog())
    await expect(core.replica.addLogs(id, logs, peer)).rejects.toMatchObject({ code: 'TOO_LARGE' })
    expect(core.replica.logs(id)).toHaveLength(1)
    await core.replica.addLogs(id, logs.slice(1), peer)
    expect(core.replica.logs(id)).toHaveLength(5)
  })

  it('cost no write when they say nothing new', async () => {
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    const before = core.faulty.batches.length
    await core.replica.addLogs(id, [log.asPeerLog(peer)], peer)
    expect(core.faulty.batches.length).toBe(before)
  })
})

describe('threads that peers ask to keep', () => {
  it('prove who asked, and keep the first read key they get', async () => {
    const kept = newThreadId('raw', random)
    const { service, read } = log.threadKey
    await core.replica.adopt(kept, { service, read: undefined }, peer)
    expect(core.replica.isProven(kept, peer)).toBe(true)
    const others = [random(32), random(32)]
    await Promise.all([read, ...others].map((each) => core.replica.adopt(kept, { service, read: each }, peer)))
    expect(core.entry(kept).stored.key).toEqual({ service, read })
  })
})
