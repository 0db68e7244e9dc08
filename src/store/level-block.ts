/**
 * Blocks, of which a table of LevelDB consists (its `doc/table_format.md`): contents, a byte that tells how they are
 * compressed, and a checksum of both. LevelDB itself does not look at the checksum when it reads a block.
 */
import { uncompress } from 'snappyjs'
import { ThreadsError } from '../core/errors.ts'
import { LevelReader, readUint32 } from './level-bytes.ts'

/** Where a block is. */
export interface BlockHandle {
  readonly offset: number
  /** Without the trailer. */
  readonly size: number
}

/** The type and the checksum. */
export const TRAILER_BYTES = 5
/** A type that LevelDB does not know: it reads no block that has it, and says so. */
export const UNUSED_TYPE = 0xff
/** An index has some 30 bytes for a block of 4 kB. */
export const MAX_INDEX_BYTES: number = 64 * 1024 * 1024

const PLAIN_TYPE = 0

export function endOf({ offset, size }: BlockHandle): number {
  return offset + size + TRAILER_BYTES
}

export function readHandle(reader: LevelReader): BlockHandle {
  return { offset: reader.number(), size: reader.number() }
}

/** The handles that an intact block, given with its trailer, holds as values. STORE_CORRUPT if it holds something else. */
export function* readHandles(block: Uint8Array): Generator<BlockHandle> {
  const reader = new LevelReader(entriesOf(contentsOf(block)))
  while (!reader.atEnd) {
    // What a key has in common with the one before it is left out, and tells its length only.
    reader.number()
    const [keyBytes, valueBytes] = [reader.number(), reader.number()]
    reader.bytes(keyBytes)
    yield readHandle(new LevelReader(reader.bytes(valueBytes)))
  }
}

/** Behind the entries there are the places of some of them, and their number. */
function entriesOf(contents: Uint8Array): Uint8Array {
  const places = contents.length < 4 ? 0 : readUint32(contents, contents.length - 4)
  const end = contents.length - 4 * (places + 1)
  if (end < 0) throw new ThreadsError('STORE_CORRUPT', 'a block of it has no end')
  return contents.subarray(0, end)
}

function contentsOf(block: Uint8Array): Uint8Array {
  const contents = block.subarray(0, -TRAILER_BYTES)
  if (block.at(-TRAILER_BYTES) === PLAIN_TYPE) return contents
  try {
    return uncompress(contents, MAX_INDEX_BYTES)
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'a block of it cannot be decompressed', { cause })
  }
}
