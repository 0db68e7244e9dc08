import { status } from '@grpc/grpc-js'
import { joinBytes, utf8 } from '../core/bytes.ts'
import { RpcError, tooLarge } from './errors.ts'

/**
 * Frames of gRPC-Web: a flag, the length in 4 bytes, the payload.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
const PREFIX_BYTES = 5
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
  #chunks: Uint8Array[] = []
  #bytes = 0
  /** Bytes there must be before anything more can be read. */
  #needed = PREFIX_BYTES

  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes
  }

  /** The messages that are complete now. Throws for one that is too large as soon as its length is known. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#needed) return []
    const bytes = joinBytes(this.#chunks)
    const messages: Uint8Array[] = []
    let offset = 0
    let end = this.#endOfFrame(bytes, offset)
    while (end <= bytes.length) {
      messages.push(bytes.subarray(offset + PREFIX_BYTES, end))
      offset = end
      end = this.#endOfFrame(bytes, offset)
    }
    this.#chunks = [bytes.subarray(offset)]
    this.#bytes = bytes.length - offset
    this.#needed = end - offset
    return messages
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

function frame(flag: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(PREFIX_BYTES + payload.length)
  bytes[0] = flag
  new DataView(bytes.buffer).setUint32(1, payload.length)
  bytes.set(payload, PREFIX_BYTES)
  return bytes
}
