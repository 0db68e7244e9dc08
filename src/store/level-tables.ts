/**
 * Looks for damage in the tables of a LevelDB directory that nobody has open. LevelDB would take damaged blocks for good
 * ones: it reads other keys and values out of them, keys that it cannot order, and ends the process when it sees that.
 */
import { type FileHandle, open, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode, ThreadsError } from '../core/errors.ts'
import { type BlockHandle, endOf, MAX_INDEX_BYTES, readHandle, readHandles } from './level-block.ts'
import { TRAILER_BYTES, UNUSED_TYPE } from './level-block.ts'
import { checksumOf, LevelReader, masked, readUint32 } from './level-bytes.ts'
import { storeError } from './level-backend.ts'
import { tablesInUse } from './level-manifest.ts'

/** Something in a table that is not what was written. */
export interface TableDamage {
  /** The block that it is in. `undefined`: without it, LevelDB finds no other in the table. */
  readonly block: BlockHandle | undefined
  /** In a few words, behind the name of the file. */
  readonly what: string
}

export interface DamagedTable {
  readonly file: string
  /** One at least. */
  readonly damages: readonly TableDamage[]
  /** LevelDB deletes what it does not use, such as tables that a crash left behind, without reading it. */
  readonly isInUse: boolean
}

/** At the end of a table: the handles of its two indexes, with room, and a number that tells that it is one. */
const FOOTER_BYTES = 48
const MAGIC_BYTES = 8
const MAGIC = [0x8b80fb57, 0xdb477524] as const
const TABLE_NAME = /^(\d+)\.(ldb|sst)$/
const CHECKSUM_BYTES = 4
/** What is read from a file at once. */
const WINDOW_BYTES = 1024 * 1024

/** Looks at one table after the other. Throws STORE_FAILED if a file cannot be read. */
export async function* damagedTables(location: string): AsyncGenerator<DamagedTable> {
  const inUse = await tablesInUse(location)
  for (const file of (await readdir(location)).toSorted()) {
    const number = TABLE_NAME.exec(file)?.[1]
    if (number === undefined) continue
    const damages = await damagesOf(join(location, file))
    if (damages.length > 0) yield { file, damages, isInUse: inUse === undefined || inUse.has(Number(number)) }
  }
}

/** Lets LevelDB see the damages of a table for itself, so that its repair leaves out these blocks and nothing else. */
export async function exposeDamages(location: string, { file, damages }: DamagedTable): Promise<void> {
  await withFile(join(location, file), 'r+', async (handle) => {
    const { size } = await handle.stat()
    for (const { block } of damages) {
      if (block !== undefined) await handle.write(Uint8Array.of(UNUSED_TYPE), 0, 1, endOf(block) - TRAILER_BYTES)
      else if (size >= MAGIC_BYTES) await handle.write(new Uint8Array(MAGIC_BYTES), 0, MAGIC_BYTES, size - MAGIC_BYTES)
    }
    await handle.sync()
  })
}

function damagesOf(path: string): Promise<TableDamage[]> {
  return withFile(path, 'r', async (handle) => {
    const { size } = await handle.stat()
    const damages: TableDamage[] = []
    try {
      for await (const damage of new Table(handle, size).damages()) damages.push(damage)
      return damages
    } catch (error) {
      if (hasCode(error, 'STORE_CORRUPT')) return [{ block: undefined, what: error.message }]
      throw error
    }
  })
}

async function withFile<T>(path: string, flags: string, work: (handle: FileHandle) => Promise<T>): Promise<T> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, flags)
    return await work(handle)
  } catch (error) {
    throw storeError(error, path)
  } finally {
    await handle?.close()
  }
}

class Table {
  readonly #file: FileHandle
  readonly #bytes: number
  #window: Uint8Array = new Uint8Array()
  #windowStart = 0

  constructor(file: FileHandle, bytes: number) {
    this.#file = file
    this.#bytes = bytes
  }

