import { randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { newThreadId } from '../../../src/core/thread-id.ts'
import { deleteThreadRows } from '../../../src/net/deletion.ts'
import { recordRowKey } from '../../../src/net/rows.ts'
import type { ThreadEntry } from '../../../src/net/thread-entry.ts'
import { KEY_LETTERS, type KeyLetter, rowKey, rowRange } from '../../../src/store/key-codec.ts'
import type { Operation, ReadView } from '../../../src/store/ordered-store.ts'
import { LogMaker } from '../../support/log-maker.ts'
import { type NetCore, openCore } from '../../support/net-core.ts'

const LETTERS = Object.keys(KEY_LETTERS) as KeyLetter[]
const BY_THREAD = LETTERS.filter((letter) => KEY_LETTERS[letter].byThread)

async function keys(reads: ReadView, letters: readonly KeyLetter[] = LETTERS): Promise<string[]> {
  const found: string[] = []
  for (const letter of letters) {
    for await (const [key] of reads.entries(rowRange(letter))) found.push(Buffer.from(key).toString('latin1'))
  }
  return found
}

/** A thread with records, and with a row of every letter that goes by thread. */
async function fill(core: NetCore, records: number): Promise<ThreadEntry> {
  const log = new LogMaker()
  const entry = await core.membership.create(newThreadId('raw', randomBytes), { key: log.threadKey })
  await core.replica.addLogs(entry.id, [log.asPeerLog(log.id)], log.id)
  await core.receiver.receive(entry, { logId: log.id, records: log.next(records) })
  const { stored } = await core.writer.write(entry, async (draft) => {
    for (const letter of BY_THREAD.filter((each) => !'tlr'.includes(each))) {
      draft.operations([{ type: 'put', key: rowKey(letter, entry.number, 0, 'row'), value: new Uint8Array(1) }])
    }
  })
  await stored
  return entry
}

async function mark(core: NetCore, entry: ThreadEntry): Promise<void> {
  const { stored } = await core.writer.write(entry, async (draft) => draft.setThread({ phase: 'deleting' }))
  await stored
}

/** Rows of threads and records, without those of the host. */
function threadRows(core: NetCore): Promise<string[]> {
  return keys(core.store.reads, [...BY_THREAD, 'c'])
}

describe('deleting a thread', () => {
  it('leaves no row of it, of any letter, and all of the others', async () => {
    const core = await openCore()
    const kept = await fill(core, 3)
    const before = await threadRows(core)
    const entry = await fill(core, 5)
    expect((await threadRows(core)).length).toBe(2 * before.length + 2 * 2)
    await mark(core, entry)
    await deleteThreadRows(core.store, entry)
    expect(await threadRows(core)).toEqual(before)
    expect((await core.restart()).threads.all().map(({ id }) => id)).toEqual([kept.id])
  })

  it('goes on at the next start, wherever a crash cut it off', async () => {
    for (let nth = 1; ; nth++) {
      const core = await openCore()
      const entry = await fill(core, 4)
      await mark(core, entry)
      core.faulty.failBatch(nth, { stored: nth % 2 === 0 })
      const cutOff = await deleteThreadRows(core.store, entry).then(
        () => false,
        () => true,
      )
      if (!cutOff) {
        // One batch for each letter with rows, one for the ids of records, one for the thread itself.
        expect(nth - 1).toBe(BY_THREAD.length + 1)
        return
      }
      await expect.poll(() => core.store.committer.state).toBe('open')
      const restarted = await core.restart()
      expect(restarted.threads.all()).toEqual([])
      for (const state of await restarted.threads.load()) await deleteThreadRows(restarted.store, state)
      expect(await threadRows(restarted)).toEqual([])
    }
  })

  it('does not stop at a damaged record', async () => {
    const core = await openCore()
    const entry = await fill(core, 3)
    const log = [...entry.stored.logs.values()].find(({ head }) => head.counter > 0)?.number ?? 0
    const damages: Operation[] = [
      { type: 'put', key: recordRowKey(entry.number, log, 1), value: new Uint8Array(5) },
      { type: 'put', key: recordRowKey(entry.number, log, 2), value: randomBytes(300) },
    ]
    await core.faulty.batch(damages, { sync: true })
    await mark(core, entry)
    await deleteThreadRows(core.store, entry)
    expect(await keys(core.store.reads, BY_THREAD)).toEqual([])
  })
})
