import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { Batch } from '../../../src/store/commit.ts'
import { GroupCommitter } from '../../../src/store/committer.ts'
import { unlimitedSpace } from '../../../src/store/free-space.ts'
import { CommitJournal } from '../../../src/store/journal.ts'
import { openMemoryStore } from '../../../src/store/memory-store.ts'
import { FakeClock } from '../../support/fake-clock.ts'
import { FaultyStore } from '../../support/faulty-store.ts'
import { instanceKey, openTestStore, putBatch, takeCommits, type TestStore } from '../../support/host-store.ts'

const MIB = 1024 * 1024

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

async function open(options: Parameters<typeof openTestStore>[0] = {}): Promise<TestStore> {
  const store = await openTestStore(options)
  onTestFinished(() => store.host.close())
  return store
}

function clueless(): never {
  throw new Error('no idea')
}

describe('the committer', () => {
  it('shows a batch to its thread at once and to readers when it is stored', async () => {
    const { host, faulty } = await open()
    const stall = faulty.stallBatch(1)
    const key = instanceKey(1, 'rex')
    const stored = host.committer.submit(putBatch(1, 'rex'))
    expect(await host.committer.view(1).get(key)).toEqual(bytes('rex'))
    expect(await host.committer.view(2).get(key)).toBeUndefined()
    expect(await host.reads.get(key)).toBeUndefined()
    stall.release()
    const commit = await stored
    expect(commit).toMatchObject({ seq: 1, thread: 1, heads: [{ log: 1, from: 0, to: 1 }] })
    expect(await host.reads.get(key)).toEqual(bytes('rex'))
    expect(await host.committer.view(1).get(key)).toEqual(bytes('rex'))
  })

  it('shows a thread what waits behind a batch that was stored meanwhile', async () => {
    const { host, faulty } = await open()
    const stalls = [faulty.stallBatch(1), faulty.stallBatch(2)]
    const first = host.committer.submit(putBatch(1, 'rex', 'first'))
    await stalls[0]?.reached
    const second = host.committer.submit(putBatch(1, 'rex', 'second'))
    stalls[0]?.release()
    await first
    expect(await host.reads.get(instanceKey(1, 'rex'))).toEqual(bytes('first'))
    expect(await host.committer.view(1).get(instanceKey(1, 'rex'))).toEqual(bytes('second'))
    stalls[1]?.release()
    await second
  })

  it('merges what waits into one synced write, for all threads', async () => {
    const { host, faulty } = await open()
    const stall = faulty.stallBatch(1)
    const first = host.committer.submit(putBatch(1, 'first'))
    await stall.reached
    const rest = Array.from({ length: 40 }, (_, i) => host.committer.submit(putBatch(i % 4, `dog${i}`)))
    const before = faulty.batches.length
    stall.release()
    await Promise.all([first, ...rest])
    expect(faulty.batches.length).toBe(before + 1)
    expect(faulty.batches.at(-1)).toMatchObject({ sync: true })
    expect(faulty.batches.at(-1)?.operations.length).toBe(80)
  })

  it('writes at most 256 batches and, but for a single larger one, 4 MiB at once', async () => {
    const { host, faulty } = await open()
    const stall = faulty.stallBatch(1)
    const commits = [host.committer.submit(putBatch(1, 'first'))]
    await stall.reached
    const start = faulty.batches.length
    for (let i = 0; i < 300; i++) commits.push(host.committer.submit(putBatch(1, `dog${i}`)))
    for (const size of [3, 2, 5, 1])
      commits.push(host.committer.submit(putBatch(1, `big${size}`, 'x'.repeat(size * MIB))))
    stall.release()
    await Promise.all(commits)
    const groups = faulty.batches.slice(start).map(({ operations }) => operations.length / 2)
    expect(groups).toEqual([256, 45, 1, 1, 1])
  })

  it('resolves in the order of the sequence numbers', async () => {
    const { host } = await open()
    const order: number[] = []
    const commits = Array.from({ length: 600 }, async (_, i) => {
      const { seq } = await host.committer.submit(putBatch(i % 7, `dog${i}`))
      order.push(seq)
    })
    await Promise.all(commits)
    expect(order).toEqual(Array.from({ length: 600 }, (_, i) => i + 1))
  })

  it('tells the batch its number while it is submitted', async () => {
    const { host } = await open()
    const seen: number[] = []
    const batch: Batch = {
      thread: 1,
      heads: [],
      changes: [],
      operations: (seq) => {
        seen.push(seq)
        return []
      },
    }
    const commits = [host.committer.submit(batch), host.committer.submit(batch)]
    expect(seen).toEqual([1, 2])
    expect((await Promise.all(commits)).map(({ seq }) => seq)).toEqual(seen)
  })

  it('keeps the numbers dense when a batch cannot say its operations', async () => {
    const { host } = await open()
    await expect(host.committer.submit({ ...putBatch(1, 'a'), operations: clueless })).rejects.toThrow('no idea')
    expect(await host.committer.view(1).get(instanceKey(1, 'a'))).toBeUndefined()
    await host.committer.submit(putBatch(1, 'b'))
    expect(host.journal.lastSeq).toBe(1)
  })

  it('says when all batches of a thread are stored, whatever others do', async () => {
    const { host, faulty } = await open()
    const stall = faulty.stallBatch(2)
    const mine = host.committer.submit(putBatch(1, 'mine'))
    await host.committer.settled(1)
    await expect(mine).resolves.toMatchObject({ seq: 1 })
    const theirs = host.committer.submit(putBatch(2, 'theirs'))
    await stall.reached
    await host.committer.settled(1)
    let settled = false
    const waiting = host.committer.settled(2).then(() => (settled = true))
    expect(settled).toBe(false)
    stall.release()
    await Promise.all([waiting, theirs])
    expect(await host.reads.get(instanceKey(2, 'theirs'))).toEqual(bytes('theirs'))
  })

  it('waits on closing until what is queued is stored, and takes nothing more', async () => {
    const { host, faulty, restart } = await openTestStore()
    const stall = faulty.stallBatch(1)
    const commits = [host.committer.submit(putBatch(1, 'a')), host.committer.submit(putBatch(1, 'b'))]
    await stall.reached
    const closed = host.close()
    await expect(host.committer.submit(putBatch(1, 'c'))).rejects.toMatchObject({ code: 'CLOSED' })
    expect(host.committer.state).toBe('closed')
    stall.release()
    await Promise.all([closed, ...commits])
    const again = await restart()
    expect(again.journal.lastSeq).toBe(2)
    await again.close()
  })
})