  /** Throws STORE_CORRUPT if the blocks cannot be told apart. */
  async *damages(): AsyncGenerator<TableDamage> {
    const { metaindex, index } = await this.#footer()
    if (!(await this.#isIntact(index))) throw unreadable('its index is damaged')
    for (const handle of await this.#handlesIn(index, metaindex.offset)) {
      if (!(await this.#isIntact(handle))) yield damaged('block', handle)
    }
    yield* this.#damagesOfFilters(metaindex)
  }

  /** LevelDB does without these: filters save reading blocks. But one that is damaged hides keys that are there. */
  async *#damagesOfFilters(metaindex: BlockHandle): AsyncGenerator<TableDamage> {
    if (await this.#isUnused(metaindex)) return
    if (!(await this.#isIntact(metaindex))) return yield damaged('list of filters', metaindex)
    for (const handle of await this.#handlesIn(metaindex, metaindex.offset)) {
      if (!(await this.#isUnused(handle)) && !(await this.#isIntact(handle))) yield damaged('filter', handle)
    }
  }

  /** It has no checksum. But both indexes end the file, one behind the other. */
  async #footer(): Promise<{ metaindex: BlockHandle; index: BlockHandle }> {
    const start = this.#bytes - FOOTER_BYTES
    if (start < 0) throw unreadable('its end is missing')
    const footer = await this.#read(start, FOOTER_BYTES)
    if (MAGIC.some((word, i) => readUint32(footer, FOOTER_BYTES - MAGIC_BYTES + 4 * i) !== word)) {
      throw unreadable('its end is damaged or missing')
    }
    const reader = new LevelReader(footer)
    const [metaindex, index] = [readHandle(reader), readHandle(reader)]
    if (endOf(metaindex) !== index.offset || endOf(index) !== start) throw unreadable('its end is damaged')
    return { metaindex, index }
  }

  /** Whether a block is what was written. It may be of any size: a large document is one block. */
  async #isIntact(handle: BlockHandle): Promise<boolean> {
    const end = endOf(handle) - CHECKSUM_BYTES
    let checksum = 0
    for (let at = handle.offset; at < end; at += WINDOW_BYTES) {
      checksum = checksumOf(await this.#read(at, Math.min(WINDOW_BYTES, end - at)), checksum)
    }
    return masked(checksum) === readUint32(await this.#read(end, CHECKSUM_BYTES), 0)
  }

  async #isUnused(handle: BlockHandle): Promise<boolean> {
    const [type] = await this.#read(endOf(handle) - TRAILER_BYTES, 1)
    return type === UNUSED_TYPE
  }

  /** Those that an intact block holds. The blocks of all must be before `end`. */
  async #handlesIn(index: BlockHandle, end: number): Promise<Iterable<BlockHandle>> {
    if (index.size > MAX_INDEX_BYTES) throw unreadable('its index is too large')
    return within(end, readHandles(await this.#read(index.offset, index.size + TRAILER_BYTES)))
  }

  /** A view. */
  async #read(offset: number, length: number): Promise<Uint8Array> {
    const start = offset - this.#windowStart
    if (start >= 0 && start + length <= this.#window.length) return this.#window.subarray(start, start + length)
    this.#window = new Uint8Array(Math.min(Math.max(length, WINDOW_BYTES), this.#bytes - offset))
    this.#windowStart = offset
    for (let filled = 0; filled < this.#window.length; ) {
      const { bytesRead } = await this.#file.read(this.#window, filled, this.#window.length - filled, offset + filled)
      if (bytesRead === 0) throw unreadable('its end is missing')
      filled += bytesRead
    }
    return this.#window.subarray(0, length)
  }
}

/** Handles, none of which may be of a block that goes on behind `end`. */
function* within(end: number, handles: Iterable<BlockHandle>): Generator<BlockHandle> {
  for (const handle of handles) {
    if (endOf(handle) > end) throw unreadable('its index is damaged')
    yield handle
  }
}

function damaged(what: string, block: BlockHandle): TableDamage {
  return { block, what: `the ${what} at ${block.offset} is damaged` }
}

function unreadable(what: string): ThreadsError {
  return new ThreadsError('STORE_CORRUPT', what)
}
