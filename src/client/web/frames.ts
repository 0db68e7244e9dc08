/**
 * Frames of gRPC-Web: a flag, the length in 4 bytes, the payload.
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md
 */
import { concatBytes, EMPTY_BYTES, textOfUtf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { Outcome } from '../failure.ts'

const PREFIX_BYTES = 5
const MESSAGE = 0
const TRAILERS = 0x80
/** Largest message taken: four times the largest document, and replies are filled far less than that. */
const MAX_MESSAGE_BYTES = 16 * 1024 * 1024
/** Status UNKNOWN of gRPC. */
const UNKNOWN = 2

export function frameOf(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(PREFIX_BYTES + message.length)
  new DataView(frame.buffer).setUint32(1, message.length)
  frame.set(message, PREFIX_BYTES)
  return frame
}

/** Takes a response apart that comes in chunks. */
export class FrameReader {
  #rest: Uint8Array = EMPTY_BYTES
  /** Chunks behind the rest, joined when a frame is whole. */
  #chunks: Uint8Array[] = []
  #bytes = 0
  #needed = PREFIX_BYTES
  #headers: ReadonlyMap<string, string> = new Map()

  /** The messages that are whole now. Throws TOO_LARGE, BAD_MESSAGE. */
  push(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    if (this.#bytes < this.#needed) return []
    let rest = concatBytes(this.#rest, ...this.#chunks)
    this.#chunks = []
    const messages: Uint8Array[] = []
    for (let end = this.#endOfFrame(rest); end <= rest.length; end = this.#endOfFrame(rest)) {
      const payload = rest.subarray(PREFIX_BYTES, end)
      if (rest[0] === MESSAGE) messages.push(payload)
      else this.#headers = parseHeaders(payload)
      rest = rest.subarray(end)
    }
    this.#rest = rest
    this.#bytes = rest.length
    return messages
  }

  /** How the call ended, by the last headers; `undefined` if it was broken off. */
  get outcome(): Outcome | undefined {
    return this.#bytes > 0 ? undefined : outcomeOf((name) => this.#headers.get(name))
  }

  #endOfFrame(bytes: Uint8Array): number {
    this.#needed = PREFIX_BYTES
    if (bytes.length < PREFIX_BYTES) return Number.POSITIVE_INFINITY
    if (bytes[0] !== MESSAGE && bytes[0] !== TRAILERS)
      throw new ThreadsError('BAD_MESSAGE', 'the answer is not gRPC-Web')
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1)
    if (length > MAX_MESSAGE_BYTES) {
      throw new ThreadsError('TOO_LARGE', `a reply has ${length} bytes, at most ${MAX_MESSAGE_BYTES} are taken`)
    }
    this.#needed = PREFIX_BYTES + length
    return this.#needed
  }
}

/** The outcome that headers tell; `undefined` if they do not. */
export function outcomeOf(header: (name: string) => string | null | undefined): Outcome | undefined {
  const status = header('grpc-status')
  if (status === null || status === undefined) return undefined
  return {
    status: /^\d{1,3}$/.test(status) ? Number(status) : UNKNOWN,
    text: decoded(header('grpc-message') ?? ''),
    code: header('threads-error-code') ?? undefined,
    hint: decoded(header('threads-error-hint') ?? '') || undefined,
  }
}

function parseHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const line of textOfUtf8(block).split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) headers.set(line.slice(0, colon).trim().toLowerCase(), line.slice(colon + 1).trim())
  }
  return headers
}

/** Texts are percent-encoded. One that is not is shown as it came. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
