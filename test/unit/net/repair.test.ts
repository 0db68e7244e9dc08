/** What the net layer makes of a store in which commits are missing. */
import { describe, expect, it } from 'vitest'
import { equalBytes } from '../../../src/core/bytes.ts'
import { encode } from '../../../src/core/cbor.ts'
import { identityOf } from '../../../src/core/identity.ts'
import { newThreadId, type ThreadId } from '../../../src/core/thread-id.ts'
import type { LogInfo, Net } from '../../../src/net/index.ts'
import { decodeLogRow, decodeThreadRow, logRowKey, recordRowKey, threadRowKey } from '../../../src/net/rows.ts'
import { rowKey, rowRange } from '../../../src/store/key-codec.ts'
import { LogMaker, random } from '../../support/log-maker.ts'
import { joinAddress, type NetHost, NetLinks, openNetHost, untilOpen } from '../../support/net-host.ts'

async function write(host: NetHost, id: ThreadId, count: number): Promise<void> {
  for (let i = 0; i < count; i++) await host.net.createRecord(id, encode({ at: i }))
}

async function logsOf({ net }: { net: Net }, id: ThreadId): Promise<readonly LogInfo[]> {
  return (await net.getThread(id)).logs
}

async function counters(host: NetHost, id: ThreadId): Promise<number[]> {
  return (await logsOf(host, id)).map(({ head }) => head.counter)
}

async function rows(host: NetHost, letter: 'r' | 'c'): Promise<number> {
  let count = 0
  for await (const _ of host.store.reads.entries(rowRange(letter))) count++
  return count
}

async function isStale(host: NetHost, number = 1): Promise<boolean> {
  const row = await host.store.reads.get(threadRowKey(number))
  return row !== undefined && decodeThreadRow(number, row).stale
}

async function newThread(host: NetHost): Promise<ThreadId> {
  return (await host.net.createThread(newThreadId('raw', random))).id
}

/** The place among the batches of a host of the one with a record of a log of thread 1, log 1. */
function batchOf({ faulty }: NetHost, counter: number): number {
  const key = recordRowKey(1, 1, counter)
  return faulty.batches.findIndex(({ operations }) => operations.some((each) => equalBytes(each.key, key)))
}

/** Writes records to thread 1, and loses one of them once all are written. */
async function writeLosing(host: NetHost, id: ThreadId, count: number, counter: number): Promise<void> {
  await write(host, id, count)
  await host.faulty.lose([batchOf(host, counter)])
}

