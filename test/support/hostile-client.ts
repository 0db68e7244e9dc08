import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2, type Settings } from 'node:http2'
import { connect, type Socket } from 'node:net'
import { frameOf } from './web-client.ts'

/** First bytes of a masked frame of a websocket; the mask is zero. */
const BINARY = 0x82
const MASKED = 0x80
/** First byte of the frame that closes a websocket; nothing else that is sent here has it. */
const CLOSE = '\x88'
const GRPC_HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' }

/** A client that keeps to no rules. Whatever it opened is cut off when it leaves. */
export class HostileClient {
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ClientHttp2Session>()
  readonly #port: { grpc: number; web: number }

  constructor(port: { grpc: number; web: number }) {
    this.#port = port
  }

  socket(server: 'grpc' | 'web'): Socket {
    const socket = connect(this.#port[server], '127.0.0.1')
    socket.on('error', () => {}).on('close', () => this.#sockets.delete(socket))
    this.#sockets.add(socket)
    return socket
  }

  session(settings: Settings = {}): ClientHttp2Session {
    const session = connectHttp2(`http://127.0.0.1:${this.#port.grpc}`, { settings, maxSendHeaderBlockLength: 2 ** 24 })
    session.on('error', () => {}).on('close', () => this.#sessions.delete(session))
    this.#sessions.add(session)
    return session
  }

  /** A call over HTTP/2, with these frames for a beginning. */
  call(session: ClientHttp2Session, path: string, ...frames: readonly Uint8Array[]): ClientHttp2Stream {
    const stream = session.request({ ...GRPC_HEADERS, ':path': path })
    stream.on('error', () => {})
    for (const frame of frames) stream.write(frame)
    return stream
  }

  /** A call over a websocket, with these frames of gRPC for a beginning. Nothing is waited for. */
  webSocket(path: string, ...frames: readonly Uint8Array[]): Socket {
    const socket = this.socket('web')
    const upgrade = [
      `GET ${path} HTTP/1.1`,
      'host: x',
      'connection: Upgrade',
      'upgrade: websocket',
      'sec-websocket-version: 13',
      'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
      'sec-websocket-protocol: grpc-websockets',
    ]
    socket.write(`${upgrade.join('\r\n')}\r\n\r\n`)
    if (frames.length === 0) return socket
    socket.write(webSocketFrame(Buffer.from('x-grpc-web: 1\r\n')))
    for (const frame of frames) socket.write(webSocketFrame(Buffer.concat([Buffer.of(0), frame])))
    return socket
  }

  /** A request of gRPC-Web with this body, of which `length` bytes are announced. */
  post(
    path: string,
    body: Uint8Array,
    { format = '', length = body.length }: { format?: string; length?: number } = {},
  ): Socket {
    const socket = this.socket('web')
    const headers = ['host: x', `content-type: application/grpc-web${format}`, `content-length: ${length}`]
    socket.write(`POST ${path} HTTP/1.1\r\n${headers.join('\r\n')}\r\nconnection: close\r\n\r\n`)
    socket.write(body)
    return socket
  }

  leave(): void {
    for (const session of this.#sessions) session.destroy()
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }
}

/** One frame of a websocket, of a length that 16 bits or 64 hold. */
export function webSocketFrame(
  payload: Uint8Array,
  { first = BINARY, mask = true }: { first?: number; mask?: boolean } = {},
): Buffer {
  const head = Buffer.alloc(payload.length < 126 ? 2 : payload.length < 65_536 ? 4 : 10)
  head[0] = first
  head[1] = (mask ? MASKED : 0) | (head.length === 2 ? payload.length : head.length === 4 ? 126 : 127)
  if (head.length === 4) head.writeUInt16BE(payload.length, 2)
  if (head.length === 10) head.writeBigUInt64BE(BigInt(payload.length), 2)
  return Buffer.concat([head, Buffer.alloc(mask ? 4 : 0), payload])
}

/** The first bytes of a frame that says how long its message is, and then some. */
export function claim(length: number, sent = 0): Buffer {
  const frame = frameOf(new Uint8Array(sent))
  frame.writeUInt32BE(length, 1)
  return frame
}

/** All that comes until the connection or the websocket is closed, or a status was sent, as text. */
export function textUntilOver(socket: Socket): Promise<string> {
  let text = ''
  return new Promise((resolve) => {
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      text += chunk
      if (text.includes('grpc-status') || text.includes(CLOSE)) resolve(text)
    })
    socket.on('close', () => resolve(text))
  })
}

/** Resolves when the connection is closed, with an error or without. */
export function closed(socket: Socket): Promise<void> {
  return new Promise((resolve) => socket.resume().on('close', () => resolve()))
}

/** With which code a call over HTTP/2 was reset, or which status it was answered with. */
export function outcomeOf(
  stream: ClientHttp2Stream,
): Promise<{ reset: number | undefined; status: number | undefined }> {
  let status: number | undefined
  const read = (headers: Record<string, unknown>): void => {
    if (headers['grpc-status'] !== undefined) status = Number(headers['grpc-status'])
  }
  stream.on('response', read).on('trailers', read).resume()
  // The server is done; our side is open still.
  stream.on('end', () => stream.close())
  return new Promise((resolve) => stream.on('close', () => resolve({ reset: stream.rstCode, status })))
}
