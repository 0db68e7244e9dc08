/** `threadsd verify` on repositories that are damaged in every way. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { verifyRepository } from '../../../daemon/verify/verification.ts'
import { compareBytes, utf8 } from '../../../src/core/bytes.ts'
import { decodeInstance } from '../../../src/db/rows.ts'
import { cidOf } from '../../../src/core/cbor.ts'
import {
  decodeLogRow,
  decodeRecordRow,
  decodeThreadRow,
  encodeLogRow,
  encodeThreadRow,
  logRowKey,
  recordRowKey,
  threadRowKey,
} from '../../../src/net/rows.ts'
import { type KeyLetter, rowKey, rowRange } from '../../../src/store/key-codec.ts'
import { openLevelStore } from '../../../src/store/level-store.ts'
import { damagedTables, exposeDamages } from '../../../src/store/level-tables.ts'
import type { Entry, Operation, OrderedStore } from '../../../src/store/ordered-store.ts'
import { runDaemon } from '../../support/daemon.ts'
import { ForeignLog } from '../../support/foreign-log.ts'
import { startHost } from '../../support/host.ts'
import { bytesOf, joinNotes, newNotes } from '../../support/notes.ts'

const DOCUMENTS = 60
/** Of both databases: documents, other writes of the host, and those of the log written elsewhere. */
const RECORDS = DOCUMENTS + 41 + 4 + 1
/** At the end of a table of LevelDB. */
const FOOTER_BYTES = 48

let root: string
/** A repository with a database that two hosts wrote, with index, validator, refusals and long histories. */
let base: string
let copies = 0

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-verify-'))
  base = join(root, 'base')
  await mkdir(base)
  const backend = await openLevelStore({ location: join(base, 'store') })
  {
    await using host = await startHost({ backend, net: { pull: false } })
    const { database, notes } = await newNotes(host, [], { indexes: [{ path: 'name' }] })
    const foreign = new ForeignLog((await database.info()).key)
    await foreign.introduce(host, database)
    for (let i = 0; i < DOCUMENTS; i++) await notes.create([bytesOf({ _id: `n${i}`, name: `name${i % 7}` })])
    for (let i = 0; i < 40; i++) await notes.save([bytesOf({ _id: 'n1', name: `again${i}` })])
    await notes.delete(['n2'])
    await host.net.addRecord(database.id, foreign.id, foreign.recordOf(new Uint8Array([0x60])))
    // Late: before what is folded already.
    const late = { type: 'save', id: 'n1', patch: '{"_id": "n1", "late": true}', atMs: Date.now() - 60_000 } as const
    await host.net.addRecord(database.id, foreign.id, foreign.record([late]))
    // Its owner forks the log: one chain is brought here, the other to a peer. It becomes a branch, the fourth log.
    await using peer = await startHost({ net: { pull: false } })
    await joinNotes(peer, database)
    const fork = foreign.fork([{ type: 'save', id: 'n3', patch: '{"_id": "n3", "fork": true}' }])
    const main = foreign.record([{ type: 'save', id: 'n3', patch: '{"_id": "n3", "main": true}' }])
    await peer.net.addRecord(database.id, foreign.id, fork.blocks)
    await host.net.addRecord(database.id, foreign.id, main)
    await vi.waitFor(
      async () => {
        await host.net.pullThread(database.id)
        expect(host.net.forkedLogs()).toMatchObject([{ logId: foreign.id, branches: 1 }])
      },
      { timeout: 20_000, interval: 200 },
    )
    await newNotes(host, [{ _id: 'other' }])
  }
  await backend.close()
}, 60_000)

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

/** A copy of the repository. */
async function copy(): Promise<string> {
  const repo = join(root, `copy-${copies++}`)
  await cp(base, repo, { recursive: true })
  return repo
}

