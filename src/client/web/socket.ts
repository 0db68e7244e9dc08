/** Calls over websockets, one a socket, as @improbable-eng/grpc-web makes them. */
import { concatBytes, utf8 } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { type Endpoint, failureOf, unreachable } from '../failure.ts'
import type { CallOptions, MessageStream } from '../transport.ts'
import { FrameReader, frameOf } from './frames.ts'
import { Inbox } from './inbox.ts'

const PROTOCOL = 'grpc-websockets'
/** First byte of what is sent after the headers. */
const DATA = Uint8Array.of(0)
const HALF_CLOSE = Uint8Array.of(1)
/** Websockets cannot be told to wait. A caller that leaves so much unread loses the connection. */
const MAX_UNREAD_BYTES = 16 * 1024 * 1024

export function openSocket(endpoint: Endpoint, path: string, { authorization, signal }: CallOptions): MessageStream {
  const socket = new WebSocket(`${endpoint.address.replace(/^http/, 'ws')}${path}`, PROTOCOL)
  socket.binaryType = 'arraybuffer'
  const reader = new FrameReader()
  const inbox = new Inbox()
  const unsent: Uint8Array<ArrayBuffer>[] = []

  const end = (failure: ThreadsError | undefined): void => {
    signal?.removeEventListener('abort', onAbort)
    inbox.end(failure)
    socket.close()
  }
  const onAbort = (): void => end(new ThreadsError('CLOSED', 'the call was aborted', { cause: signal?.reason }))
  const send = (bytes: Uint8Array): void => {
    const owned = new Uint8Array(bytes)
    if (socket.readyState === WebSocket.CONNECTING) unsent.push(owned)
    else if (socket.readyState === WebSocket.OPEN) socket.send(owned)
  }

  socket.addEventListener('open', () => {
    for (const bytes of unsent.splice(0)) socket.send(bytes)
  })
  socket.addEventListener('message', ({ data }: { data: unknown }) => {
    try {
      if (!(data instanceof ArrayBuffer)) throw new ThreadsError('BAD_MESSAGE', 'the daemon sent a text')
      for (const message of reader.push(new Uint8Array(data))) inbox.push(message)
      if (inbox.bytes > MAX_UNREAD_BYTES) throw unreachable(endpoint, 'replies came faster than they were read')
    } catch (error) {
      end(error instanceof ThreadsError ? error : new ThreadsError('BAD_MESSAGE', 'bad reply', { cause: error }))
    }
  })
  // Always followed by a close, which knows as little about the reason.
  socket.addEventListener('error', () => {})
  socket.addEventListener('close', () => {
    const { outcome } = reader
    end(outcome === undefined ? unreachable(endpoint, 'the connection was lost') : failureOf(outcome, endpoint, path))
  })
  signal?.addEventListener('abort', onAbort, { once: true })
  if (signal?.aborted === true) onAbort()
  const headers = { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1', authorization }
  send(
    utf8(
      Object.entries(headers)
        .map(([name, value]) => `${name}: ${value}\r\n`)
        .join(''),
    ),
  )

  return {
    send: (message) => send(concatBytes(DATA, frameOf(message))),
    halfClose: () => send(HALF_CLOSE),
    receive: () => inbox.next(),
    cancel: () => end(undefined),
  }
}
