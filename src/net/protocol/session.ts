import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type OutgoingHttpHeaders,
} from 'node:http2'
import type { Duplex } from 'node:stream'
import type { AbortOptions } from '../../core/abort.ts'
import type { PeerId } from '../../core/peer-id.ts'
import { MAX_MESSAGE_BYTES, MAX_PEER_CALLS, SESSION_IDLE_MS } from './constants.ts'
import { type FrameStream, framed, messagesIn } from './frame-stream.ts'
import { SessionSocket } from './session-socket.ts'
import { Status, StatusError } from './status.ts'

/** Bytes a peer may send ahead in one call. */
const STREAM_WINDOW_BYTES = 1024 * 1024
/** Of requests and replies under way. Node refuses calls beyond; how many there are is limited by those who call. */
const MAX_SESSION_MIB = 256
/** Compression flag and length before each message. */
const FRAME_HEADER_BYTES = 5

export interface CallOptions extends AbortOptions {
  readonly timeoutMs: number
  /** Larger replies are refused, before they are read. */
  readonly maxReplyBytes: number
}

/** One HTTP/2 session over a stream to a peer, for gRPC calls. Closes itself when it is not used. */
export class PeerSession {
  readonly #session: ClientHttp2Session
  readonly #socket: SessionSocket
  readonly #peer: PeerId

  constructor(stream: Duplex, peer: PeerId) {
    this.#socket = new SessionSocket(stream, { isServer: false, onGone: () => this.#session.destroy() })
    this.#peer = peer
    this.#session = connect(`http://${peer}`, {
      createConnection: () => this.#socket,
      maxSessionMemory: MAX_SESSION_MIB,
      // Until the peer says how many: a peer of this implementation refuses more, even before it has said so.
      peerMaxConcurrentStreams: MAX_PEER_CALLS,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW_BYTES },
    })
    // Calls under way hear of it; without them there is nobody to tell.
    this.#session.on('error', () => {})
    this.#session.on('connect', () => {
      // The peer may have ended it before.
      if (this.usable) this.#session.setLocalWindowSize(MAX_MESSAGE_BYTES)
    })
    this.#session.setTimeout(SESSION_IDLE_MS, () => this.close())
  }

  get usable(): boolean {
    return !this.#session.closed && !this.#session.destroyed
  }

  /** No new calls; those under way go on. */
  close(): void {
    if (this.usable) this.#session.close()
  }

  /** Ends all calls. */
  destroy(): void {
    this.#socket.abandon()
  }

  /** Throws StatusError with the peer's status; `unavailable` if it went away, `deadlineExceeded` if it was too slow. */
  call(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    options.signal?.throwIfAborted()
    if (!this.usable) return Promise.reject(new StatusError(Status.unavailable, 'the connection is closed'))
    const stream = this.#request(path, { 'grpc-timeout': `${options.timeoutMs}m` })
    stream.end(framed(request))
    return readReply(stream, options)
  }

  /** Opens a stream in both directions. Throws StatusError `unavailable` if the session is over. */
  stream(path: string): FrameStream {
    if (!this.usable) throw new StatusError(Status.unavailable, 'the connection is closed')
    return new OpenedStream(this.#request(path))
  }

  #request(path: string, headers: OutgoingHttpHeaders = {}): ClientHttp2Stream {
    return this.#session.request({
      ':method': 'POST',
      ':path': path,
      ':authority': this.#peer,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
  }
}

/** This end of a stream that was opened here. */
class OpenedStream implements FrameStream {
  readonly #stream: ClientHttp2Stream
  #status: StatusError | 'ok' | undefined

  constructor(stream: ClientHttp2Stream) {
    this.#stream = stream
    const note = (headers: IncomingHttpHeaders & IncomingHttpStatusHeader): void => {
      this.#status ??= statusOfHeaders(headers)
    }
    stream
      .on('response', note)
      .on('trailers', note)
      .on('error', () => {})
  }

  get frames(): AsyncIterable<Uint8Array> {
    return this.#read()
  }