async function withStore<T>(repo: string, work: (store: OrderedStore) => Promise<T>): Promise<T> {
  const store = await openLevelStore({ location: join(repo, 'store') })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** A copy in which something was changed. */
async function changed(change: (store: OrderedStore) => Promise<readonly Operation[]>): Promise<string> {
  const repo = await copy()
  await withStore(repo, async (store) => store.batch(await change(store), { sync: true }))
  return repo
}

async function rowsOf(
  store: OrderedStore,
  letter: KeyLetter,
  ...parts: readonly (number | string)[]
): Promise<Entry[]> {
  const rows: Entry[] = []
  for await (const row of store.entries(rowRange(letter, ...parts))) rows.push(row)
  return rows
}

async function verify(repo: string, options: { repair?: boolean } = {}): ReturnType<typeof verifyRepository> {
  const scratch = await mkdtemp(join(repo, 'verify-'))
  return verifyRepository({ location: join(repo, 'store'), scratch, repair: false, report: () => {}, ...options })
}

const del = (key: Uint8Array): Operation => ({ type: 'del', key })
const put = (key: Uint8Array, value: Uint8Array): Operation => ({ type: 'put', key, value })

function flipped(value: Uint8Array, at: number = value.length - 3): Uint8Array {
  const bytes = value.slice()
  bytes[at] = (bytes[at] ?? 0) ^ 0xff
  return bytes
}

/** Whether the log of the host was retired. */
async function isRetired(repo: string): Promise<boolean> {
  const row = await withStore(repo, (store) => store.get(logRowKey(1, 1)))
  return row !== undefined && decodeLogRow(1, row).retired
}

/** The documents of the first database, as rows tell. */
async function documents(repo: string): Promise<number> {
  const rows = await withStore(repo, (store) => rowsOf(store, 'd', 1))
  return rows.filter(([, value]) => decodeInstance(value).document !== undefined).length
}

it('a repository that is well has nothing to report', async () => {
  const repo = await copy()
  const before = await withStore(repo, (store) => rowsOf(store, 's'))
  const outcome = await verify(repo)
  expect(outcome.findings).toEqual([])
  expect(outcome).toMatchObject({ agrees: true, repaired: false, more: 0 })
  expect(outcome.totals).toMatchObject({ threads: 2, logs: 5, databases: 2, documents: DOCUMENTS + 1, unreadable: 0 })
  expect(outcome.totals?.records).toBe(RECORDS)
  expect(await withStore(repo, (store) => rowsOf(store, 's'))).toEqual(before)
})

it('what validators refused is judged again', async () => {
  const repo = join(root, 'judged')
  await mkdir(repo)
  const backend = await openLevelStore({ location: join(repo, 'store') })
  {
    await using host = await startHost({ backend, net: { pull: false } })
    const writeValidator = "return (event.patch.json_patch || {}).name !== 'bad' || 'no'"
    const { database, notes } = await newNotes(host, [], { writeValidator })
    await notes.create([bytesOf({ _id: 'good', name: 'good' })])
    const foreign = new ForeignLog((await database.info()).key)
    await foreign.introduce(host, database)
    const bad = foreign.record([{ type: 'create', id: 'bad', patch: '{"_id": "bad", "name": "bad"}' }])
    await host.net.addRecord(database.id, foreign.id, bad)
    expect(await database.refusals()).toMatchObject([{ reason: expect.stringContaining('no') }])
  }
  await backend.close()
  expect(await verify(repo)).toMatchObject({ agrees: true, findings: [], totals: { documents: 2 } })
  const [refusal] = await withStore(repo, (store) => rowsOf(store, 'v', 1))
  if (refusal === undefined) throw new Error('there is a refusal')
  await withStore(repo, (store) => store.batch([del(refusal[0])], { sync: true }))
  expect((await verify(repo)).findings).toMatchObject([{ what: 'a refusal is missing' }])
})

describe('damage of derived rows is found and mended:', () => {
  it.each<[string, RegExp, (store: OrderedStore) => Promise<readonly Operation[]>]>([
    ['a document that is missing', /document Note\/n5 is missing/, async () => [del(rowKey('d', 1, 1, 'Note', 'n5'))]],
    [
      'a document with another byte',
      /document Note\/n5 is not what the records make/,
      async (store) => {
        const key = rowKey('d', 1, 1, 'Note', 'n5')
        return [put(key, flipped((await store.get(key)) ?? new Uint8Array()))]
      },
    ],
    [
      'a document row cut short',
      /document Note\/n5 cannot be read/,
      async () => [put(rowKey('d', 1, 1, 'Note', 'n5'), new Uint8Array(5))],
    ],
    [
      'a document of no record',
      /document Note\/ghost is not what the records make: there is none/,
      async (store) => {
        const row = await store.get(rowKey('d', 1, 1, 'Note', 'n5'))
        return [put(rowKey('d', 1, 1, 'Note', 'ghost'), row ?? new Uint8Array())]
      },
    ],
    [
      'an entry of a history that is missing',
      /an entry in the history of Note\/n1 is missing/,
      async (store) => (await rowsOf(store, 'e', 1, 1, 'Note', 'n1')).slice(3, 4).map(([key]) => del(key)),
    ],
    [
      'a document that a history keeps',
      /an entry in the history of Note\/n1 keeps a document that the records do not make/,
      async (store) => {
        const rows = await rowsOf(store, 'e', 1, 1, 'Note', 'n1')
        const [key, value] = rows.toSorted((a, b) => b[1].length - a[1].length)[0] ?? []
        return key === undefined || value === undefined ? [] : [put(key, flipped(value))]
      },
    ],
    [
      'an index entry that is missing',
      /an entry of the index Note\.name is missing/,
      async (store) => (await rowsOf(store, 'x', 1)).slice(0, 1).map(([key]) => del(key)),
    ],
    [
      'a refusal that is missing',
      /a refusal is missing/,
      async (store) => (await rowsOf(store, 'v', 1)).map(([key]) => del(key)),
    ],
  ])('%s', async (_title, what, change) => {
    const repo = await changed(change)
    const { findings, ...outcome } = await verify(repo)
    expect(findings.map((each) => each.what).join('\n')).toMatch(what)
    expect(findings[0]?.thread).toMatch(/^bafk/)
    expect(outcome.agrees).toBe(false)
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    expect(await documents(repo)).toBe(DOCUMENTS - 1)
    expect(await isRetired(repo)).toBe(false)
  })
})

describe('damage of records and what belongs to them is found and mended:', () => {
  const BODY_BYTE = 900

  it.each<[string, RegExp, number, (store: OrderedStore) => Promise<readonly Operation[]>]>([
    ['a record that is missing', /the record is missing/, 49, async () => [del(recordRowKey(1, 1, 50))]],
    [
      'a record with another byte',
      /the record is not what was stored/,
      49,
      async (store) => {
        const key = recordRowKey(1, 1, 50)
        const row = (await store.get(key)) ?? new Uint8Array()
        return [put(key, flipped(row, Math.min(BODY_BYTE, row.length - 3)))]
      },
    ],
    [
      'another record in its place',
      /the record does not name the one before it/,
      49,
      async (store) => [put(recordRowKey(1, 1, 50), (await store.get(recordRowKey(1, 1, 51))) ?? new Uint8Array())],
    ],
    [
      'a record at the end that the head does not know',
      /the head says record 100, the last one is 101/,
      101,
      async (store) => {
        const row = await store.get(logRowKey(1, 1))
        if (row === undefined) return []
        const log = decodeLogRow(1, row)
        const cid = cidOf(decodeRecordRow((await store.get(recordRowKey(1, 1, 100))) ?? row).recordNode)
        const head = { counter: 100, cid }
        return [put(logRowKey(1, 1), encodeLogRow({ ...log, head, cursor: { ...log.cursor, counter: 100 } }))]
      },
    ],
  ])('%s', async (_title, what, left, change) => {
    const repo = await changed(change)
    const { findings, ...outcome } = await verify(repo)
    expect(findings[0]?.what).toMatch(what)
    expect(findings[0]?.log).toMatch(/^12D3/)
    expect(outcome.agrees).toBe(false)
    const repaired = await verify(repo, { repair: true })
    expect(repaired).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    const counters = (await withStore(repo, (store) => rowsOf(store, 'r', 1, 1))).length
    expect(counters).toBe(left)
    expect(await isRetired(repo)).toBe(true)
  })

  it('a record from which a branch parts: the branch goes too', async () => {
    const repo = await changed(async () => [del(recordRowKey(1, 2, 2))])
    expect((await verify(repo)).findings[0]).toMatchObject({ what: 'the record is missing', counter: 2 })
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [], totals: { logs: 4 } })
  })

  it('records of a branch: the main chain stays', async () => {
    const repo = await changed(async (store) => (await rowsOf(store, 'r', 1, 4)).map(([key]) => del(key)))
    expect((await verify(repo)).findings[0]?.what).toMatch(/the head says record 3, the last one is 2/)
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await withStore(repo, (store) => rowsOf(store, 'r', 1, 2))).toHaveLength(3)
  })

  it.each<[string, RegExp, (store: OrderedStore) => Promise<readonly Operation[]>]>([
    [
      'rows by id that are missing',
      /3 of its records are not found by their ids/,
      async (store) =>
        (await rowsOf(store, 'c'))
          .filter(isOwn)
          .slice(0, 3)
          .map(([key]) => del(key)),
    ],
    [
      'rows by id that find nothing',
      /2 rows by id find no record/,
      async () => [1, 2].map((n) => put(rowKey('c', new Uint8Array(8).fill(n), n, 1, 5), new Uint8Array())),
    ],
    [
      'a key that cannot be read',
      /a row has a key that cannot be read/,
      async () => [put(rowKey('l', 1), new Uint8Array()), put(rowKey('c', 'x', 1, 'y'), new Uint8Array())],
    ],
    [
      'rows of a thread that does not exist',
      /there are rows of a thread 77 that does not exist/,
      async () => [put(rowKey('d', 77, 1, 'Note', 'x'), new Uint8Array(1))],
    ],
    [
      'records of a log that does not exist',
      /there are records of a log 9 that does not exist/,
      async (store) => [put(recordRowKey(1, 9, 1), (await store.get(recordRowKey(1, 1, 1))) ?? new Uint8Array())],
    ],
    [
      'addresses of a peer',
      /the addresses of a peer cannot be read/,
      async () => [put(rowKey('p', 'x'), new Uint8Array(2))],
    ],
    ['a hole in the journal', /commits 20 to 21 are missing/, async () => [20, 21].map((seq) => del(rowKey('f', seq)))],
    [
      'a row of the journal',
      /commit 20 of the journal cannot be read/,
      async () => [put(rowKey('f', 20), new Uint8Array(2))],
    ],
    [
      'the end of the journal',
      /are missing at the end of the journal/,
      async (store) => (await rowsOf(store, 'f')).slice(-1).map(([key]) => del(key)),
    ],
  ])('%s', async (_title, what, change) => {
    const repo = await changed(change)
    const { findings } = await verify(repo)
    expect(findings.map((each) => each.what).join('\n')).toMatch(what)
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    expect(await documents(repo)).toBe(DOCUMENTS - 1)
  })

  it.each([
    ['a log', logRowKey(1, 1), /the row of log 1 is damaged/],
    ['a thread', threadRowKey(2), /the row of thread 2 is damaged/],
  ])('the row of %s', async (_title, key, what) => {
    const repo = await changed(async () => [put(key, new Uint8Array(7))])
    expect((await verify(repo)).findings.map((each) => each.what).join('\n')).toMatch(what)
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
  })

  function isOwn([key]: Entry): boolean {
    // The rows of the thread's first log: the last components are thread, log and a counter of one byte.
    return key.at(-3) === 1 && key.at(-2) === 1
  }
})

