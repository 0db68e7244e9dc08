/**
 * A backup in a file, or on its way through a pipe: a line that says what it is, then the messages of the RPC `Backup`. Each
 * has its length before it (4 bytes, big-endian), and behind it the SHA-256 of the digest before and the message. The
 * first digest is that of the line. So the last digest stands for the whole file, and damage shows where it is.
 */
import type { FileHandle } from 'node:fs/promises'
import { concatBytes, EMPTY_BYTES, equalBytes, toHex, utf8 } from '../../src/core/bytes.ts'
import { BackupReply } from '../../src/client/node/index.ts'
import { sha256 } from '../../src/core/crypto.ts'
import { ThreadsError } from '../../src/core/errors.ts'
import type { BackupFrame } from '../../src/net/index.ts'
import { ByteQueue } from './byte-queue.ts'

const MAGIC = utf8('threads backup 1\n')
const LENGTH_BYTES = 4
const DIGEST_BYTES = 32
const MIB = 1024 * 1024
/** Of a message. Records are few, or one; what a thread keeps with its row has no limit of its own. */
const MAX_RECORDS_BYTES = 5 * MIB
const MAX_THREAD_BYTES = 64 * MIB
/** First byte of a message that is a thread: field 2, with a length. */
const THREAD_TAG = 0x12

/** Where bytes go, one after the other. */
export interface ByteSink {
  write(bytes: Uint8Array): Promise<void>
}

export function fileSink(handle: FileHandle): ByteSink {
  return {
    async write(bytes) {
      await handle.writeFile(bytes)
    },
  }
}

/** Writes frames. */
export class BackupWriter {
  readonly #sink: ByteSink
  #digest: Uint8Array | undefined
  #bytes = 0

  constructor(sink: ByteSink) {
    this.#sink = sink
  }

  get bytes(): number {
    return this.#bytes
  }

  /** Of what was written; hexadecimal. */
  get digest(): string {
    return toHex(this.#digest ?? EMPTY_BYTES)
  }

  /** Throws TOO_LARGE for what could not be read again. */
  async write(frame: BackupFrame): Promise<void> {
    const message = BackupReply.encode({ frame }).finish()
    if (message.length > limitOf(message[0])) {
      throw new ThreadsError('TOO_LARGE', `a ${frame.$case} of ${message.length} bytes does not fit in a backup`)
    }
    const before = this.#digest ?? sha256(MAGIC)
    const digest = sha256(concatBytes(before, message))
    const length = new Uint8Array(LENGTH_BYTES)
    new DataView(length.buffer).setUint32(0, message.length)
    const start = this.#digest === undefined ? MAGIC : EMPTY_BYTES
    const bytes = concatBytes(start, length, message, digest)
    await this.#sink.write(bytes)
    this.#digest = digest
    this.#bytes += bytes.length
  }
}

/** A frame, and where it stands. */
export interface PlacedFrame {
  readonly frame: BackupFrame
  /** For messages: file and first byte. */
  readonly place: string
  /** See `BackupWriter.digest`. */
  readonly digest: string
}

/** The frames of a file called `name`, up to its end. Throws INVALID_BACKUP, which names file and place. */
export async function* readBackup(chunks: AsyncIterable<Uint8Array>, name: string): AsyncGenerator<PlacedFrame> {
  const queue = new ByteQueue(chunks)
  try {
    const magic = await queue.take(MAGIC.length)
    if (magic === undefined || !equalBytes(magic, MAGIC)) throw damaged(name, 'it is no backup')
    let digest = sha256(MAGIC)
    for (let ended = false; !ended; ) {
      const place = `${name}, byte ${queue.taken}`
      const { message, digest: stored } = await readMessage(queue, place)
      digest = sha256(concatBytes(digest, message))
      if (!equalBytes(stored, digest)) throw damaged(place, 'these are not the bytes that were written')
      const frame = decodeFrame(message, place)
      ended = frame.$case === 'end'
      yield { frame, place, digest: toHex(digest) }
    }
    if ((await queue.peek()) === undefined) return
    throw damaged(`${name}, byte ${queue.taken}`, 'there is something behind its end')
  } finally {
    await queue.close()
  }
}

async function readMessage(queue: ByteQueue, place: string): Promise<{ message: Uint8Array; digest: Uint8Array }> {
  const length = await queue.take(LENGTH_BYTES)
  const tag = await queue.peek()
  if (length === undefined || tag === undefined) throw damaged(place, 'it is cut short')
  const size = new DataView(length.buffer).getUint32(0)
  if (size > limitOf(tag)) throw damaged(place, 'a frame is larger than any may be')
  const message = await queue.take(size)
  const digest = await queue.take(DIGEST_BYTES)
  if (message === undefined || digest === undefined) throw damaged(place, 'it is cut short')
  return { message, digest }
}

function limitOf(tag: number | undefined): number {
  return tag === THREAD_TAG ? MAX_THREAD_BYTES : MAX_RECORDS_BYTES
}

function decodeFrame(message: Uint8Array, place: string): BackupFrame {
  let frame: BackupReply['frame']
  try {
    frame = BackupReply.decode(message).frame
  } catch (cause) {
    throw damaged(place, 'a frame cannot be read', cause)
  }
  if (frame === undefined) throw damaged(place, 'there is a frame of an unknown kind')
  return frame
}

export function damaged(place: string, what: string, cause?: unknown): ThreadsError {
  return new ThreadsError('INVALID_BACKUP', `${place}: ${what}`, cause === undefined ? {} : { cause })
}
