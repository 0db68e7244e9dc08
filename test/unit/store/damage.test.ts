import { describe, expect, it, onTestFinished } from 'vitest'
import type { HostStore } from '../../../src/store/host-store.ts'
import { rowKey, rowRange } from '../../../src/store/key-codec.ts'
import { openTestStore, putBatch, takeCommits, type TestStore } from '../../support/host-store.ts'

/** A store of ten commits that was not closed, and of which these journal rows are lost. */
async function storeWithout(...lost: readonly number[]): Promise<TestStore> {
  const store = await openTestStore()
  for (let i = 0; i < 10; i++) await store.host.committer.submit(putBatch(1, `dog${i}`))
  await steal(store, ...lost)
  await store.faulty.close()
  return store
}

async function steal({ faulty }: TestStore, ...lost: readonly number[]): Promise<void> {
  await faulty.batch(
    lost.map((seq) => ({ type: 'del', key: rowKey('f', seq) })),
    { sync: true },
  )
}

async function restarted(store: TestStore): Promise<HostStore> {
  const host = await store.restart()
  onTestFinished(() => host.close())
  return host
}

async function journalRows(host: HostStore): Promise<number> {
  let rows = 0
  for await (const _ of host.reads.entries(rowRange('f'))) rows++
  return rows
}

describe('commits that are missing in the store', () => {
  it('are noticed after an unclean close, and stay so until all is mended', async () => {
    const store = await storeWithout(4, 5)
    const host = await store.restart()
    expect(host).toMatchObject({ cleanlyClosed: false, damage: { completeFrom: 6 } })
    await host.close()
    const again = await store.restart()
    expect(again).toMatchObject({ cleanlyClosed: true, damage: { completeFrom: 6 } })
    await again.mended()
    expect(again.damage).toBeUndefined()
    await again.close()
    expect(await restarted(store)).toMatchObject({ damage: undefined })
  })

  it('end the journal: what is before them is forgotten, the rest stays dense', async () => {
    const store = await storeWithout(3, 7)
    const host = await restarted(store)
    expect(host.damage).toEqual({ completeFrom: 8 })
    expect(await journalRows(host)).toBe(3)
    expect(host.journal.lastSeq).toBe(10)
    const seen: unknown[] = []
    for await (const update of host.journal.subscribe({ after: 6 })) seen.push(update)
    expect(seen).toEqual([{ kind: 'resync', seq: 10 }])
    await host.committer.submit(putBatch(1, 'next'))
    expect((await takeCommits(host.journal.subscribe({ after: 7 }), 4)).map(({ seq }) => seq)).toEqual([8, 9, 10, 11])
  })

  it('are noticed also where the write that says the store is open was lost with them', async () => {
    const store = await openTestStore()
    await store.host.committer.submit(putBatch(1, 'before'))
    await store.host.close()
    const closed = await store.faulty.get(rowKey('s'))
    const host = await store.restart()
    for (let i = 0; i < 5; i++) await host.committer.submit(putBatch(1, `dog${i}`))
    await steal(store, 2)
    await store.faulty.batch([{ type: 'put', key: rowKey('s'), value: closed ?? new Uint8Array() }], { sync: true })
    await store.faulty.close()
    expect(await restarted(store)).toMatchObject({ cleanlyClosed: false, damage: { completeFrom: 3 } })
  })

  it('are noticed at the end of the journal too, where the store was closed after them', async () => {
    const store = await openTestStore()
    for (let i = 0; i < 5; i++) await store.host.committer.submit(putBatch(1, `dog${i}`))
    await store.host.close()
    await store.faulty.open()
    await steal(store, 4, 5)
    await store.faulty.close()
    expect(await restarted(store)).toMatchObject({ cleanlyClosed: false, damage: { completeFrom: 6 } })
  })

  it('are noticed after a failed write, before writing goes on', async () => {
    const store = await openTestStore()
    const { host, faulty } = store
    onTestFinished(() => host.close())
    for (let i = 0; i < 5; i++) await host.committer.submit(putBatch(1, `dog${i}`))
    await steal(store, 2, 3)
    const seen: unknown[] = []
    host.onReset(async () => {
      seen.push(host.damage, host.committer.state)
      await host.mended()
    })
    faulty.failBatch(1, { stored: false })
    await expect(host.committer.submit(putBatch(1, 'failing'))).rejects.toMatchObject({ code: 'STORE_FAILED' })
    await expect.poll(() => host.committer.state).toBe('open')
    expect(seen).toEqual([{ completeFrom: 4 }, 'read-only'])
    expect(host.damage).toBeUndefined()
  })

  it('are found again when a crash cuts the repair off at any write', async () => {
    for (let nth = 1; nth <= 3; nth++) {
      const store = await storeWithout(4)
      store.faulty.failBatch(nth, { stored: nth % 2 === 0 })
      await store
        .restart()
        .then((host) => host.close())
        .catch(() => {})
      expect(await restarted(store), `write ${nth}`).toMatchObject({ damage: { completeFrom: 5 } })
    }
  })
})
