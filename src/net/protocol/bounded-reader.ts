import { BinaryReader } from '@bufbuild/protobuf/wire'
import { ThreadsError } from '../../core/errors.ts'

/** Tags and lengths in one message. Enough for 5,000 logs with 16 addresses each, or 20,000 records. */
const MAX_VARINTS = 250_000

/**
 * A reader for a message of a peer. Two bytes can stand for an empty part, of which a value takes a hundred times as much,
 * and a message of 4 MiB holds two million. Decoders that get this reader throw TOO_LARGE after the limit.
 */
export function boundedReader(message: Uint8Array): BinaryReader {
  // Not a Buffer, whose slice() shares memory.
  const reader = new BinaryReader(new Uint8Array(message.buffer, message.byteOffset, message.byteLength))
  const readVarint = reader.uint32
  let left = MAX_VARINTS
  reader.uint32 = () => {
    if (left-- > 0) return readVarint.call(reader)
    throw new ThreadsError('TOO_LARGE', 'the message has too many parts')
  }
  return reader
}
