/** A peer that keeps no rules: raw streams, raw HTTP/2, any message. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, createServer } from 'node:http2'
import type { ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import type { Connection } from '@libp2p/interface'
import { type PeerId, parsePeerId } from '../../src/core/peer-id.ts'
import { streamToDuplex } from '../../src/net/host/duplex.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { PROTOCOL, SYNC_PATH } from '../../src/net/protocol/constants.ts'
import { type MethodName, methods } from '../../src/net/protocol/methods.ts'
import { SessionSocket } from '../../src/net/protocol/session-socket.ts'
import { dialHost, type PlainNode, startNode } from './gossip-node.ts'

export interface Outcome {
  /** Status code of gRPC; `undefined` if the call was cut off. */
  readonly status: number | undefined
  readonly text: string
  readonly reply: Uint8Array
}

/** Answers a call of the host with a message, or with nothing at all. */
export type Answer = (method: MethodName, request: Uint8Array) => Uint8Array | 'silence'

export class HostilePeer {
  readonly id: PeerId
  /** What the host asked. */
  readonly asked: { readonly method: MethodName; readonly request: Uint8Array }[] = []
  answer: Answer = () => 'silence'
  /** Takes streams of the peer service in place of HTTP/2. */
  onStream: ((stream: Duplex) => void) | undefined
  readonly #node: PlainNode
  readonly #host: Pick<PeerHost, 'id' | 'addresses'>
  readonly #sessions: ClientHttp2Session[] = []
  #session: Promise<ClientHttp2Session> | undefined

  private constructor(node: PlainNode, host: Pick<PeerHost, 'id' | 'addresses'>) {
    this.#node = node
    this.#host = host
    this.id = parsePeerId(node.peerId.toString())
  }

  /** A new peer, connected to the host and reachable for it. */
  static async start(host: Pick<PeerHost, 'id' | 'addresses'>): Promise<HostilePeer> {
    const peer = new HostilePeer(await startNode(), host)
    await peer.handle(PROTOCOL, (stream) => peer.#serve(stream))
    await peer.connect()
    return peer
  }

  async stop(): Promise<void> {
    for (const session of this.#sessions) session.destroy()
    await this.#node.stop()
  }

  connect(): Promise<Connection> {
    return dialHost(this.#node, this.#host)
  }

  get isConnected(): boolean {
    return this.#node.getConnections().length > 0
  }

  async handle(protocol: string, accept: (stream: Duplex) => void): Promise<void> {
    await this.#node.handle(protocol, (stream) => accept(quiet(streamToDuplex(stream))), { maxInboundStreams: 1_000 })
  }

  /** A stream to the host, with nothing said on it. */
  async stream(protocol: string = PROTOCOL): Promise<Duplex> {
    const connection = await this.connect()
    return quiet(streamToDuplex(await connection.newStream(protocol, { maxOutboundStreams: 1_000_000 })))
  }

  /** A session of its own, over a stream of its own. */
  async session(options: Parameters<typeof connect>[1] = {}, over?: Duplex): Promise<ClientHttp2Session> {
    const socket = new SessionSocket(over ?? (await this.stream()), {
      isServer: false,
      onGone: () => session.destroy(),
    })
    const session = connect('http://host', { createConnection: () => socket, ...options })
    session.on('error', () => {})
    this.#sessions.push(session)
    return session
  }

  /** Calls the host over a session that all calls share. */
  async call(method: MethodName, request: Uint8Array): Promise<Outcome> {
    this.#session ??= this.session()
    let session = await this.#session
    if (session.destroyed || session.closed) {
      this.#session = this.session()
      session = await this.#session
    }
    const stream = openCall(session, method)
    stream.end(framed(request))
    return outcomeOf(stream)
  }

  #serve(stream: Duplex): void {
    if (this.onStream !== undefined) return this.onStream(stream)
    const server = createServer()
    const sessions: ServerHttp2Session[] = []
    server.on('session', (session) => void sessions.push(session))
    server.on('sessionError', () => {})
    server.on('stream', (call: ServerHttp2Stream, headers) => {
      this.#answer(call, String(headers[':path'])).catch(() => {})
    })
    const end = (): void => {
      for (const session of sessions) session.destroy()
    }
    server.emit('connection', new SessionSocket(stream, { isServer: true, onGone: end }))
  }

  async #answer(call: ServerHttp2Stream, path: string): Promise<void> {
    call.on('error', () => {})
    if (path === SYNC_PATH) {
      call.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '12' }, { endStream: true })
      return
    }
    const request = (await buffer(call)).subarray(5)
    const found = Object.entries(methods).find(([, method]) => method.path === path)
    const method = (found?.[0] ?? 'getLogs') as MethodName
    this.asked.push({ method, request })
    const reply = this.answer(method, request)
    if (reply === 'silence' || call.destroyed) return
    call.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    call.on('wantTrailers', () => call.sendTrailers({ 'grpc-status': '0' }))
    call.end(framed(reply))
  }
}

export function openCall(session: ClientHttp2Session, method: MethodName): ClientHttp2Stream {
  return openPath(session, methods[method].path)
}

export function openPath(session: ClientHttp2Session, path: string): ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  return stream.on('error', () => {})
}

export function framed(message: Uint8Array): Buffer {
  const head = Buffer.alloc(5)
  head.writeUInt32BE(message.length, 1)
  return Buffer.concat([head, message])
}

/** Resolves with the status; the host may leave its end open. */
export function outcomeOf(stream: ClientHttp2Stream): Promise<Outcome> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    const end = (status: number | undefined, text: string): void =>
      resolve({ status, text, reply: Buffer.concat(chunks).subarray(5) })
    const take = (headers: Record<string, unknown>): void => {
      const { 'grpc-status': status, 'grpc-message': text = '' } = headers
      if (status !== undefined) end(Number(status), decodeURIComponent(String(text)))
    }
    stream.on('response', take).on('trailers', take)
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('close', () => end(undefined, ''))
  })
}

function quiet(stream: Duplex): Duplex {
  return stream.on('error', () => {})
}
