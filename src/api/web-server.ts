import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import type { Clock } from '../core/clock.ts'
import type { CallLedger } from './call-ledger.ts'
import { Cors, isPreflight } from './cors.ts'
import { isGrpcWeb, serveGrpcWeb } from './grpc-web.ts'
import { BACKLOG, type HostPort, type ResolvedApiOptions, type TlsIdentity } from './options.ts'
import type { Router } from './router.ts'
import { serveWebSocket, WEBSOCKET_PROTOCOL } from './websocket.ts'

export interface WebServerOptions extends Omit<ResolvedApiOptions, 'grpc' | 'web'> {
  readonly clock: Clock
  readonly ledger: CallLedger
  /** Answers the requests that are no calls. Default: 404. */
  readonly fallback?: RequestListener
}

/** Longer than clients keep idle connections: if the server closed one first, a call on its way would be lost. */
const IDLE_CONNECTION_MS = 75_000
/** Time for the headers of a request: after it connections without a request are looked for. */
const HEADERS_TIMEOUT_MS = 20_000
const CHECK_INTERVAL_MS = 5_000

/** Serves the methods of a router to browsers over HTTP/1.1: gRPC-Web and grpc-websockets. */
export class WebServer {
  readonly #router: Router
  readonly #options: WebServerOptions
  readonly #cors: Cors
  readonly #http: Server | TlsServer
  readonly #sockets: WebSocketServer

  constructor(router: Router, options: WebServerOptions) {
    this.#router = router
    this.#options = options
    this.#cors = new Cors(options.corsOrigins)
    const timeouts = { headersTimeout: HEADERS_TIMEOUT_MS, connectionsCheckingInterval: CHECK_INTERVAL_MS }
    const onRequest: RequestListener = (request, response) => this.#onRequest(request, response)
    this.#http =
      options.tls === undefined
        ? createServer(timeouts, onRequest)
        : createTlsServer({ ...timeouts, handshakeTimeout: HEADERS_TIMEOUT_MS, ...options.tls }, onRequest)
    this.#http.maxConnections = options.maxConnections
    this.#http.keepAliveTimeout = IDLE_CONNECTION_MS
    this.#http.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
    this.#sockets = new WebSocketServer({
      noServer: true,
      // Messages a little above the limit are answered with a status, larger ones close the socket.
      maxPayload: 2 * options.maxMessageBytes,
      perMessageDeflate: false,
      handleProtocols: () => WEBSOCKET_PROTOCOL,
    })
  }

  /** Answers where it listens. */
  async start({ host, port }: HostPort): Promise<HostPort> {
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: Error) => {
        reject(new Error(`cannot serve gRPC-Web on ${host}:${port}: ${cause.message}`, { cause }))
      }
      this.#http.once('error', onError)
      this.#http.listen({ port, host, backlog: BACKLOG }, () => {
        this.#http.off('error', onError)
        resolve()
      })
    })
    return { host, port: boundPort(this.#http) }
  }

  renewTls({ cert, key }: TlsIdentity): void {
    if (this.#http instanceof TlsServer) this.#http.setSecureContext({ cert, key })
  }

  /** Takes no more calls, waits for those under way as long as the options allow, then breaks them off. */
  async stop(): Promise<void> {
    const cancelTimer = this.#options.clock.after(this.#options.stopTimeoutMs, () => {
      for (const socket of this.#sockets.clients) socket.terminate()
      this.#http.closeAllConnections()
    })
    // Connections that become idle from now on are closed, not kept for another call.
    this.#http.keepAliveTimeout = 1
    this.#http.keepAliveTimeoutBuffer = 0
    await Promise.all([
      new Promise<void>((resolve) => this.#http.close(() => resolve())),
      new Promise<void>((resolve) => this.#sockets.close(() => resolve())),
    ])
    cancelTimer()
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const path = pathOf(request)
    if (isPreflight(request.method, request.headers) && this.#router.method(path) !== undefined) {
      response.writeHead(200, this.#cors.preflightHeaders(request.headers)).end()
    } else if (!isGrpcWeb(request)) {
      if (this.#options.fallback === undefined) response.writeHead(404).end()
      else this.#options.fallback(request, response)
    } else if (!this.#cors.allows(request.headers)) {
      response.writeHead(403).end()
    } else {
      const options = { ...this.#options, cors: this.#cors }
      void serveGrpcWeb(this.#router, { request, response, path }, options)
    }
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = pathOf(request)
    const isCall = request.headers['sec-websocket-protocol']?.toLowerCase() === WEBSOCKET_PROTOCOL
    if (!isCall || this.#router.method(path) === undefined || !this.#cors.allows(request.headers)) {
      // A socket that resets while it is refused is no failure.
      socket.on('error', () => {})
      socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      serveWebSocket(this.#router, { socket: webSocket, connection: socket, path }, this.#options)
    })
  }
}

function pathOf({ url = '/' }: IncomingMessage): string {
  const end = url.indexOf('?')
  return end < 0 ? url : url.slice(0, end)
}

function boundPort(server: Server): number {
  return (server.address() as AddressInfo).port
}
