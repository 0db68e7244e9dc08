import { status } from '@grpc/grpc-js'
import { EMPTY_BYTES, utf8 } from '../core/bytes.ts'
import type { CallAccount } from './call-ledger.ts'
import { RpcError, tooLarge } from './errors.ts'

/**
 * Frames of gRPC-Web: a flag, the length in 4 bytes, the payload.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
export const PREFIX_BYTES = 5
const MESSAGE = 0x00
const HEADERS = 0x80

export function messageFrame(message: Uint8Array): Uint8Array {
  return frame(MESSAGE, message)
}

/** Headers, or the trailers that end a response. */
export function headersFrame(headers: Readonly<Record<string, string>>): Uint8Array {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
  return frame(HEADERS, utf8(lines.join('')))
}

/** The status of a call as trailers; OK without an error. */
export function statusTrailers(error: RpcError | undefined): Record<string, string> {
  if (error === undefined) return { 'grpc-status': '0' }
  return { 'grpc-status': String(error.code), 'grpc-message': encodeURI(error.message), ...error.trailers }
}

/** Puts messages together from the chunks they came in. */
export class FrameReader {
  readonly #maxMessageBytes: number
  /** Holds what came of the next frame in its first `#bytes`. In one piece: a piece a chunk would take many times more. */
  #buffer: Uint8Array = EMPTY_BYTES
  #bytes = 0
  /** Bytes there must be before anything more can be read. */
  #needed = PREFIX_BYTES

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** The messages that are complete now. Throws for one that is too large as soon as its length is known. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#append(chunk)
    if (this.#bytes < this.#needed) return []
    const bytes = this.#buffer.subarray(0, this.#bytes)
    const messages: Uint8Array[] = []
    let offset = 0
    let end = this.#endOfFrame(bytes, offset)
    while (end <= bytes.length) {
      messages.push(bytes.subarray(offset + PREFIX_BYTES, end))
      offset = end
      end = this.#endOfFrame(bytes, offset)
    }
    this.#buffer = EMPTY_BYTES
    this.#bytes = 0
    this.#append(bytes.subarray(offset))
    this.#needed = end - offset
    return messages
  }

  /** Makes room for what has come and as much again: a length that was only claimed takes nothing. */
  #append(chunk: Uint8Array): void {
    const bytes = this.#bytes + chunk.length
    if (bytes > this.#buffer.length) {
      const larger = new Uint8Array(this.#bytes === 0 ? bytes : 2 * bytes)
      larger.set(this.#buffer.subarray(0, this.#bytes))
      this.#buffer = larger
    }
    this.#buffer.set(chunk, this.#bytes)
    this.#bytes = bytes
  }

  /** Throws if a message has begun and not ended. */
  end(): void {
    if (this.#bytes > 0) throw new RpcError(status.INTERNAL, 'unexpected EOF')
  }

  /** Where the frame that begins at `offset` ends, or its prefix, if that is not complete. */
  #endOfFrame(bytes: Uint8Array, offset: number): number {
    if (bytes.length - offset < PREFIX_BYTES) return offset + PREFIX_BYTES
    if (bytes[offset] !== MESSAGE) throw new RpcError(status.UNIMPLEMENTED, 'compressed messages are not supported')
    const length = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength).getUint32(offset + 1)
    if (length > this.#maxMessageBytes) throw tooLarge(length, this.#maxMessageBytes)
    return offset + PREFIX_BYTES + length
  }
}

/** Bytes read at once: of the smallest messages there are thousands in them, each many times its size. */
const MAX_STEP_BYTES = 16 * 1024

/**
 * The messages in a body that comes in chunks. Its bytes count in the account from when they come, those of a message
 * until the next one is asked for.
 */
export async function* messagesOf(
  body: AsyncIterable<Uint8Array>,
  { maxMessageBytes, account }: { maxMessageBytes: number; account: CallAccount },
): AsyncGenerator<Uint8Array> {
  const reader = new FrameReader(maxMessageBytes)
  for await (const chunk of body) {
    account.add(chunk.length)
    for (let offset = 0; offset < chunk.length; offset += MAX_STEP_BYTES) {
      for (const message of reader.push(chunk.subarray(offset, offset + MAX_STEP_BYTES))) {
        yield message
        account.add(-(PREFIX_BYTES + message.length))
      }
    }
  }
  reader.end()
}

function frame(flag: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES + payload.length)
  bytes[0] = flag
  new DataView(bytes.buffer).setUint32(1, payload.length)
  bytes.set(payload, PREFIX_BYTES)
  return bytes
}