  async *#read(): AsyncGenerator<Uint8Array> {
    try {
      yield* messagesIn(this.#stream)
    } catch (error) {
      if (error instanceof StatusError) throw error
    } finally {
      this.end()
    }
    // What the peer says last may come after the end of what it sends.
    if (!this.#stream.closed) await new Promise((resolve) => this.#stream.once('close', resolve))
    if (this.#status !== 'ok') throw this.#status ?? new StatusError(Status.unavailable, 'the connection ended')
  }

  send(message: Uint8Array): Promise<void> {
    if (this.#stream.destroyed || this.#stream.closed) return Promise.resolve()
    return new Promise((resolve) => void this.#stream.write(framed(message), () => resolve()))
  }

  end(): void {
    if (!this.#stream.closed) this.#stream.close(constants.NGHTTP2_CANCEL)
  }
}

function readReply(stream: ClientHttp2Stream, { signal, timeoutMs, maxReplyBytes }: CallOptions): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const reply = new ReplyReader(maxReplyBytes)
    let status: StatusError | 'ok' | undefined
    const finish = (outcome: () => void): void => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      outcome()
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
    }
    const fail = (error: unknown): void => finish(() => reject(error))
    const onAbort = (): void => fail(signal?.reason)
    const onTimeout = (): void => fail(new StatusError(Status.deadlineExceeded, `no answer within ${timeoutMs} ms`))
    const timer = setTimeout(onTimeout, timeoutMs)
    signal?.addEventListener('abort', onAbort, { once: true })
    stream.on('response', (headers) => {
      status = statusOfHeaders(headers)
    })
    stream.on('trailers', (trailers) => {
      status = statusOfHeaders(trailers)
    })
    stream.on('data', (chunk: Buffer) => {
      const fault = reply.push(chunk)
      if (fault !== undefined) fail(fault)
    })
    stream.on('error', () => {})
    stream.on('close', () => {
      if (status === undefined) fail(new StatusError(Status.unavailable, 'the connection ended'))
      else if (status !== 'ok') fail(status)
      else {
        const message = reply.message()
        if (message === undefined) fail(new StatusError(Status.internal, 'the reply is not one whole message'))
        else finish(() => resolve(message))
      }
    })
  })
}

/** The status in headers or trailers, if it is there. */
function statusOfHeaders(headers: IncomingHttpHeaders & IncomingHttpStatusHeader): StatusError | 'ok' | undefined {
  const code = headers['grpc-status']
  if (typeof code !== 'string') {
    const http = headers[':status']
    if (http === undefined || http === 200) return undefined
    return new StatusError(Status.unavailable, `HTTP status ${http}`)
  }
  const status = Number.parseInt(code, 10)
  if (status === Status.ok) return 'ok'
  const text = headers['grpc-message']
  return new StatusError(status, typeof text === 'string' ? percentDecoded(text) : '')
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** Collects the frame of one message. */
class ReplyReader {
  readonly #maxBytes: number
  readonly #chunks: Buffer[] = []
  #received = 0

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  /** Takes a part. Answers what is wrong with the frame, as soon as that can be seen. */
  push(chunk: Buffer): StatusError | undefined {
    this.#chunks.push(chunk)
    this.#received += chunk.length
    const length = this.#length()
    if (length === undefined) return undefined
    if (length > this.#maxBytes) {
      return new StatusError(Status.resourceExhausted, `reply of ${length} bytes, at most ${this.#maxBytes} are taken`)
    }
    if (this.#received <= FRAME_HEADER_BYTES + length) return undefined
    return new StatusError(Status.internal, 'more than one message in the reply')
  }

  /** The message, if exactly one uncompressed message has come. */
  message(): Uint8Array | undefined {
    const length = this.#length()
    if (length === undefined || this.#received !== FRAME_HEADER_BYTES + length) return undefined
    const frame = Buffer.concat(this.#chunks)
    return frame[0] === 0 ? frame.subarray(FRAME_HEADER_BYTES) : undefined
  }

  #length(): number | undefined {
    if (this.#received < FRAME_HEADER_BYTES) return undefined
    const [first] = this.#chunks
    if (first !== undefined && first.length >= FRAME_HEADER_BYTES) return first.readUInt32BE(1)
    return Buffer.concat(this.#chunks).readUInt32BE(1)
  }
}
