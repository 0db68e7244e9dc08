import { MAX_MESSAGE_BYTES } from './constants.ts'
import { Status, StatusError } from './status.ts'

/** Messages in both directions over one call. */
export interface FrameStream {
  /**
   * What the peer sends; the next one is read when it is asked for. Ends when the stream has ended. Throws StatusError if
   * the peer refuses the call, or went away. To be read once.
   */
  readonly frames: AsyncIterable<Uint8Array>
  /** Resolves when the message was handed on, or the stream is over. One at a time. */
  send(message: Uint8Array): Promise<void>
  /** Ends both directions. `status` is what a peer that opened the stream hears. */
  end(status?: StatusError): void
}

/** Compression flag and length before each message. */
const HEADER_BYTES = 5

/** A message as it goes over a gRPC call, in one piece: tiny frames of HTTP/2 look like an attack. */
export function framed(message: Uint8Array): Buffer {
  const frame = Buffer.alloc(HEADER_BYTES + message.length)
  frame.writeUInt32BE(message.length, 1)
  frame.set(message, HEADER_BYTES)
  return frame
}

/** The messages in the bytes of a gRPC call. Throws StatusError for what is none, or too large. */
export async function* messagesIn(chunks: AsyncIterable<Buffer>): AsyncGenerator<Uint8Array> {
  let held: Buffer[] = []
  let length = 0
  let size: number | undefined
  for await (const chunk of chunks) {
    held.push(chunk)
    length += chunk.length
    while (length >= HEADER_BYTES + (size ?? 0)) {
      const bytes = held.length === 1 && held[0] !== undefined ? held[0] : Buffer.concat(held)
      held = [bytes]
      if (size === undefined) {
        size = messageSize(bytes)
        continue
      }
      const end = HEADER_BYTES + size
      yield bytes.subarray(HEADER_BYTES, end)
      held = length === end ? [] : [bytes.subarray(end)]
      length -= end
      size = undefined
    }
  }
}

function messageSize(head: Buffer): number {
  const size = head.readUInt32BE(1)
  if (head[0] !== 0) throw new StatusError(Status.internal, 'a message is compressed')
  if (size > MAX_MESSAGE_BYTES) throw new StatusError(Status.resourceExhausted, `a message of ${size} bytes`)
  return size
}
