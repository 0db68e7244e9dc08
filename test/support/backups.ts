/** Backups of hosts in this process, and what is restored of them. */
import { randomBytes } from 'node:crypto'
import { expect, vi } from 'vitest'
import type { BackupSource } from '../../daemon/backup/copy-backup.ts'
import { systemClock } from '../../src/core/clock.ts'
import type { Database } from '../../src/db/index.ts'
import { type BackupFrame, Restore } from '../../src/net/index.ts'
import { rowRange } from '../../src/store/key-codec.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import type { OrderedStore, ReadView } from '../../src/store/ordered-store.ts'
import { ForeignLog } from './foreign-log.ts'
import type { TestHost } from './host.ts'
import { bytesOf, joinNotes, newNotes } from './notes.ts'

/** A host as a daemon that can be asked. */
export function sourceOf({ net }: TestHost): BackupSource {
  return { backup: ({ thread, known }) => net.backup({ known, ...(thread === undefined ? {} : { thread }) }) }
}

type FrameOf<Kind> = Extract<BackupFrame, { $case: Kind }>

/** What the frames of a kind hold. */
export function framesOf<Kind extends BackupFrame['$case']>(
  frames: readonly BackupFrame[],
  kind: Kind,
): FrameOf<Kind>['value'][] {
  return frames.filter(({ $case }) => $case === kind).map(({ value }) => value as FrameOf<Kind>['value'])
}

/** A store made of a backup; its documents are left to its host. */
export async function restored(
  frames: AsyncIterable<BackupFrame> | Iterable<BackupFrame>,
  store?: OrderedStore,
): Promise<OrderedStore> {
  const target = store ?? (await openMemoryStore())
  const restore = new Restore({ store: target, clock: systemClock, random: randomBytes })
  for await (const frame of frames) await restore.take(frame)
  await restore.finish(async () => {})
  return target
}

/** What must be the same in two stores that hold the same records: keys and values, without times of receipt. */
export async function recordsIn(view: ReadView): Promise<Map<string, string>> {
  const rows = new Map<string, string>()
  for (const letter of ['t', 'l', 'r', 'c', 'p'] as const) {
    for await (const [key, value] of view.entries(rowRange(letter))) {
      const kept = letter === 'r' ? value.subarray(16) : value
      rows.set(Buffer.from(key).toString('hex'), Buffer.from(kept).toString('hex'))
    }
  }
  return rows
}

/** A database with an index and a validator, a log of another writer that is forked, and records that are refused. */
export async function openStory(
  host: TestHost,
  peer: TestHost,
): Promise<{
  database: Database
  foreign: ForeignLog
  config: { writeValidator: string; indexes: { path: string }[] }
}> {
  const config = {
    indexes: [{ path: 'name' }],
    writeValidator: "return (event.patch.json_patch || {}).name !== 'bad' || 'no'",
  }
  const { database, notes } = await newNotes(host, [], config)
  const foreign = new ForeignLog((await database.info()).key)
  await foreign.introduce(host, database)
  for (let i = 0; i < 20; i++) await notes.create([bytesOf({ _id: `n${i}`, name: `name${i % 3}` })])
  await notes.delete(['n2'])
  const add = (record: ReturnType<ForeignLog['record']>, at = host) => at.net.addRecord(database.id, foreign.id, record)
  await add(foreign.record([{ type: 'create', id: 'bad', patch: '{"_id": "bad", "name": "bad"}' }]))
  await add(foreign.recordOf(new Uint8Array([0x60])))
  await joinNotes(peer, database, config)
  const fork = foreign.fork([{ type: 'save', id: 'n3', patch: '{"_id": "n3", "fork": true}' }])
  const main = foreign.record([{ type: 'save', id: 'n3', patch: '{"_id": "n3", "main": true}' }])
  await add(fork.blocks, peer)
  await add(main)
  await vi.waitFor(
    async () => {
      await host.net.pullThread(database.id)
      expect(host.net.forkedLogs()).toMatchObject([{ logId: foreign.id, branches: 1 }])
    },
    { timeout: 20_000, interval: 200 },
  )
  return { database, foreign, config }
}