it('documents that wait to be made anew are named, and made anew', async () => {
  const repo = await changed(async (store) => {
    const row = decodeThreadRow(1, (await store.get(threadRowKey(1))) ?? new Uint8Array())
    return [put(threadRowKey(1), encodeThreadRow({ ...row, stale: true }))]
  })
  const { findings, agrees } = await verify(repo)
  expect(findings.map(({ what }) => what)).toEqual(['the documents are yet to be made anew'])
  expect(agrees).toBe(false)
  expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
  expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
})

it('a definition that cannot be used is named; it comes from no record, so it cannot be mended', async () => {
  const repo = await changed(async (store) => {
    const row = decodeThreadRow(1, (await store.get(threadRowKey(1))) ?? new Uint8Array())
    const appData = { ...(row.appData as object), name: 7 }
    return [put(threadRowKey(1), encodeThreadRow({ ...row, appData }))]
  })
  const damaged = [{ what: expect.stringContaining('delete the database here and join it again; or restore a backup') }]
  expect(await verify(repo)).toMatchObject({ agrees: false, findings: damaged })
  expect(await verify(repo, { repair: true })).toMatchObject({ agrees: false, repaired: true })
})

describe('damage of the files of LevelDB', () => {
  const files = async (repo: string, name: RegExp): Promise<string> => {
    const all = await readdir(join(repo, 'store'))
    return join(
      repo,
      'store',
      all
        .filter((file) => name.test(file))
        .toSorted()
        .at(-1) ?? '',
    )
  }

  it.each<[string, (repo: string) => Promise<void>]>([
    ['no CURRENT', async (repo) => rm(join(repo, 'store', 'CURRENT'))],
    ['a CURRENT of garbage', async (repo) => writeFile(join(repo, 'store', 'CURRENT'), 'garbage')],
    ['no MANIFEST', async (repo) => rm(await files(repo, /^MANIFEST/))],
    [
      'a MANIFEST with another byte',
      async (repo) => {
        const file = await files(repo, /^MANIFEST/)
        await writeFile(file, flipped(await readFile(file), 20))
      },
    ],
  ])('%s: is said, and mended by LevelDB', async (_title, damage) => {
    const repo = await copy()
    await damage(repo)
    await expect(verify(repo)).rejects.toMatchObject({ code: expect.stringMatching(/^STORE_(CORRUPT|FAILED)$/) })
    const outcome = await verify(repo, { repair: true })
    expect(outcome).toMatchObject({ agrees: true, repaired: true })
    expect(outcome.totals?.records).toBe(RECORDS)
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    expect(await documents(repo)).toBe(DOCUMENTS - 1)
    // Nobody knows whether it is whole.
    expect(await isRetired(repo)).toBe(true)
  })

  describe('a damaged table is named, and what can be read agrees after a repair:', () => {
    let tables: string

    /** A copy in which all is in tables. */
    beforeAll(async () => {
      tables = await copy()
      // Opening it makes a table of the log.
      await withStore(tables, async () => {})
    })

    async function damaged(placeOf: (table: Uint8Array) => number): Promise<string> {
      const repo = join(root, `copy-${copies++}`)
      await cp(tables, repo, { recursive: true })
      const file = await files(repo, /\.ldb$/)
      const bytes = await readFile(file)
      await writeFile(file, flipped(bytes, placeOf(bytes)))
      return repo
    }

    async function expectMended(repo: string, what: RegExp): Promise<void> {
      const found = await verify(repo)
      expect(found).toMatchObject({ agrees: false, repaired: false, more: 0, totals: undefined })
      expect(found.findings).toMatchObject([{ what: expect.stringMatching(what) }])
      const outcome = await verify(repo, { repair: true })
      expect(outcome).toMatchObject({ agrees: true, repaired: true })
      expect(outcome.findings).toMatchObject([...found.findings, ...outcome.findings.slice(1)])
      expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    }

    it.each(Array.from({ length: 24 }, (_, i) => i / 24))('a byte at %d of it', async (share) => {
      const repo = await damaged((table) => Math.floor((table.length - FOOTER_BYTES) * share))
      await expectMended(repo, /^\d+\.ldb: (the (block|filter|list of filters) at \d+|its index) is damaged$/)
    })

    it.each<[string, RegExp, (table: Uint8Array) => number]>([
      ['its first byte', /: the block at 0 is damaged/, () => 0],
      ['its end', /: its end is damaged/, (table) => table.length - FOOTER_BYTES],
      ['its last byte', /: its end is damaged or missing/, (table) => table.length - 1],
      ['the type of its index', /: its index is damaged/, (table) => table.length - FOOTER_BYTES - 5],
      ['the list of its filters', /: the list of filters at \d+ is damaged/, placeOfFilters],
      ['its filter', /: the filter at \d+ is damaged/, (table) => placeOfFilters(table) - 30],
    ])('%s', async (_title, what, placeOf) => {
      await expectMended(await damaged(placeOf), what)
    })

    it('a table cut short', async () => {
      const repo = await damaged(() => 0)
      const file = await files(repo, /\.ldb$/)
      await truncate(file, (await stat(file)).size >> 1)
      await expectMended(repo, /: its end is damaged or missing/)
    })

    it('many blocks of it, each of which is named', async () => {
      const repo = await damaged(() => 0)
      const file = await files(repo, /\.ldb$/)
      const bytes = await readFile(file)
      for (let at = 0; at < bytes.length / 2; at += 10_000) bytes[at] = (bytes[at] ?? 0) ^ 1
      await writeFile(file, bytes)
      expect((await verify(repo)).findings.length).toBeGreaterThan(3)
      expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
      expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    })

    it('a repair that was cut off before LevelDB began is begun again', async () => {
      const repo = await damaged((table) => table.length >> 2)
      for await (const table of damagedTables(join(repo, 'store'))) await exposeDamages(join(repo, 'store'), table)
      await expectMended(repo, /: the block at \d+ is damaged/)
    })

    it('but not one that a crash left behind: nothing of it is in use', async () => {
      const repo = await copy()
      await writeFile(join(repo, 'store', '009999.ldb'), new Uint8Array(1_000))
      expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    })

    /** The list begins with the name of the only filter, which is right before it. */
    function placeOfFilters(table: Uint8Array): number {
      return Buffer.from(table).lastIndexOf('filter.leveldb')
    }
  })

  it('the version row lost with them: it is made anew, unless a row may be of another program', async () => {
    const repo = await changed(async () => [del(rowKey('s'))])
    await expect(verify(repo)).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [], totals: { records: RECORDS } })
    expect(await isRetired(repo)).toBe(true)
    for (const text of ['Z', 'threads of another program']) {
      const foreign = await changed(async () => [del(rowKey('s')), put(utf8(text), new Uint8Array(1))])
      await expect(verify(foreign, { repair: true })).rejects.toMatchObject({ code: 'STORE_CORRUPT' })
      expect(await withStore(foreign, (store) => store.get(utf8(text)))).toBeDefined()
    }
  })

  it('commits at the end of the journal lost with them: it goes on behind those', async () => {
    const repo = await changed(async (store) => (await rowsOf(store, 'f')).slice(7).map(([key]) => del(key)))
    const [last] = (await withStore(await copy(), (store) => rowsOf(store, 'f'))).slice(-1)
    await rm(await files(repo, /^MANIFEST/))
    expect(await verify(repo, { repair: true })).toMatchObject({ agrees: true, repaired: true })
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
    const [begin] = await withStore(repo, (store) => rowsOf(store, 'f'))
    expect(compareBytes(begin?.[0] ?? utf8(''), last?.[0] ?? utf8(''))).toBeGreaterThan(0)
  })

  it('a log file cut short: what is lost is lost, the rest agrees', async () => {
    const repo = await copy()
    const file = await files(repo, /\.log$/)
    const { size } = await stat(file)
    await truncate(file, size >> 1)
    const outcome = await verify(repo, { repair: true })
    expect(outcome.agrees).toBe(true)
    expect(await verify(repo)).toMatchObject({ agrees: true, findings: [] })
  })
})