describe('many waiting batches', () => {
  it('are refused beyond a number of bytes, until some are stored', async () => {
    const faulty = new FaultyStore(await openMemoryStore())
    const store = await faulty.open()
    const journal = new CommitJournal(store, { feedBytes: MIB, tailBytes: MIB, onOverfull: vi.fn() })
    const components = { store, journal, space: unlimitedSpace, clock: new FakeClock(), onFailed: vi.fn() }
    const limits = { maxGroupBatches: 256, maxGroupBytes: MIB, maxWaitingBytes: 1000 }
    const committer = new GroupCommitter(components, { durability: 'full', ...limits })
    const stall = faulty.stallBatch(1)
    const commits = [
      committer.submit(putBatch(1, 'a', 'x'.repeat(500))),
      committer.submit(putBatch(1, 'b', 'x'.repeat(500))),
    ]
    const refused = { ...putBatch(1, 'c'), operations: vi.fn() }
    await expect(committer.submit(refused)).rejects.toMatchObject({ code: 'STORE_BUSY' })
    expect(refused.operations).not.toHaveBeenCalled()
    stall.release()
    await Promise.all(commits)
    await expect(committer.submit(putBatch(1, 'd'))).resolves.toMatchObject({ seq: 3 })
  })
})

describe('relaxed durability', () => {
  it('answers after the unsynced write and announces after the fsync that follows', async () => {
    const { host, faulty, clock } = await open({ durability: 'relaxed' })
    const announced = takeCommits(host.journal.subscribe(), 2)
    await host.committer.submit(putBatch(1, 'a'))
    await host.committer.submit(putBatch(1, 'b'))
    expect(faulty.batches.slice(-2).map(({ sync }) => sync)).toEqual([false, false])
    expect(await host.reads.get(instanceKey(1, 'b'))).toEqual(bytes('b'))
    expect(host.journal.lastSeq).toBe(0)
    clock.advance(100)
    expect((await announced).map(({ seq }) => seq)).toEqual([1, 2])
    expect(faulty.batches.at(-1)?.sync).toBe(true)
    expect(clock.pendingTimers).toBe(0)
    await host.committer.submit(putBatch(1, 'c'))
    clock.advance(100)
    await vi.waitFor(() => expect(host.journal.lastSeq).toBe(3))
  })

  it('lets the fsync travel with batches that wait', async () => {
    const { host, faulty, clock } = await open({ durability: 'relaxed' })
    await host.committer.submit(putBatch(1, 'a'))
    const before = faulty.batches.length
    const next = host.committer.submit(putBatch(1, 'b'))
    clock.advance(100)
    await next
    expect(faulty.batches.slice(before).map(({ sync }) => sync)).toEqual([true])
    expect(host.journal.lastSeq).toBe(2)
  })

  it('syncs what is left on closing', async () => {
    const { host, faulty, restart } = await openTestStore({ durability: 'relaxed' })
    const before = faulty.batches.length
    await host.committer.submit(putBatch(1, 'a'))
    await host.close()
    expect(faulty.batches.slice(before).map(({ sync }) => sync)).toEqual([false, true, true])
    const again = await restart()
    expect(again.cleanlyClosed).toBe(true)
    await again.close()
  })
})

