/** Hosts of ours beside hosts that run go-threads: a scripted one, which does what those do wrongly too. */
import { randomBytes } from 'node:crypto'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { peerAddress } from '../../src/core/address.ts'
import { bytesKey } from '../../src/core/bytes.ts'
import { generateKey } from '../../src/core/keys.ts'
import { identityOf } from '../../src/core/identity.ts'
import { Status } from '../../src/net/protocol/status.ts'
import { FakeClock } from '../support/fake-clock.ts'
import type { ForeignLog } from '../support/foreign-log.ts'
import { bytesOf, found, idsOf, joinNotes, newNotes, NOTE } from '../support/notes.ts'
import {
  addressOf,
  closeAll,
  create,
  expectInStep,
  listen,
  open,
  openGo,
  otherLogIn,
  PATIENCE,
  resources,
  save,
  share,
} from '../support/shared-with-go.ts'

const MIB = 1024 * 1024
const START_MS = Date.parse('2024-01-01T00:00:00Z')

// Hosts with sockets on a busy machine.
vi.setConfig({ testTimeout: 120_000 })
afterEach(closeAll)

describe('a go-threads host', () => {
  it('joins a database of ours, and each gets what the other writes', async () => {
    const shared = await share()
    const { peer, database, notes } = shared
    await peer.writeAndPush(database.id, [create('theirs')])
    await expect.poll(() => idsOf(notes), PATIENCE).toEqual(['ours', 'theirs'])
    await notes.save([bytesOf({ _id: 'theirs', name: 'changed here' })])
    await expect.poll(() => shared.thread.applied.length, PATIENCE).toBe(3)
    await expectInStep(shared)
    const offsets = [
      { logId: otherLogIn(shared.thread).id, offset: expect.anything(), counter: 1, limit: 10_000 },
      { logId: peer.ownLog(database.id).id, offset: undefined, counter: 0, limit: 10_000 },
    ].map((offset) => expect.objectContaining(offset))
    expect(peer.requests('getRecords')[0]).toMatchObject({ logs: expect.arrayContaining(offsets) })
    expect(peer.requests('pushRecord').map(({ counter }) => counter)).toEqual([2])
  })

  it('is joined by a host of ours, which gets all its logs', async () => {
    const [host, peer] = [await open(), await openGo()]
    const { thread, key } = peer.createThread()
    for (let log = 0; log < 3; log++) {
      const { id } = log === 0 ? peer.ownLog(thread.id) : peer.addOwnLog(thread.id)
      for (let count = 0; count < 5; count++) peer.write(thread.id, [create(`${log}-${count}`)], id)
    }
    const options = { key, collections: [NOTE], block: true }
    const database = await host.databases.join(peer.addressOf(thread.id), options)
    const notes = database.collection('Note')
    expect(await idsOf(notes)).toHaveLength(15)
    await notes.create([bytesOf({ _id: 'ours' })])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(16)
    await expectInStep({ host, peer, database, notes, thread, told: [] })
    // Who belongs to the thread has its keys.
    for (const { serviceKey, readKey } of peer.requests('pushLog'))
      expect([serviceKey, readKey]).toEqual([undefined, undefined])
  })

  it('is told of a log that begins here, and fetches its records', async () => {
    const shared = await share()
    const { host, peer, database } = shared
    await peer.writeAndPush(database.id, [create('theirs')])
    await expectInStep(shared)
    const caller = { identity: identityOf(generateKey(randomBytes).publicKey) }
    const notes = database.collection('Note', { caller })
    for (const id of ['1', '2']) await notes.create([bytesOf({ _id: id })])
    await expect.poll(() => shared.thread.logs.size, PATIENCE).toBe(3)
    await expectInStep(shared)
    const [log] = (await host.net.getThread(database.id)).logs.slice(-1)
    expect(peer.requests('pushLog').at(-1)).toMatchObject({ serviceKey: undefined, log: { id: log?.id } })
  })

  it('stamps records with a clock that falls back, and all hosts make the same of them', async () => {
    const shared = await share()
    const { peer, database, notes } = shared
    const { id } = database
    const second = await joinNotes(await open(), database)
    const log = peer.addOwnLog(id)
    const seconds = [60, 30, 45, 0, 50]
    for (const [index, at] of seconds.entries()) {
      const events =
        index === 0
          ? [create('clock', 'at 0', START_MS + at * 1000)]
          : [save('clock', `at ${index}`, START_MS + at * 1000)]
      await peer.writeAndPush(id, [...events, create(`of ${index}`, 'x', START_MS)])
      await peer.writeAndPush(id, [save('clock', `other ${index}`, START_MS + 55_000 - index)], log.id)
      await notes.save([bytesOf({ _id: `ours ${index}` })])
    }
    await expectInStep(shared)
    await expect.poll(async () => (await second.notes.find({})).length, PATIENCE).toBe((await notes.find({})).length)
    await expect.poll(() => found(second.notes), PATIENCE).toEqual(await found(notes))
    expect(await found(notes, { ands: [{ path: '_id', operation: 'eq', value: 'clock' }] })).toEqual([
      { _id: 'clock', name: 'at 4' },
    ])
  })

  it('pushes records again, which take effect once', async () => {
    const shared = await share()
    const { host, peer, database } = shared
    const updates = listen(database)
    await peer.writeAndPush(database.id, [create('first')])
    const again = peer.write(database.id, [create('again')])
    const push = (counter?: number) =>
      peer.pushTo(host.net.hostId, database.id, again, counter === undefined ? {} : { counter })
    const statuses = await Promise.all([push(), push(), push(0)])
    // Hosts that added the record for a user do not say at which place it is.
    for (let count = 0; count < 3; count++) statuses.push(await push(), await push(0))
    expect(new Set(statuses)).toEqual(new Set([Status.ok]))
    await expectInStep(shared)
    await peer.writeAndPush(database.id, [create('last')])
    await expect.poll(() => updates, PATIENCE).toEqual(['created first', 'created again', 'created last'])
  })

  it('pushes records out of order, and is asked for those that are missing', async () => {
    // Nothing is pulled but what a push makes necessary.
    const shared = await share({}, { net: { pull: false } })
    const { host, peer, database } = shared
    await peer.writeAndPush(database.id, [create('0')])
    const records = ['1', '2', '3', '4', '5'].map((id) => peer.write(database.id, [create(id)]))
    for (const index of [4, 2, 0, 3, 1]) {
      const record = records[index]
      if (record !== undefined) expect(await peer.pushTo(host.net.hostId, database.id, record)).toBe(Status.ok)
    }
    await expectInStep(shared)
    const withoutPlace = ['6', '7', '8'].map((id) => peer.write(database.id, [create(id)]))
    for (const record of withoutPlace.toReversed()) {
      expect(await peer.pushTo(host.net.hostId, database.id, record, { counter: 0 })).toBe(Status.ok)
    }
    await expectInStep(shared)
  })

  it('announces a log late, after records of it', async () => {
    const shared = await share({}, { net: { pull: false } })
    const { host, peer, database, notes } = shared
    // It named the log it has, when it pulled, and was asked about that.
    await expect.poll(() => peer.calls('getRecords').length, PATIENCE).toBeGreaterThan(0)
    const log = peer.addOwnLog(database.id)
    for (const id of ['1', '2', '3']) {
      const record = peer.write(database.id, [create(id)], log.id)
      expect(await peer.pushTo(host.net.hostId, database.id, record, { announce: false })).toBe(Status.notFound)
    }
    await notes.create([bytesOf({ _id: 'meanwhile' })])
    expect(await idsOf(notes)).toEqual(['meanwhile', 'ours'])
    expect(await peer.pushLogTo(host.net.hostId, database.id, log)).toBe(Status.ok)
    await expectInStep(shared)
  })

  it('sends the newest records and leaves a gap, which is filled block by block', async () => {
    const shared = await share({ pullLimit: 20 })
    const { peer, database } = shared
    peer.addOwnLog(database.id)
    for (let count = 0; count < 60; count++) peer.write(database.id, [create(`${count}`)])
    await peer.writeAndPush(database.id, [create('last')])
    await expectInStep(shared)
    for (let count = 60; count < 100; count++) peer.write(database.id, [create(`${count}`)])
    await peer.writeAndPush(database.id, [save('last', 'changed')])
    await expectInStep(shared)
  })

  it('leaves a gap and hands out no blocks, which keeps nothing else waiting', async () => {
    const clock = new FakeClock(Date.now())
    const shared = await share({ pullLimit: 30, bitswap: false }, { clock })
    const { host, peer, database, notes, thread } = shared
    const whole = peer.addOwnLog(database.id)
    const broken = peer.ownLog(database.id)
    for (let count = 0; count < 40; count++) peer.write(database.id, [create(`${count}`)])
    await peer.writeAndPush(database.id, [create('after the gap')])
    await peer.writeAndPush(database.id, [create('whole')], whole.id)
    await expect.poll(() => notes.has(['whole']), PATIENCE).toBe(true)
    await expect
      .poll(() => host.net.syncStatus(), PATIENCE)
      .toMatchObject([{ peer: peer.id, stalls: [{ logId: broken.id, kind: 'gap' }] }])
    await notes.create([bytesOf({ _id: 'meanwhile' })])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(44)
    peer.script.bitswap = true
    clock.advance(20_000)
    await expectInStep(shared)
    await expect.poll(() => host.net.syncStatus(), PATIENCE).toEqual([])
  })

  it('has records too large for one reply', async () => {
    const shared = await share()
    const { peer, database } = shared
    for (let count = 0; count < 5; count++) peer.write(database.id, [create(`${count}`, 'x'.repeat(1.3 * MIB))])
    await peer.writeAndPush(database.id, [create('last')])
    await expectInStep(shared)
  })

  it('knows no edges, and is asked for records outright', async () => {
    const shared = await share({ edges: false })
    const { peer, database, notes } = shared
    await peer.writeAndPush(database.id, [create('pushed')])
    await expect.poll(() => peer.calls('exchangeEdges').length, PATIENCE).toBeGreaterThan(0)
    peer.write(database.id, [create('to be pulled')])
    await expect.poll(() => notes.has(['to be pulled']), PATIENCE).toBe(true)
    await expectInStep(shared)
  })

  it('has the hash of nothing as edge of a thread without heads, and is not asked for it again and again', async () => {
    const [host, peer] = [await open(), await openGo({ hashOfNothing: true })]
    const { thread, key } = peer.createThread()
    await host.databases.join(peer.addressOf(thread.id), { key, collections: [NOTE] })
    await expect.poll(() => peer.calls('exchangeEdges').length, PATIENCE).toBeGreaterThan(2)
    const asked = peer.calls('getRecords').length
    await expect.poll(() => peer.calls('exchangeEdges').length, PATIENCE).toBeGreaterThan(8)
    expect(peer.calls('getRecords').length).toBeLessThanOrEqual(asked + 1)
  })

  it('is asked for nothing once both are in step', async () => {
    const shared = await share()
    const { host, peer, database } = shared
    await peer.writeAndPush(database.id, [create('theirs')])
    await expectInStep(shared)
    await peer.exchange(host.net.hostId)
    const quiet = ['exchangeEdges', 'exchangeEdges', 'exchangeEdges']
    await expect.poll(() => peer.heard.slice(-3).map(({ method }) => method), PATIENCE).toEqual(quiet)
    const before = peer.heard.length
    await expect.poll(() => peer.heard.length, PATIENCE).toBeGreaterThan(before + 3)
    expect(new Set(peer.heard.slice(before).map(({ method }) => method))).toEqual(new Set(['exchangeEdges']))
    const { edges } = peer.requests('exchangeEdges').at(-1)?.threads[0] ?? {}
    expect(edges).toMatchObject(shared.thread.edges)
  })

  it('has forgotten the thread after a restart, until it joins again', async () => {
    const shared = await share()
    const { host, peer, database, notes } = shared
    await peer.writeAndPush(database.id, [create('before')])
    await expectInStep(shared)
    const other = await joinNotes(await open(), database)
    await peer.stop()
    peer.threads.clear()
    await peer.listen()
    await peer.exchange(host.net.hostId)
    peer.heard.length = 0
    for (const id of ['1', '2', '3']) await notes.create([bytesOf({ _id: id })])
    await expect.poll(() => other.notes.has(['1', '2', '3']), PATIENCE).toBe(true)
    await expect.poll(() => peer.calls('exchangeEdges').length, PATIENCE).toBeGreaterThan(1)
    await expect.poll(() => host.net.syncStatus(), PATIENCE).toEqual([])
    const thread = await peer.join(await addressOf(database), (await database.info()).key)
    await peer.pullAll(host.net.hostId, database.id)
    await peer.writeAndPush(database.id, [create('after')])
    await expectInStep({ ...shared, thread })
  })

  it('comes back at another address, where it is found from then on', async () => {
    const shared = await share()
    const { host, peer, database, notes, thread } = shared
    await peer.writeAndPush(database.id, [create('before')])
    await expectInStep(shared)
    await peer.stop()
    await notes.create([bytesOf({ _id: 'while it is away' })])
    await peer.listen()
    await peer.exchange(host.net.hostId)
    await expectInStep(shared)
    await notes.create([bytesOf({ _id: 'over its connection' })])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(4)
    const { transport } = peer
    await peer.stop()
    await peer.listen(transport)
    await notes.create([bytesOf({ _id: 'over one of ours' })])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(5)
    await expectInStep(shared)
  })

  it('leaves its log to another host, whose address it is announced with', async () => {
    const shared = await share()
    const { host, peer, database, notes } = shared
    await peer.writeAndPush(database.id, [create('before')])
    await expectInStep(shared)
    const heir = await openGo()
    const thread = await heir.join(await addressOf(database), (await database.info()).key)
    await heir.pullAll(host.net.hostId, database.id)
    await peer.stop()
    const log = thread.log(peer.ownLog(database.id).id)
    log.addresses.push(peerAddress(heir.id))
    expect(await heir.pushLogTo(host.net.hostId, database.id, log)).toBe(Status.ok)
    await notes.create([bytesOf({ _id: 'after' })])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(3)
    await heir.writeAndPush(database.id, [create('of the heir')])
    await expectInStep({ ...shared, peer: heir, thread })
    const { logs } = await host.net.getThread(database.id)
    expect(logs.find(({ id }) => id === log.id)?.addresses).toEqual([peerAddress(peer.id), peerAddress(heir.id)])
  })

  it('forks its log, of which both chains are taken, and disturbs no other', async () => {
    const { host, peer, database, notes, thread } = await share()
    const forked = peer.ownLog(database.id)
    const other = peer.addOwnLog(database.id)
    await peer.writeAndPush(database.id, [create('before')])
    await peer.writeAndPush(database.id, [create('other')], other.id)
    // Two users wrote at once: both records follow the same one, and the host goes on with the second.
    const { blocks } = (forked.writer as ForeignLog).fork([create('orphan')])
    const request = { threadId: database.id, logId: forked.id, record: blocks, counter: 2 }
    await peer.call(host.net.hostId, 'pushRecord', request)
    for (const id of ['1', '2']) await peer.writeAndPush(database.id, [create(id)])
    await peer.writeAndPush(database.id, [create('another')], other.id)
    await notes.create([bytesOf({ _id: 'meanwhile' })])
    await expect
      .poll(() => idsOf(notes), PATIENCE)
      .toEqual(['1', '2', 'another', 'before', 'meanwhile', 'orphan', 'other', 'ours'])
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(7)
    expect(host.net.forkedLogs()).toMatchObject([{ logId: forked.id, branches: 1, own: false }])
    await peer.writeAndPush(database.id, [create('3')])
    await expect.poll(() => notes.has(['3']), PATIENCE).toBe(true)
    expect(peer.panics).toEqual([])
  })

  it('writes on while we are away, and is met again after our restart', async () => {
    const shared = await share()
    const { host, peer, database } = shared
    await peer.writeAndPush(database.id, [create('before')])
    await expectInStep(shared)
    resources.splice(resources.indexOf(host), 1)
    const again = await host.restart(async () => {
      for (const id of ['1', '2']) await peer.writeAndPush(database.id, [create(id)])
    })
    resources.push(again)
    const held = await again.databases.get(database.id)
    await held.collection('Note').create([bytesOf({ _id: 'after' })])
    await peer.exchange(again.net.hostId)
    await expectInStep({ ...shared, host: again, database: held })
  })

  it('refuses a record, which keeps other threads of it from nothing', async () => {
    const shared = await share({ waitMs: 1_000 })
    const { host, peer, database, notes, thread } = shared
    await peer.writeAndPush(database.id, [create('theirs')])
    await expectInStep(shared)
    const other = await newNotes(host)
    const second = await peer.join(await addressOf(other.database), (await other.database.info()).key)
    await peer.writeAndPush(other.database.id, [create('theirs')])
    peer.script.refuse = ({ cid }) =>
      second.block(bytesKey(cid.bytes)) !== undefined ? undefined : 'app denied net record body'
    await notes.create([bytesOf({ _id: 'refused' })])
    for (let count = 0; count < 20; count++) await notes.create([bytesOf({ _id: `after ${count}` })])
    peer.script.refuse = () => undefined
    await other.notes.create([bytesOf({ _id: 'of another thread' })])
    await expect.poll(() => second.applied.length, PATIENCE).toBe(2)
    await peer.exchange(host.net.hostId)
    await expect.poll(() => thread.applied.length, PATIENCE).toBe(23)
    await expectInStep(shared)
  })

  it('does not answer for one thread, which keeps others of it from nothing', async () => {
    const shared = await share()
    const { host, peer, database, notes, thread } = shared
    const other = await newNotes(host)
    const second = await peer.join(await addressOf(other.database), (await other.database.info()).key)
    await peer.writeAndPush(other.database.id, [create('theirs')])
    await expect.poll(() => other.notes.has(['theirs']), PATIENCE).toBe(true)
    peer.script.hangs = (id) => thread.logs.has(id)
    await peer.writeAndPush(database.id, [create('theirs')])
    await expect
      .poll(() => peer.requests('getRecords').some(({ threadId }) => threadId === thread.id), PATIENCE)
      .toBe(true)
    await other.notes.create([bytesOf({ _id: 'ours' })])
    await expect.poll(() => second.applied.length, PATIENCE).toBe(2)
    peer.write(other.database.id, [create('pulled')])
    await expect.poll(() => other.notes.has(['pulled']), PATIENCE).toBe(true)
    peer.script.hangs = () => false
    await notes.create([bytesOf({ _id: 'after' })])
    await expectInStep(shared)
  })
})