describe('the command', () => {
  it('says what does not agree and ends with 1; with -repair it mends that and ends with 0', async () => {
    const repo = await changed(async () => [del(rowKey('d', 1, 1, 'Note', 'n5')), del(recordRowKey(1, 1, 50))])
    const found = await runDaemon(['verify', '-repo', repo])
    expect(found).toMatchObject({ code: 1, stderr: '' })
    expect(found.stdout).toMatch(/^thread bafk\w+ log 12D3\w+ record 50: the record is missing\n/)
    expect(found.stdout).toMatch(/\d+ (do|does) not agree\. -repair mends what records can mend\.\n$/)
    const repaired = await runDaemon(['verify', '-repo', repo, '-repair'])
    expect(repaired.code).toBe(0)
    expect(repaired.stdout).toMatch(/did not agree; now all do\.\n$/)
    const again = await runDaemon(['verify', '-repo', repo, '-json'])
    expect(again.code).toBe(0)
    expect(JSON.parse(again.stdout)).toMatchObject({ agrees: true, findings: [], totals: { threads: 2 } })
    expect((await readdir(repo)).toSorted()).toEqual(['store'])
  }, 120_000)

  it('names damaged files, and says that it did not look at what is in them', async () => {
    const repo = await copy()
    await withStore(repo, async () => {})
    const [file = ''] = (await readdir(join(repo, 'store'))).filter((name) => name.endsWith('.ldb'))
    await writeFile(join(repo, 'store', file), flipped(await readFile(join(repo, 'store', file)), 100))
    const { code, stdout } = await runDaemon(['verify', '-repo', repo])
    expect(code).toBe(1)
    expect(stdout).toMatch(/^\d+\.ldb: the block at 0 is damaged\nDocuments were not compared/)
    expect(await runDaemon(['verify', '-repo', repo, '-repair'])).toMatchObject({ code: 0 })
  }, 120_000)

  it('needs the daemon to be stopped, and a repository', async () => {
    const repo = await copy()
    await withStore(repo, async () => {
      const exit = await runDaemon(['verify', '-repo', repo])
      expect(exit).toMatchObject({ code: 1, stdout: '' })
      expect(exit.stderr).toMatch(/in use by another process.*Stop/)
    })
    const none = await runDaemon(['verify', '-repo', join(root, 'nothing')])
    expect(none).toMatchObject({ code: 1, stdout: '' })
    expect(none.stderr).toMatch(/nothing is no repository/)
  }, 120_000)
})