describe('after a failed write', () => {
  it('everything in it and behind it fails, and no writes are taken', async () => {
    const { host, faulty } = await open()
    await host.committer.submit(putBatch(1, 'kept'))
    const stall = faulty.stallBatch(1)
    faulty.failBatch(2, { stored: false })
    faulty.failOpens(Number.POSITIVE_INFINITY)
    const first = host.committer.submit(putBatch(1, 'first'))
    await stall.reached
    // More than one write takes: some fail in it, the others behind it.
    const lost = Array.from({ length: 300 }, (_, i) => host.committer.submit(putBatch(i % 3, `lost${i}`)))
    const settled = host.committer.settled(2)
    stall.release()
    await expect(first).resolves.toMatchObject({ seq: 2 })
    for (const commit of [...lost, settled]) await expect(commit).rejects.toMatchObject({ code: 'STORE_FAILED' })
    expect(host.committer.state).toBe('read-only')
    await expect(host.committer.submit(putBatch(1, 'later'))).rejects.toMatchObject({ code: 'STORE_READONLY' })
  })

  it('comes back with what is stored, tells its owners before writes go on, and continues the numbers', async () => {
    const { host, faulty } = await open()
    await host.committer.submit(putBatch(1, 'kept'))
    const reset = vi.fn(async () => {
      expect(host.committer.state).toBe('read-only')
      expect(host.committer.generation).toBe(2)
      expect(await host.committer.view(1).get(instanceKey(1, 'lost'))).toBeUndefined()
    })
    host.onReset(reset)
    faulty.failBatch(1, { stored: false })
    await expect(host.committer.submit(putBatch(1, 'lost'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await vi.waitFor(() => expect(host.committer.state).toBe('open'))
    expect(reset).toHaveBeenCalledTimes(1)
    await expect(host.committer.submit(putBatch(1, 'next'))).resolves.toMatchObject({ seq: 2 })
    expect(await host.reads.get(instanceKey(1, 'kept'))).toEqual(bytes('kept'))
  })

  it('announces a batch that was stored although its write failed', async () => {
    const { host, faulty } = await open()
    await host.committer.submit(putBatch(1, 'before'))
    const updates = takeCommits(host.journal.subscribe(), 2)
    faulty.failBatch(1, { stored: true })
    await expect(host.committer.submit(putBatch(1, 'found'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await vi.waitFor(() => expect(host.committer.state).toBe('open'))
    await host.committer.submit(putBatch(1, 'next'))
    expect((await updates).map(({ seq, changes }) => [seq, changes[0]?.id])).toEqual([
      [2, 'found'],
      [3, 'next'],
    ])
    const all = await takeCommits(host.journal.subscribe({ after: 0 }), 3)
    expect(all.map(({ seq }) => seq)).toEqual([1, 2, 3])
  })

  it('tries to open again with growing pauses until it works', async () => {
    const { host, faulty, clock } = await open()
    faulty.failOpens(3)
    faulty.failBatch(1, { stored: false })
    await expect(host.committer.submit(putBatch(1, 'lost'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    for (const pauseMs of [100, 200, 400]) {
      await vi.waitFor(() => expect(clock.pendingTimers).toBe(1))
      await expect(host.reads.get(instanceKey(1, 'a'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
      clock.advance(pauseMs - 1)
      expect(clock.pendingTimers).toBe(1)
      clock.advance(1)
    }
    await vi.waitFor(() => expect(host.committer.state).toBe('open'))
    expect(host.committer.generation).toBe(2)
  })

  it('opens once more when an owner cannot read its state', async () => {
    const { host, faulty, clock } = await open()
    const reset = vi.fn().mockRejectedValueOnce(new Error('not yet'))
    host.onReset(reset)
    faulty.failBatch(1, { stored: false })
    await expect(host.committer.submit(putBatch(1, 'lost'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(1))
    expect(host.committer.state).toBe('read-only')
    clock.advance(100)
    await vi.waitFor(() => expect(host.committer.state).toBe('open'))
    expect(reset).toHaveBeenCalledTimes(2)
  })

  it('announces what was answered and not synced, where it is found again', async () => {
    const { host, faulty, clock } = await open({ durability: 'relaxed' })
    await host.committer.submit(putBatch(1, 'answered'))
    faulty.failBatch(1, { stored: false })
    clock.advance(100)
    await vi.waitFor(() => expect(host.committer.generation).toBe(2))
    await vi.waitFor(() => expect(host.committer.state).toBe('open'))
    expect(host.journal.lastSeq).toBe(1)
  })

  it('can be closed while it waits to open again, and then counts as not cleanly closed', async () => {
    const { host, faulty, clock, restart } = await openTestStore()
    faulty.failBatch(1, { stored: false })
    faulty.failOpens(1)
    await expect(host.committer.submit(putBatch(1, 'lost'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await vi.waitFor(() => expect(clock.pendingTimers).toBe(1))
    await host.close()
    expect(clock.pendingTimers).toBe(0)
    const again = await restart()
    expect(again.cleanlyClosed).toBe(false)
    await again.close()
  })
})
