import { describe, expect, it, onTestFinished, vi } from 'vitest'
import type { JournalUpdate } from '../../../src/store/journal.ts'
import type { Batch, Change } from '../../../src/store/commit.ts'
import { rowKey, rowRange } from '../../../src/store/key-codec.ts'
import type { ReadView } from '../../../src/store/ordered-store.ts'
import { openTestStore, putBatch, takeCommits, type TestStore } from '../../support/host-store.ts'

async function open(options: Parameters<typeof openTestStore>[0] = {}): Promise<TestStore> {
  const store = await openTestStore(options)
  onTestFinished(() => store.host.close())
  return store
}

async function write({ host }: TestStore, count: number, text?: string): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, i) => host.committer.submit(putBatch(1, `dog${i}`, text))))
}

async function nextUpdate(updates: AsyncIterable<JournalUpdate>): Promise<JournalUpdate | undefined> {
  for await (const update of updates) return update
  return undefined
}

/** A commit whose row takes more than 10,000 bytes. */
function manyChanges(): Batch {
  const changes = Array.from(
    { length: 1_000 },
    (_, i): Change => ({ collection: 'dogs', id: `dog${i}`, kind: 'saved' }),
  )
  return { thread: 1, heads: [], changes, operations: () => [] }
}

async function rowsOf(reads: ReadView): Promise<Uint8Array[]> {
  const rows: Uint8Array[] = []
  for await (const [, row] of reads.entries(rowRange('f'))) rows.push(row)
  return rows
}

const upTo = (last: number, first: number = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i)

