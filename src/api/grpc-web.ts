import { status } from '@grpc/grpc-js'
import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { Cancellation } from './cancellation.ts'
import type { Cors } from './cors.ts'
import type { CallAccount, CallLedger } from './call-ledger.ts'
import { RpcError, TOO_MANY_CALLS } from './errors.ts'
import { headersFrame, messageFrame, messagesOf, statusTrailers } from './frames.ts'
import type { Router } from './router.ts'

export interface GrpcWebOptions {
  readonly clock: Clock
  readonly cors: Cors
  readonly ledger: CallLedger
  readonly maxMessageBytes: number
}

export function isGrpcWeb({ method, headers }: IncomingMessage): boolean {
  return method === 'POST' && (headers['content-type'] ?? '').startsWith('application/grpc-web')
}

/** Answers a call of gRPC-Web over HTTP. All replies follow all requests: HTTP/1.1 cannot interleave them. */
export async function serveGrpcWeb(
  router: Router,
  { request, response, path }: { request: IncomingMessage; response: ServerResponse; path: string },
  { clock, cors, ledger, maxMessageBytes }: GrpcWebOptions,
): Promise<void> {
  const cancellation = new Cancellation()
  cancellation.startDeadline(headerOf(request, 'grpc-timeout'), clock)
  const { socket } = request
  const account = ledger.open(socket, () => socket.destroy())
  response.on('close', () => {
    cancellation.cancel()
    account?.close()
  })

  const contentType = headerOf(request, 'content-type') ?? ''
  const isText = contentType.startsWith('application/grpc-web-text')
  // Left early, the request is drained, not destroyed: its connection serves the next one.
  const chunks = request.iterator({ destroyOnReturn: false })
  const body = isText ? fromBase64(chunks) : chunks

  response.writeHead(200, { 'content-type': contentType, ...cors.headers(request.headers) })
  const serve = (held: CallAccount) =>
    router.serve({
      path,
      metadata: (name) => headerOf(request, name),
      signal: cancellation.signal,
      hold: (bytes) => held.add(bytes),
      connection: socket,
      requests: messagesOf(body, { maxMessageBytes, account: held }),
      send: async (reply) => {
        const frame = messageFrame(reply)
        held.add(frame.length)
        await writeTo(response, isText ? toBase64(frame) : frame, cancellation.signal)
        held.add(-frame.length)
      },
    })
  const failure = account === undefined ? new RpcError(status.RESOURCE_EXHAUSTED, TOO_MANY_CALLS) : await serve(account)
  cancellation.release()
  const trailers = headersFrame(statusTrailers(failure))
  response.end(isText ? toBase64(trailers) : trailers)
  // What is left of a request that was refused early: unread, it would hold up the next one of the connection.
  request.resume()
}

/** A base64 text that may be several, each with its padding, in chunks cut anywhere. */
export async function* fromBase64(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = ''
  for await (const chunk of chunks) {
    const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    const whole = text.length - (text.length % 4)
    rest = text.slice(whole)
    const parts = text.slice(0, whole).match(/[^=]+=*/g) ?? []
    // In one piece: a part may be of no byte at all, and would be handled as one all the same.
    yield Buffer.concat(parts.map((part) => Buffer.from(part, 'base64')))
  }
  if (rest !== '') yield Buffer.from(rest, 'base64')
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

/** Resolves when more can be written. A response whose client is gone never drains: the signal ends the wait. */
async function writeTo(response: ServerResponse, data: string | Uint8Array, signal: AbortSignal): Promise<void> {
  if (!response.write(data)) await once(response, 'drain', { signal })
}

function headerOf({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return Array.isArray(value) ? value[0] : value
}