describe('after a crash that lost commits', () => {
  it('logs are cut to their last record before a hole, with all that finds records by id', async () => {
    const first = await openNetHost()
    const id = await newThread(first)
    await writeLosing(first, id, 10, 5)
    const host = await first.crash()
    expect(await counters(host, id)).toEqual([4])
    expect([await rows(host, 'r'), await rows(host, 'c')]).toEqual([4, 4])
    const [log] = await logsOf(host, id)
    if (log?.head.cid === undefined) throw new Error('the log has a head')
    expect((await host.net.getRecord(id, log.head.cid)).counter).toBe(4)
    expect(host.store.damage).toBeUndefined()
    await host.stop()
  })

  it('a cut log of this host is not continued: its writer gets another', async () => {
    const first = await openNetHost()
    const id = await newThread(first)
    await writeLosing(first, id, 10, 5)
    let host = await first.crash()
    const [old] = await logsOf(host, id)
    const record = await host.net.createRecord(id, encode('new'))
    expect(record.logId).not.toBe(old?.id)
    expect(await counters(host, id)).toEqual([4, 1])
    // The same log from then on, also after the next crash.
    host = await host.crash()
    expect((await host.net.createRecord(id, encode('more'))).logId).toBe(record.logId)
    expect(await counters(host, id)).toEqual([4, 2])
    await host.stop()
  })

  it('a log of this host that may lack its end is retired, one that was written since is not', async () => {
    const first = await openNetHost()
    const [ended, going] = [await newThread(first), await newThread(first)]
    await write(first, going, 2)
    await write(first, ended, 3)
    await write(first, going, 1)
    await first.faulty.lose([batchOf(first, 3)])
    const host = await first.crash()
    expect([await counters(host, ended), await counters(host, going)]).toEqual([[2], [3]])
    await write(host, ended, 1)
    await write(host, going, 1)
    expect([await counters(host, ended), await counters(host, going)]).toEqual([[2, 1], [4]])
    await host.stop()
  })

  it('what is missing comes back from peers, the retired log included, and nothing forks', async () => {
    const links = new NetLinks()
    const first = await openNetHost({ links })
    const peer = await openNetHost({ links })
    const id = await newThread(first)
    const { key } = await first.net.getThread(id)
    await peer.net.addThread(joinAddress(first, id), { key })
    await write(first, id, 6)
    await peer.net.pullThread(id)
    await first.faulty.lose([batchOf(first, 3)])
    const [theirs] = (await logsOf(peer, id)).filter(({ head }) => head.counter === 6)
    const host = await first.crash()
    const own = async (of: NetHost): Promise<LogInfo | undefined> =>
      (await logsOf(of, id)).find((log) => log.id === theirs?.id)
    expect((await own(host))?.head.counter).toBe(2)
    await write(host, id, 1)
    await host.net.pullThread(id)
    expect((await own(host))?.head).toEqual(theirs?.head)
    await peer.net.pullThread(id)
    expect(new Set(await counters(peer, id))).toEqual(new Set(await counters(host, id)))
    expect(peer.net.syncStatus()).toEqual([])
    await Promise.all([host.stop(), peer.stop()])
  })

  it('a log that a client writes with a key of its own takes no records of the client', async () => {
    const client = new LogMaker()
    const first = await openNetHost()
    const caller = { identity: identityOf(client.key.publicKey) }
    const options = { key: client.threadKey, logKey: client.key.publicKey, caller }
    const { id } = await first.net.createThread(newThreadId('raw', random), options)
    for (const blocks of client.next(3)) await first.net.addRecord(id, client.id, blocks)
    await first.faulty.lose([batchOf(first, 2)])
    const host = await first.crash()
    expect(await counters(host, id)).toEqual([1])
    const [second] = client.blocks(1, 2)
    if (second === undefined) throw new Error('there are three records')
    await expect(host.net.addRecord(id, client.id, second)).rejects.toMatchObject({ code: 'BROKEN_CHAIN' })
    await host.stop()
  })

  it('owners are told to make their rows anew', async () => {
    const first = await openNetHost()
    const { id } = await first.net.createThread(newThreadId('raw', random), { appData: { kind: 'test' } })
    const other = await newThread(first)
    expect(await isStale(first)).toBe(false)
    const before = first.faulty.batches.length
    await write(first, other, 3)
    await first.faulty.lose([before + 1])
    const host = await first.crash()
    expect(host.net.ownedThreads().map((owned) => owned.id)).toEqual([id])
    expect([await isStale(host, 1), await isStale(host, 2)]).toEqual([true, false])
    await host.stop()
  })

  it('a thread whose own row is lost is gone with all its rows; a lost log of a writer is replaced', async () => {
    const first = await openNetHost()
    const known = await newThread(first)
    const before = first.faulty.batches.length
    const lost = await newThread(first)
    await write(first, lost, 3)
    const id = await newThread(first)
    await write(first, id, 2)
    await first.faulty.lose([before])
    await first.faulty.batch([{ type: 'del', key: logRowKey(3, 1) }], { sync: true })
    const host = await first.crash()
    expect(host.net.listThreads()).toEqual([known, id])
    expect([await rows(host, 'r'), await rows(host, 'c')]).toEqual([0, 0])
    await write(host, id, 1)
    expect(await counters(host, id)).toEqual([1])
    await host.stop()
  })

  it('nothing changes if the store misses no commit', async () => {
    const first = await openNetHost()
    const id = await newThread(first)
    await write(first, id, 5)
    const host = await first.crash()
    expect(host.store.cleanlyClosed).toBe(false)
    await write(host, id, 1)
    expect(await counters(host, id)).toEqual([6])
    await host.stop()
  })

  it('a crash during the repair changes nothing in its outcome', async () => {
    for (let nth = 1; ; nth++) {
      const first = await openNetHost()
      const id = await newThread(first)
      await writeLosing(first, id, 8, 3)
      first.faulty.failBatch(1, { stored: false })
      await first.stop().catch(() => {})
      // Not the first: it says that the store is open.
      first.faulty.failBatch(nth + 1, { stored: nth % 2 === 1 })
      const cutOff = await first.reopen().then(
        async (host) => {
          await host.stop().catch(() => {})
          return false
        },
        () => true,
      )
      const host = await first.reopen()
      expect(await counters(host, id), `write ${nth}`).toEqual([2])
      expect([await rows(host, 'r'), await rows(host, 'c')]).toEqual([2, 2])
      const row = await host.store.reads.get(logRowKey(1, 1))
      expect(row && decodeLogRow(1, row).retired).toBe(true)
      await host.stop()
      if (!cutOff) break
      if (nth > 20) throw new Error('the repair does not end')
    }
  })

  it('a failed write that shows missing commits leads to the same, before writing goes on', async () => {
    const host = await openNetHost()
    const id = await newThread(host)
    await writeLosing(host, id, 8, 3)
    host.faulty.failBatch(1, { stored: false })
    await expect(host.net.createRecord(id, encode('failing'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await untilOpen(host)
    expect(await counters(host, id)).toEqual([2])
    await write(host, id, 1)
    expect(await counters(host, id)).toEqual([2, 1])
    expect(await host.store.reads.get(rowKey('s', 'repair'))).toBeUndefined()
    await host.stop()
  })
})
