/** Damage in the tables of LevelDB, in files that LevelDB itself made. */
import { cp, mkdir, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import fc from 'fast-check'
import { Level } from 'level'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { joinBytes, utf8 } from '../../../src/core/bytes.ts'
import { encodeVarint } from '../../../src/core/varint.ts'
import { checksumOf, masked } from '../../../src/store/level-bytes.ts'
import { tablesInUse } from '../../../src/store/level-manifest.ts'
import { openLevelStore, repairLevelStore } from '../../../src/store/level-store.ts'
import { type DamagedTable, damagedTables, exposeDamages } from '../../../src/store/level-tables.ts'

const FOOTER_BYTES = 48
const ROWS = 4_000
const BATCHES = 5

let root: string
let directories = 0
/** Stores of the same rows. */
const stores = { compressed: '', plain: '' }

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'threads-tables-'))
  for (const kind of ['compressed', 'plain'] as const)
    stores[kind] = await newStore({ compression: kind === 'compressed' })
})

afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

/** Short values, and some of a megabyte. */
function valueOf(row: number): string {
  return `${row} of ${ROWS} `.repeat(row % 1_000 === 7 ? 90_000 : 1 + (row % 20))
}

function keyOf(row: number): string {
  return `row ${String(row).padStart(6, '0')}`
}

async function newStore(options: { compression: boolean }): Promise<string> {
  const location = join(root, `store-${directories++}`)
  const db = new Level(location, { ...options, writeBufferSize: 256 * 1024, maxFileSize: 1024 * 1024 })
  await db.open()
  // Every batch makes a table over all keys, so that a compaction has something to merge.
  for (let first = 0; first < BATCHES; first++) {
    const batch = db.batch()
    for (let row = first; row < ROWS; row += BATCHES) batch.put(keyOf(row), valueOf(row))
    await batch.write()
  }
  await compact(db)
  await db.close()
  return location
}

/** Browsers have no such thing, so the types of `level` do not know it. */
async function compact(db: Level): Promise<void> {
  await Reflect.get(db, 'compactRange').call(db, 'a', 'z')
}

async function copyOf(location: string): Promise<string> {
  const copy = join(root, `copy-${directories++}`)
  await cp(location, copy, { recursive: true })
  return copy
}

async function tablesOf(location: string): Promise<string[]> {
  const files = await readdir(location)
  return files.filter((file) => file.endsWith('.ldb')).toSorted()
}

async function damagesOf(location: string): Promise<DamagedTable[]> {
  return await Array.fromAsync(damagedTables(location))
}

/** Without the empty table that a repair makes of one in which it finds nothing. LevelDB deletes it. */
async function damagesInUse(location: string): Promise<DamagedTable[]> {
  return (await damagesOf(location)).filter(({ isInUse }) => isInUse)
}

/** A directory with nothing but this table. */
async function alone(bytes: Uint8Array): Promise<string> {
  const location = join(root, `alone-${directories++}`)
  await mkdir(location)
  await writeFile(join(location, '000005.ldb'), bytes)
  return location
}

async function firstTable(kind: keyof typeof stores): Promise<Uint8Array> {
  const [name = ''] = await tablesOf(stores[kind])
  return readFile(join(stores[kind], name))
}