describe('the journal', () => {
  it('tells a subscriber what is committed from its call on', async () => {
    const store = await open()
    await write(store, 3)
    const updates = store.host.journal.subscribe()
    await write(store, 2)
    const commits = await takeCommits(updates, 2)
    expect(commits.map(({ seq }) => seq)).toEqual([4, 5])
    expect(commits[0]?.changes[0]).toMatchObject({ id: 'dog0', kind: 'created', after: expect.any(Uint8Array) })
  })

  it('resumes after any commit, from memory or from the disk', async () => {
    const store = await open()
    await write(store, 700)
    for (const after of [0, 1, 256, 699]) {
      const commits = await takeCommits(store.host.journal.subscribe({ after }), 700 - after)
      expect(commits.map(({ seq }) => seq)).toEqual(upTo(700, after + 1))
    }
    await store.host.close()
    const again = await store.restart()
    onTestFinished(() => again.close())
    const commits = await takeCommits(again.journal.subscribe({ after: 100 }), 600)
    expect(commits.map(({ seq }) => seq)).toEqual(upTo(700, 101))
    expect(commits[0]).toEqual({
      seq: 101,
      thread: 1,
      heads: [{ log: 1, from: 0, to: 1 }],
      changes: [{ collection: 'dogs', id: 'dog100', kind: 'created' }],
    })
  })

  it('gives every subscriber everything, however slow it is', async () => {
    const store = await open()
    const slow = store.host.journal.subscribe()[Symbol.asyncIterator]()
    const quick = takeCommits(store.host.journal.subscribe(), 300)
    const seen: number[] = []
    const step = async (): Promise<void> => {
      const { value } = await slow.next()
      if (value?.kind === 'commit') seen.push(value.commit.seq)
    }
    await write(store, 1)
    await step()
    // More than memory keeps: the slow one goes on from the disk.
    await write(store, 299, 'x'.repeat(100_000))
    for (let i = 1; i < 300; i++) await step()
    expect(seen).toEqual(upTo(300))
    expect((await quick).map(({ seq }) => seq)).toEqual(upTo(300))
  })

  it('waits for more without a limit, and ends quietly with its signal', async () => {
    const store = await open()
    const control = new AbortController()
    const ended = nextUpdate(store.host.journal.subscribe({ signal: control.signal }))
    control.abort()
    expect(await ended).toBeUndefined()
    expect(await nextUpdate(store.host.journal.subscribe({ after: 0, signal: control.signal }))).toBeUndefined()
  })

  it('ends with CLOSED when the store closes', async () => {
    const store = await openTestStore()
    const waiting = nextUpdate(store.host.journal.subscribe())
    await store.host.close()
    await expect(waiting).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('asks for a resync after a commit of another store or of a lost future', async () => {
    const store = await open()
    await write(store, 3)
    const updates: JournalUpdate[] = []
    for await (const update of store.host.journal.subscribe({ after: 4 })) updates.push(update)
    expect(updates).toEqual([{ kind: 'resync', seq: 3 }])
  })

  it('keeps no more on disk than allowed, and asks those too far behind for a resync', async () => {
    const feedBytes = 60_000
    const store = await open({ feedBytes })
    const { host } = store
    const behind = host.journal.subscribe({ after: 0 })
    for (let i = 0; i < 50; i++) await write(store, 100)
    await host.committer.settled(0)
    let bytes = 0
    let rows = 0
    let first: Uint8Array | undefined
    for await (const [key, value] of host.reads.entries({ gte: rowKey('f', 0), lt: rowKey('f', 2 ** 40) })) {
      first ??= key
      bytes += value.length
      rows++
    }
    expect(bytes).toBeGreaterThan(feedBytes * 0.7)
    expect(bytes).toBeLessThan(feedBytes * 1.3)
    const oldest = host.journal.lastSeq - rows + 1
    expect(first).toEqual(rowKey('f', oldest))
    expect(await nextUpdate(host.journal.subscribe({ after: oldest - 2 }))).toMatchObject({ kind: 'resync' })
    const kept = await takeCommits(host.journal.subscribe({ after: oldest - 1 }), rows)
    expect(kept.map(({ seq }) => seq)).toEqual(upTo(host.journal.lastSeq, oldest))
    expect(await nextUpdate(behind)).toEqual({ kind: 'resync', seq: host.journal.lastSeq })
  })

  it('keeps no more than allowed of few large rows either, however small that is', async () => {
    for (const feedBytes of [100_000, 1]) {
      const { host } = await open({ feedBytes })
      for (let i = 0; i < 40; i++) await host.committer.submit(manyChanges())
      await host.committer.settled(0)
      const rows = await rowsOf(host.reads)
      expect(rows.length).toBeLessThan(20)
      expect(host.journal.lastSeq).toBeLessThan(200)
    }
  })

  it('stays trimmed over a restart, and goes on trimming', async () => {
    const store = await open({ feedBytes: 20_000 })
    for (let i = 0; i < 20; i++) await write(store, 100)
    const last = store.host.journal.lastSeq
    await store.host.close()
    const host = await store.restart()
    onTestFinished(() => host.close())
    expect(host.journal.lastSeq).toBeGreaterThanOrEqual(last)
    for (let i = 0; i < 20; i++) await write({ ...store, host }, 100)
    await host.committer.settled(0)
    expect(await nextUpdate(host.journal.subscribe({ after: last }))).toMatchObject({ kind: 'resync' })
  })

  it('asks for a resync where rows were lost while it was open', async () => {
    const store = await open()
    await write(store, 700)
    await store.faulty.batch([{ type: 'del', key: rowKey('f', 4) }], { sync: true })
    const { host } = store
    await write(store, 100, 'x'.repeat(200_000))
    const seen: unknown[] = []
    for await (const update of host.journal.subscribe({ after: 1 })) {
      seen.push(update.kind === 'commit' ? update.commit.seq : update)
    }
    expect(seen).toEqual([2, 3, { kind: 'resync', seq: 800 }])
  })

  it('finds no gap in a dense journal, and looks for none after a clean close', async () => {
    const store = await openTestStore()
    await write(store, 10)
    await store.faulty.close()
    const host = await store.restart()
    expect(host).toMatchObject({ cleanlyClosed: false, damage: undefined })
    await host.close()
    const again = await store.restart()
    expect(again).toMatchObject({ cleanlyClosed: true, damage: undefined })
    await again.close()
  })

  it('calls a row that cannot be read corrupt', async () => {
    const store = await open()
    await write(store, 3)
    await store.host.close()
    const wrong = { type: 'put' as const, key: rowKey('f', 3), value: Uint8Array.of(0x83, 0, 0, 0) }
    await store.faulty.open()
    await store.faulty.batch([wrong], { sync: true })
    await store.faulty.close()
    await expect(store.restart()).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
  })

  it('goes on after the store was opened again', async () => {
    const store = await open()
    const commits = takeCommits(store.host.journal.subscribe(), 2)
    await write(store, 1)
    store.faulty.failBatch(1, { stored: false })
    await expect(store.host.committer.submit(putBatch(1, 'lost'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await vi.waitFor(() => expect(store.host.committer.state).toBe('open'))
    await write(store, 1)
    expect((await commits).map(({ seq }) => seq)).toEqual([1, 2])
  })
})
