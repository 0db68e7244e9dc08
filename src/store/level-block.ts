/**
 * Blocks, of which a table of LevelDB consists (its `doc/table_format.md`): contents, a byte that tells how they are
 * compressed, and a checksum of both. LevelDB itself does not look at the checksum when it reads a block.
 */
import { uncompress } from 'snappyjs'
import { ThreadsError } from '../core/errors.ts'
import { LevelReader, maskedChecksum, readUint32 } from './level-bytes.ts'

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
/** A row has 4 MiB at most, and few rows share a block; an index has some 30 bytes a block. */
export const MAX_BLOCK_BYTES: number = 64 * 1024 * 1024

const PLAIN_TYPE = 0
const CHECKSUM_BYTES = 4

export function endOf({ offset, size }: BlockHandle): number {
  return offset + size + TRAILER_BYTES
}

export function readHandle(reader: LevelReader): BlockHandle {
  return { offset: reader.number(), size: reader.number() }
}

/** Whether a block with its trailer is what was written. */
export function isIntact(block: Uint8Array): boolean {
  const checked = block.subarray(0, -CHECKSUM_BYTES)
  return maskedChecksum(checked) === readUint32(block, checked.length)
}

/** Whether LevelDB does not use the block. */
export function isUnused(block: Uint8Array): boolean {
  return typeOf(block) === UNUSED_TYPE
}

/** The handles that an intact block holds as values, in order. Throws STORE_CORRUPT if it holds something else. */
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
  if (end < 0) throw new ThreadsError('STORE_CORRUPT', 'a block of LevelDB has no end')
  return contents.subarray(0, end)
}

function contentsOf(block: Uint8Array): Uint8Array {
  const contents = block.subarray(0, -TRAILER_BYTES)
  if (typeOf(block) === PLAIN_TYPE) return contents
  try {
    return uncompress(contents, MAX_BLOCK_BYTES)
  } catch (cause) {
    throw new ThreadsError('STORE_CORRUPT', 'a block of LevelDB cannot be decompressed', { cause })
  }
}

function typeOf(block: Uint8Array): number {
  return block.at(-TRAILER_BYTES) ?? UNUSED_TYPE
}
