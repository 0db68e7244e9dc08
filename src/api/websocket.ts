import { status } from '@grpc/grpc-js'
import type { Duplex } from 'node:stream'
import type { RawData, WebSocket } from 'ws'
import type { Clock } from '../core/clock.ts'
import { Cancellation } from './cancellation.ts'
import type { CallAccount, CallLedger } from './call-ledger.ts'
import { RpcError, TOO_MANY_CALLS } from './errors.ts'
import { headersFrame, messageFrame, messagesOf, statusTrailers } from './frames.ts'
import { RequestQueue } from './request-queue.ts'
import type { Router } from './router.ts'

/** Subprotocol of the transport of @improbable-eng/grpc-web: one call a socket. */
export const WEBSOCKET_PROTOCOL = 'grpc-websockets'

/** First byte of what the client sends after the headers. */
const DATA = 0
const HALF_CLOSE = 1
/** Of a ping or pong of a client. */
const CONTROL_HEADER_BYTES = 6
const CLOSE_NORMAL = 1000
const CLOSE_PROTOCOL_ERROR = 1002
const MAX_HEADER_BYTES = 64 * 1024
/** Pings without an answer, or without a call, after which a client counts as gone. */
const MAX_UNANSWERED_PINGS = 12
const RESPONSE_HEADERS = { 'content-type': 'application/grpc+proto', trailer: 'Grpc-Status' }

export interface WebSocketOptions {
  readonly clock: Clock
  readonly ledger: CallLedger
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
  { socket, connection, path }: { socket: WebSocket; connection: Duplex; path: string },
  options: WebSocketOptions,
): void {
  const cancellation = new Cancellation()
  const account = options.ledger.open(connection, () => socket.terminate())
  // Followed by a close.
  socket.on('error', () => {})
  if (account === undefined) {
    void refuse(socket)
    return
  }
  const queue = new RequestQueue({
    account,
    maxBytes: options.maxMessageBytes,
    onFull: () => socket.pause(),
    onEmpty: () => socket.resume(),
  })
  countUnread(connection, { socket, account })
  let headers: ReadonlyMap<string, string> | undefined
  const stopPings = startPings(socket, { ...options, hasBegun: () => headers !== undefined })

  socket.on('close', () => {
    stopPings()
    cancellation.cancel()
    queue.fail(cancellation.signal.reason)
    account.close()
  })
  socket.on('message', (data: RawData, isBinary: boolean) => {
    const message = bytesOf(data)
    if (!isBinary) {
      socket.close(CLOSE_PROTOCOL_ERROR, 'text message')
    } else if (headers !== undefined) {
      receive(message, { socket, queue })
    } else if (message.length > MAX_HEADER_BYTES) {
      socket.close(CLOSE_PROTOCOL_ERROR, 'headers too large')
    } else {
      headers = parseHeaders(message)
      cancellation.startDeadline(headers.get('grpc-timeout'), options.clock)
      const requests = messagesOf(queue, { maxMessageBytes: options.maxMessageBytes, account })
      void answer(router, { socket, path, headers, requests, account, cancellation })
    }
  })
}

interface WebSocketCall {
  readonly socket: WebSocket
  readonly path: string
  readonly headers: ReadonlyMap<string, string>
  readonly requests: AsyncIterable<Uint8Array>
  readonly account: CallAccount
  readonly cancellation: Cancellation
}

async function answer(router: Router, call: WebSocketCall): Promise<void> {
  const { socket, path, headers, requests, account, cancellation } = call
  let begun = false
  const failure = await router.serve({
    path,
    metadata: (name) => headers.get(name),
    signal: cancellation.signal,
    hold: (bytes) => account.add(bytes),
    connection: socket,
    requests,
    send: async (reply) => {
      if (!begun) await send(socket, headersFrame(RESPONSE_HEADERS))
      begun = true
      account.add(reply.length)
      await send(socket, messageFrame(reply))
      account.add(-reply.length)
    },
  })
  cancellation.release()
  // Clients take a single frame of headers for a response that is over.
  const trailers = statusTrailers(failure)
  await send(socket, headersFrame(begun ? trailers : { ...RESPONSE_HEADERS, ...trailers }))
  // Clients report the status when the socket closes.
  socket.close(CLOSE_NORMAL, 'request body closed')
}

function receive(message: Uint8Array, { socket, queue }: { socket: WebSocket; queue: RequestQueue }): void {
  if (message[0] === DATA) queue.push(message.subarray(1))
  else if (message[0] === HALF_CLOSE) queue.end()
  else socket.close(CLOSE_PROTOCOL_ERROR, 'unknown message')
}

/** Ends a call that is one too many, before anything of it is read. */
async function refuse(socket: WebSocket): Promise<void> {
  const trailers = statusTrailers(new RpcError(status.RESOURCE_EXHAUSTED, TOO_MANY_CALLS))
  await send(socket, headersFrame({ ...RESPONSE_HEADERS, ...trailers }))
  socket.close(CLOSE_NORMAL, 'request body closed')
}

/** Counts what came of a message that is not whole yet. Each event tells how much of it is read. */
function countUnread(connection: Duplex, { socket, account }: { socket: WebSocket; account: CallAccount }): void {
  let unread = 0
  let lastChunk = 0
  function set(bytes: number): void {
    account.add(bytes - unread)
    unread = bytes
  }
  connection.on('data', (chunk: Buffer) => {
    lastChunk = chunk.length
    set(unread + chunk.length)
  })
  // Behind a whole message there is at most the rest of the last chunk.
  socket.on('message', (data: RawData) => set(Math.max(0, Math.min(lastChunk, unread - bytesOf(data).length))))
  for (const name of ['ping', 'pong'] as const) {
    socket.on(name, (data: Buffer) => set(Math.max(0, unread - CONTROL_HEADER_BYTES - data.length)))
  }
}

/** Lines `name: value`. Of several values of a name the first counts; what is no such line is passed over. */
export function parseHeaders(block: Uint8Array): ReadonlyMap<string, string> {
  const headers = new Map<string, string>()
  for (const line of Buffer.from(block).toString('latin1').split('\r\n')) {
    const colon = line.indexOf(':')
    const name = line.slice(0, Math.max(colon, 0)).trim().toLowerCase()
    if (name !== '' && !headers.has(name)) headers.set(name, line.slice(colon + 1).trimStart())
  }
  return headers
}

/** Keeps proxies from closing a silent socket, and notices clients that are gone. Returns what ends it. */
function startPings(
  socket: WebSocket,
  { clock, keepAliveIntervalMs, hasBegun }: WebSocketOptions & { hasBegun: () => boolean },
): () => void {
  let unanswered = 0
  let sent = 0
  let cancelTimer = clock.after(keepAliveIntervalMs, ping)
  socket.on('pong', () => {
    unanswered = 0
  })

  function ping(): void {
    if (unanswered >= MAX_UNANSWERED_PINGS) return socket.terminate()
    if (sent >= MAX_UNANSWERED_PINGS && !hasBegun()) return socket.terminate()
    unanswered++
    sent++
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
