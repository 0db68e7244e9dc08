import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Clock } from '../core/clock.ts'
import { Cancellation } from './cancellation.ts'
import type { Cors } from './cors.ts'
import { FrameReader, headersFrame, messageFrame, statusTrailers } from './frames.ts'
import type { Router } from './router.ts'

export interface GrpcWebOptions {
  readonly clock: Clock
  readonly cors: Cors
  readonly maxMessageBytes: number
}

export function isGrpcWeb({ method, headers }: IncomingMessage): boolean {
  return method === 'POST' && (headers['content-type'] ?? '').startsWith('application/grpc-web')
}

/** Answers a call of gRPC-Web over HTTP. All replies follow all requests: HTTP/1.1 cannot interleave them. */
export async function serveGrpcWeb(
  router: Router,
  { request, response, path }: { request: IncomingMessage; response: ServerResponse; path: string },
  { clock, cors, maxMessageBytes }: GrpcWebOptions,
): Promise<void> {
  const cancellation = new Cancellation()
  cancellation.startDeadline(headerOf(request, 'grpc-timeout'), clock)
  response.on('close', () => cancellation.cancel())

  const contentType = headerOf(request, 'content-type') ?? ''
  const isText = contentType.startsWith('application/grpc-web-text')
  const write = (frame: Uint8Array) => writeTo(response, isText ? toBase64(frame) : frame, cancellation.signal)
  // Left early, the request is drained, not destroyed: its connection serves the next one.
  const chunks = request.iterator({ destroyOnReturn: false })
  const body = isText ? fromBase64(chunks) : chunks

  response.writeHead(200, { 'content-type': contentType, ...cors.headers(request.headers) })
  const failure = await router.serve({
    path,
    metadata: (name) => headerOf(request, name),
    signal: cancellation.signal,
    requests: messagesOf(body, maxMessageBytes),
    send: (reply) => write(messageFrame(reply)),
  })
  cancellation.release()
  const trailers = headersFrame(statusTrailers(failure))
  response.end(isText ? toBase64(trailers) : trailers)
  // What is left of a request that was refused early: unread, it would hold up the next one of the connection.
  request.resume()
}

async function* messagesOf(body: AsyncIterable<Uint8Array>, maxMessageBytes: number): AsyncGenerator<Uint8Array> {
  const reader = new FrameReader(maxMessageBytes)
  for await (const chunk of body) yield* reader.push(chunk)
  reader.end()
}

/** A base64 text that may be several, each with its padding, in chunks cut anywhere. */
async function* fromBase64(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = ''
  for await (const chunk of chunks) {
    const text = rest + Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength).toString('latin1')
    const whole = text.length - (text.length % 4)
    rest = text.slice(whole)
    for (const part of text.slice(0, whole).match(/[^=]+=*/g) ?? []) yield Buffer.from(part, 'base64')
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
