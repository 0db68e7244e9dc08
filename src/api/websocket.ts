import type { RawData, WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import { Cancellation } from './cancellation.ts'
import { FrameReader, headersFrame, messageFrame, statusTrailers } from './frames.ts'
import { RequestQueue } from './request-queue.ts'
import type { Router } from './router.ts'

/** Subprotocol of the transport of @improbable-eng/grpc-web: one call a socket. */
export const WEBSOCKET_PROTOCOL = 'grpc-websockets'

/** First byte of what the client sends after the headers. */
const DATA = 0
const HALF_CLOSE = 1
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002
const MAX_HEADER_BYTES = 64 * 1024
/** Pings without an answer after which a client counts as gone. */
const MAX_UNANSWERED_PINGS = 12
const RESPONSE_HEADERS = { 'content-type': 'application/grpc+proto', trailer: 'Grpc-Status' }

export interface WebSocketOptions {
  readonly clock: Clock
  readonly maxMessageBytes: number
  readonly keepAliveIntervalMs: number
}

/**
 * Answers the call a socket was opened for. The client sends its headers as one message, then frames, then the byte
 * that closes its side. A socket that closes before that is a cancelled call: it never counts as a half-close, so what a
 * client that crashed had begun is not committed.
 */
export function serveWebSocket(
  router: Router,
  { socket, path }: { socket: WebSocket; path: string },
  options: WebSocketOptions,
): void {
  const cancellation = new Cancellation()
  const queue = new RequestQueue({
    maxBytes: options.maxMessageBytes,
    onFull: () => socket.pause(),
    onEmpty: () => socket.resume(),
  })
  const reader = new FrameReader(options.maxMessageBytes)
  const stopPings = startPings(socket, options)
  let headers: ReadonlyMap<string, string> | undefined

  socket.on('close', () => {
    stopPings()
    cancellation.cancel()
    queue.fail(cancellation.signal.reason)
  })
  // Followed by a close.
  socket.on('error', () => {})
  socket.on('message', (data: RawData, isBinary: boolean) => {
    const message = bytesOf(data)
    if (!isBinary) {
      socket.close(CLOSE_PROTOCOL_ERROR, 'text message')
    } else if (headers !== undefined) {
      receive(message, { socket, queue, reader })
    } else if (message.length > MAX_HEADER_BYTES) {
      socket.close(CLOSE_PROTOCOL_ERROR, 'headers too large')
    } else {
      headers = parseHeaders(message)
      cancellation.startDeadline(headers.get('grpc-timeout'), options.clock)
      void answer(router, { socket, path, headers, queue, cancellation })
    }
  })
}

interface WebSocketCall {
  readonly socket: WebSocket
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly queue: RequestQueue
  readonly cancellation: Cancellation
}

async function answer(router: Router, { socket, path, headers, queue, cancellation }: WebSocketCall): Promise<void> {
  let begun = false
  const failure = await router.serve({
    path,
    metadata: (name) => headers.get(name),
    signal: cancellation.signal,
    requests: queue,
    send: async (reply) => {
      if (!begun) await send(socket, headersFrame(RESPONSE_HEADERS))
      begun = true
      await send(socket, messageFrame(reply))
    },
  })
  cancellation.release()
  // Clients take a single frame of headers for a response that is over.
  const trailers = statusTrailers(failure)
  await send(socket, headersFrame(begun ? trailers : { ...RESPONSE_HEADERS, ...trailers }))
  // Clients report the status when the socket closes.
  socket.close(CLOSE_NORMAL, 'request body closed')
}

function receive(
  message: Uint8Array,
  { socket, queue, reader }: { socket: WebSocket; queue: RequestQueue; reader: FrameReader },
): void {
  try {
    if (message[0] === DATA) {
      for (const request of reader.push(message.subarray(1))) queue.push(request)
    } else if (message[0] === HALF_CLOSE) {
      reader.end()
      queue.end()
    } else {
      socket.close(CLOSE_PROTOCOL_ERROR, 'unknown message')
    }
  } catch (error) {
    queue.fail(error)
  }
}

/** Lines `name: value`. Of several values of a name the first counts; what is no such line is passed over. */
function parseHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const line of Buffer.from(block).toString('latin1').split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase()
    if (name !== '' && !headers.has(name)) headers.set(name, line.slice(colon + 1).trimStart())
  }
  return headers
}

/** Keeps proxies from closing a silent socket, and notices clients that are gone. Returns what ends it. */
function startPings(socket: WebSocket, { clock, keepAliveIntervalMs }: WebSocketOptions): () => void {
  let unanswered = 0
  let cancelTimer = clock.after(keepAliveIntervalMs, ping)
  socket.on('pong', () => {
    unanswered = 0
  })

  function ping(): void {
    if (unanswered >= MAX_UNANSWERED_PINGS) return socket.terminate()
    unanswered++
    socket.ping()
    cancelTimer = clock.after(keepAliveIntervalMs, ping)
  }

  return () => cancelTimer()
}

/** Resolves when the bytes are on their way, or never will be. */
function send(socket: WebSocket, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    socket.send(bytes, () => resolve())
  })
}

function bytesOf(data: RawData): Uint8Array {
  if (Array.isArray(data)) return Buffer.concat(data)
  return data instanceof ArrayBuffer ? new Uint8Array(data) : data
}
