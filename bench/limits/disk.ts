import { open as openFile } from 'node:fs/promises'
import { join } from 'node:path'
import { randomBytes } from '../../src/core/crypto.ts'
import { openLevelStore } from '../../src/store/level-store.ts'
import type { Operation } from '../../src/store/ordered-store.ts'
import { person } from '../document.ts'
import { type Repetition, repeated, type Work } from '../measure.ts'
import { cpuOf } from '../processes.ts'
import type { CryptoLimits } from './crypto.ts'

export interface DiskLimits extends AsyncDisposable {
  readonly fsync: Work
  readonly synced: Work
  readonly unsynced: Work
  /** A record written alone: signed, encrypted, put, synced. */
  readonly create: Work
  /** Records that come from elsewhere: verified and put. */
  readonly receive: Work
  /** Documents of one record, as they are stored. */
  readonly batch: Work
  readonly get: Work
  /** All documents of a collection, as one thing. */
  readonly scan: Work
  /** Rows that are found by reading so many keys of an index in order, as one thing. */
  readonly lookup: (count: number) => Work
  /** What `create` does, once. */
  readonly writeRecord: () => Promise<void>
}

export const BATCH = 500
const ROWS = 10_000
const ROW_BYTES = 1_000
const RECEIVED = 256

export async function diskLimits(directory: string, { signAndSeal, check }: CryptoLimits): Promise<DiskLimits> {
  const file = await openFile(join(directory, 'fsync'), 'w')
  const store = await openLevelStore({ location: join(directory, 'limits') })
  const row = randomBytes(ROW_BYTES)
  const document = person(0)
  const record = randomBytes(BATCH * document.length)
  let written = 0
  const puts = (count: number, value: Uint8Array): Operation[] =>
    Array.from({ length: count }, () => ({ type: 'put', key: Buffer.from(`w${written++}`), value }))
  const put = (sync: boolean): Promise<void> => store.batch(puts(1, row), { sync })
  await store.batch(
    Array.from({ length: ROWS }, (_, index): Operation[] => [
      { type: 'put', key: keyOf('d', index), value: document },
      { type: 'put', key: keyOf('x', index), value: keyOf('d', (index * 7919) % ROWS) },
    ]).flat(),
    { sync: true },
  )
  const writeRecord = (): Promise<void> => {
    signAndSeal()
    return put(true)
  }
  const cpu = cpuOf()
  const work = (name: string, task: (index: number) => unknown, more?: Partial<Repetition>): Work =>
    repeated(name, { cpu, ...more }, task)
  return {
    fsync: work(`appends of ${ROW_BYTES} bytes with fsync`, async () => {
      await file.write(row)
      await file.datasync()
    }),
    synced: work(`LevelDB batches of ${ROW_BYTES} bytes, synced`, () => put(true)),
    unsynced: work(`LevelDB batches of ${ROW_BYTES} bytes, not synced`, () => put(false)),
    create: work('sign, encrypt, synced put', writeRecord),
    receive: work(
      `verify, put in synced batches of ${RECEIVED}`,
      () => {
        for (let count = 0; count < RECEIVED; count++) check()
        return store.batch(puts(RECEIVED, row), { sync: true })
      },
      { each: RECEIVED },
    ),
    batch: work(
      `documents put in synced batches of ${BATCH}, with their record`,
      () => {
        signAndSeal()
        return store.batch([...puts(1, record), ...puts(BATCH, document)], { sync: true })
      },
      { each: BATCH },
    ),
    get: work('LevelDB get', (index) => store.get(keyOf('d', (index * 7919) % ROWS))),
    scan: work(`${ROWS} LevelDB rows in order`, async () => {
      let count = 0
      for await (const _ of store.entries({ gte: Buffer.from('d'), lt: Buffer.from('e') })) count++
      if (count !== ROWS) throw new Error(`${count} rows, not ${ROWS}`)
    }),
    lookup: (count) =>
      work(`${count} LevelDB keys in order, and their rows`, async (index) => {
        const gte = keyOf('x', (index * 7919) % (ROWS - count))
        const keys: Uint8Array[] = []
        for await (const [, key] of store.entries({ gte, lt: Buffer.from('y'), limit: count })) keys.push(key)
        await store.getMany(keys)
      }),
    writeRecord,
    async [Symbol.asyncDispose]() {
      await file.close()
      await store.close()
    },
  }
}

function keyOf(prefix: string, index: number): Uint8Array {
  return Buffer.from(`${prefix}${String(index).padStart(8, '0')}`)
}