function flipped(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = new Uint8Array(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}

async function flip(path: string, at: number): Promise<void> {
  await writeFile(path, flipped(await readFile(path), at, 3))
}

/** What can be read, all of which must be as it was written. */
async function rowsLeft(location: string): Promise<number> {
  const store = await openLevelStore({ location })
  try {
    let rows = 0
    for await (const [key, value] of store.entries({ gte: utf8(''), lt: utf8('s') })) {
      const row = Number(Buffer.from(key).toString().slice(4))
      expect(Buffer.from(value).toString()).toBe(valueOf(row))
      rows++
    }
    return rows
  } finally {
    await store.close()
  }
}

describe.each(['compressed', 'plain'] as const)('tables of %s blocks', (kind) => {
  it('that are as LevelDB wrote them have no damage', async () => {
    expect((await tablesOf(stores[kind])).length).toBeGreaterThan(kind === 'plain' ? 1 : 0)
    expect(await damagesOf(stores[kind])).toEqual([])
  })

  it('tell of any flipped bit in a block, its type or its checksum', async () => {
    const bytes = await firstTable(kind)
    const location = await alone(bytes)
    const place = fc.nat({ max: bytes.length - FOOTER_BYTES - 1 })
    const property = fc.asyncProperty(place, fc.nat({ max: 7 }), async (at, bit) => {
      await writeFile(join(location, '000005.ldb'), flipped(bytes, at, bit))
      const [table, ...more] = await damagesOf(location)
      expect(more).toEqual([])
      expect(table?.damages).toHaveLength(1)
      const block = table?.damages[0]?.block
      if (block === undefined) return
      expect(at).toBeGreaterThanOrEqual(block.offset)
      expect(at).toBeLessThan(block.offset + block.size + 5)
    })
    await fc.assert(property, { numRuns: 150 })
  })

  it('tell of any flipped bit at their end, but for the room that is not used', async () => {
    const bytes = await firstTable(kind)
    const start = bytes.length - FOOTER_BYTES
    const used = bytes.subarray(start, -8).findLastIndex((byte) => byte !== 0) + 1
    for (let at = 0; at < FOOTER_BYTES; at++) {
      const found = await damagesOf(await alone(flipped(bytes, start + at, at % 8)))
      const isUsed = at < used || at >= FOOTER_BYTES - 8
      expect(found.map(({ damages }) => damages.map(({ block }) => block))).toEqual(isUsed ? [[undefined]] : [])
    }
  })

  it('tell that they are cut short', async () => {
    const bytes = await firstTable(kind)
    for (const left of [0, 1, 47, 48, 1_000, bytes.length >> 1, bytes.length - 1]) {
      const [table] = await damagesOf(await alone(bytes.subarray(0, left)))
      expect(table?.damages).toMatchObject([{ block: undefined, what: expect.stringMatching(/^its end is/) }])
    }
  })

  it('are put together without the damaged block, and nothing else is lost', async () => {
    for (const share of [0, 0.13, 0.41, 0.68, 0.9]) {
      const location = await copyOf(stores[kind])
      const [name = ''] = await tablesOf(location)
      const path = join(location, name)
      await flip(path, Math.floor((await readFile(path)).length * share))
      const [table] = await damagesOf(location)
      if (table === undefined) throw new Error('the damage was not found')
      await exposeDamages(location, table)
      expect(await damagesOf(location)).toHaveLength(1)
      await repairLevelStore({ location })
      expect(await damagesOf(location)).toEqual([])
      const lost = ROWS - (await rowsLeft(location))
      expect(lost).toBeGreaterThan(0)
      expect(lost).toBeLessThan(200)
    }
  })

  it('lose no row when a filter, or the list of them, is damaged', async () => {
    for (const what of ['filter', 'list of filters']) {
      const location = await copyOf(stores[kind])
      const [name = ''] = await tablesOf(location)
      const path = join(location, name)
      const bytes = await readFile(path)
      const [metaindex, filter] = placesOfFilters(bytes)
      await flip(path, what === 'filter' ? filter : metaindex)
      const [table] = await damagesOf(location)
      expect(table?.damages).toMatchObject([{ what: expect.stringContaining(`the ${what} at`) }])
      if (table !== undefined) await exposeDamages(location, table)
      await repairLevelStore({ location })
      expect(await damagesOf(location)).toEqual([])
      expect(await rowsLeft(location)).toBe(ROWS)
      const store = await openLevelStore({ location })
      for (let row = 0; row < ROWS; row += 37) expect(await store.get(utf8(keyOf(row)))).toBeDefined()
      await store.close()
    }
  })

  it('go as a whole when their index is damaged, and other tables stay', async () => {
    const location = await copyOf(stores[kind])
    const [name = ''] = await tablesOf(location)
    const path = join(location, name)
    const bytes = await readFile(path)
    await flip(path, bytes.length - FOOTER_BYTES - 20)
    const [table] = await damagesOf(location)
    expect(table).toEqual({ file: name, damages: [{ block: undefined, what: 'its index is damaged' }], isInUse: true })
    if (table !== undefined) await exposeDamages(location, table)
    await repairLevelStore({ location })
    expect(await damagesInUse(location)).toEqual([])
    const left = await rowsLeft(location)
    expect(left).toBeLessThan(ROWS)
    if (kind === 'plain') expect(left).toBeGreaterThan(0)
  })
})

/** Places in the list of filters, which begins with the name of the only one, and in that, which is right before it. */
function placesOfFilters(table: Buffer): [metaindex: number, filter: number] {
  const metaindex = table.lastIndexOf('filter.leveldb')
  return [metaindex, metaindex - 30]
}

describe('tables in use', () => {
  it('are those that are there, after compactions too', async () => {
    for (const location of Object.values(stores)) {
      const files = await tablesOf(location)
      expect(await tablesInUse(location)).toEqual(new Set(files.map((file) => Number(basename(file, '.ldb')))))
    }
  })

  it('are known of a manifest in which entries go over several pages', async () => {
    const location = join(root, `store-${directories++}`)
    const db = new Level(location)
    await db.open()
    // Each entry for a table holds its first and its last key.
    for (let i = 0; i < 12; i++) {
      await db.batch(['a', 'z'].map((first) => ({ type: 'put', key: first.repeat(9_000 + 7 * i), value: `${i}` })))
      await compact(db)
    }
    await db.close()
    const manifest = (await readdir(location)).find((file) => file.startsWith('MANIFEST')) ?? ''
    expect((await readFile(join(location, manifest))).length).toBeGreaterThan(100_000)
    const files = await tablesOf(location)
    expect(await tablesInUse(location)).toEqual(new Set(files.map((file) => Number(basename(file, '.ldb')))))
    expect(await damagesOf(location)).toEqual([])
  })

  it('are known wherever entries meet the bounds of pages', async () => {
    const location = join(root, `store-${directories++}`)
    await mkdir(location)
    await writeFile(join(location, 'CURRENT'), 'MANIFEST-000001\n')
    const keySizes = fc.array(fc.oneof(fc.nat({ max: 100 }), fc.integer({ min: 32_600, max: 32_800 })), {
      maxLength: 20,
    })
    const property = fc.asyncProperty(keySizes, async (sizes) => {
      const entries = sizes.map((size, i) => newTableEntry(i + 1, size))
      await writeFile(join(location, 'MANIFEST-000001'), logOf(entries))
      expect(await tablesInUse(location)).toEqual(new Set(sizes.keys().map((i) => i + 1)))
    })
    await fc.assert(property, { numRuns: 300 })
  })

  it('are no tables that a crash left behind', async () => {
    const location = await copyOf(stores.plain)
    await writeFile(join(location, '000999.ldb'), new Uint8Array(100))
    expect(await damagesOf(location)).toMatchObject([{ file: '000999.ldb', isInUse: false }])
  })

  it('are known when the last entry of the manifest is cut short, and what it says does not count', async () => {
    const location = await copyOf(stores.plain)
    const before = await tablesInUse(location)
    const manifest = (await readdir(location)).find((file) => file.startsWith('MANIFEST')) ?? ''
    await truncate(join(location, manifest), (await readFile(join(location, manifest))).length - 1)
    const after = await tablesInUse(location)
    expect(after).toBeDefined()
    expect(after).not.toEqual(before)
  })

  it('are all if the manifest is damaged, or is not found', async () => {
    const location = await copyOf(stores.plain)
    const manifest = (await readdir(location)).find((file) => file.startsWith('MANIFEST')) ?? ''
    await flip(join(location, manifest), 20)
    expect(await tablesInUse(location)).toBeUndefined()
    await rm(join(location, manifest))
    expect(await tablesInUse(location)).toBeUndefined()
    await writeFile(join(location, '000999.ldb'), new Uint8Array(100))
    expect(await damagesOf(location)).toMatchObject([{ isInUse: true }])
  })
})

/** Level, number, size, first key, last key. */
function newTableEntry(number: number, keyBytes: number): Uint8Array {
  const length = encodeVarint(keyBytes)
  return joinBytes([Uint8Array.of(7, 0, number, 1), length, new Uint8Array(keyBytes), Uint8Array.of(0)])
}

/** What LevelDB writes: pages of 32 KiB, the last 6 bytes of which hold no head. */
function logOf(entries: readonly Uint8Array[]): Uint8Array {
  const parts: Uint8Array[] = []
  let left = 32_768
  for (const entry of entries) {
    for (let at = 0, isFirst = true; isFirst || at < entry.length; isFirst = false) {
      if (left < 7) {
        parts.push(new Uint8Array(left))
        left = 32_768
      }
      const part = entry.subarray(at, at + left - 7)
      at += part.length
      const isLast = at === entry.length
      const typed = joinBytes([Uint8Array.of(isFirst ? (isLast ? 1 : 2) : isLast ? 4 : 3), part])
      const head = Buffer.alloc(6)
      head.writeUInt32LE(masked(checksumOf(typed)))
      head.writeUInt16LE(part.length, 4)
      parts.push(head, typed)
      left -= 7 + part.length
    }
  }
  return joinBytes(parts)
}
