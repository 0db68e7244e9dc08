import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  setLogVerbosity,
  type sendUnaryData,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server as TcpServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createServer as createTlsServer, Server as TlsServer } from 'node:tls'
import { AccountedCall, accountedCallOf } from './accounted-call.ts'
import type { CallLedger } from './call-ledger.ts'
import { RpcError, tooLarge, toRpcError } from './errors.ts'
import { GrpcCall, statusOf, type StreamCall, type UnaryCall } from './grpc-call.ts'
import { BACKLOG, type HostPort, type ResolvedApiOptions, type TlsIdentity } from './options.ts'
import { addReflection } from './reflection.ts'
import { roundTrip, sessionOf } from './round-trip.ts'
import type { Router } from './router.ts'
import type { RpcMethod, RpcService, UnaryMethod } from './service.ts'

/** Calls of one connection at a time. */
const MAX_CONCURRENT_CALLS = 1_000
/** How soon a listener whose machine is gone is noticed. */
const KEEPALIVE_TIME_MS = 60_000
const KEEPALIVE_TIMEOUT_MS = 20_000
/** What every client of HTTP/2 sends first, and how soon: connections that stay silent make room for others. */
const PREFACE_BYTES = 24
const PREFACE_TIMEOUT_MS = 20_000
/** Turns of the event loop from a reset to the news of it: two were seen. */
const TURNS_TO_RESET = 4

type Reply = sendUnaryData<Buffer>

export interface GrpcServerOptions
  extends Pick<ResolvedApiOptions, 'maxMessageBytes' | 'maxConnections' | 'stopTimeoutMs' | 'tls'> {
  readonly ledger: CallLedger
}

/** Serves the methods of a router to gRPC clients over HTTP/2. */
export class GrpcServer {
  readonly #router: Router
  readonly #options: GrpcServerOptions
  readonly #server: Server
  readonly #listener: TcpServer | TlsServer
  readonly #sessions: ReturnType<Server['createConnectionInjector']>

  constructor(router: Router, options: GrpcServerOptions) {
    this.#router = router
    this.#options = options
    // Messages a little above the limit are refused here, in the words clients know, larger ones before they are read.
    const maxMessageBytes = 2 * options.maxMessageBytes
    this.#server = new Server({
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.max_send_message_length': -1,
      'grpc.max_concurrent_streams': MAX_CONCURRENT_CALLS,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
      'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
      'grpc.enable_channelz': 0,
      interceptors: [(_method, call) => new AccountedCall(call, { ledger: options.ledger, maxMessageBytes })],
    })
    for (const service of router.services) {
      this.#server.addService(definitionOf(service), this.#implementationOf(service))
    }
    addReflection(this.#server)
    // Listens itself: grpc-js has no limit for connections.
    this.#sessions = this.#server.createConnectionInjector(ServerCredentials.createInsecure())
    this.#listener = this.#createListener(options.tls)
    this.#listener.maxConnections = options.maxConnections
  }

  /** Answers where it listens. */
  async start({ host, port }: HostPort): Promise<HostPort> {
    // It would write of failures that are thrown as well, past the logger.
    setLogVerbosity(logVerbosity.NONE)
    const name = host.includes(':') ? `[${host}]` : host
    const authority = `${name}:${port}`
    await new Promise<void>((resolve, reject) => {
      const onError = (cause: Error) => {
        reject(new Error(`cannot serve gRPC on ${authority}: ${cause.message}`, { cause }))
      }
      this.#listener.once('error', onError)
      this.#listener.listen({ port, host, backlog: BACKLOG }, () => {
        this.#listener.off('error', onError)
        resolve()
      })
    })
    return { host, port: (this.#listener.address() as AddressInfo).port }
  }

  renewTls({ cert, key }: TlsIdentity): void {
    if (this.#listener instanceof TlsServer) this.#listener.setSecureContext({ cert, key })
  }

  /** Takes no more calls, waits for those under way as long as the options allow, then breaks them off. */
  async stop(): Promise<void> {
    this.#listener.close()
    // Not forceShutdown, which forgets connections while channelz is off.
    this.#sessions.drain(this.#options.stopTimeoutMs)
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
  }

  #createListener(tls: TlsIdentity | undefined): TcpServer | TlsServer {
    const onConnection = (socket: Socket): void => this.#onConnection(socket)
    if (tls === undefined) return createServer({ noDelay: true }, onConnection)
    const { cert, key } = tls
    const protocol = { ALPNProtocols: ['h2'], handshakeTimeout: PREFACE_TIMEOUT_MS }
    return createTlsServer({ cert, key, ...protocol, noDelay: true }, onConnection)
  }

  #onConnection(socket: Socket): void {
    // After a handshake some bytes were read; those of the preface, or what follows it, come on top.
    const readBefore = socket.bytesRead
    const timer = setTimeout(() => {
      if (socket.bytesRead < readBefore + PREFACE_BYTES) socket.destroy()
    }, PREFACE_TIMEOUT_MS)
    socket.on('close', () => clearTimeout(timer))
    this.#sessions.injectConnection(socket)
  }

  #implementationOf(service: RpcService): Record<string, UntypedHandleCall> {
    const handlers = Object.values<RpcMethod>(service.methods).map((method): [string, UntypedHandleCall] => {
      const path = pathOf(service, method)
      if (method.kind !== 'unary') return [method.name, (call: StreamCall) => void this.#answerStream(path, call)]
      const target = { path, method }
      return [method.name, (call: UnaryCall, reply: Reply) => void this.#answerUnary(target, call, reply)]
    })
    return Object.fromEntries(handlers)
  }

  /** A caller who goes away, or whose deadline passes, hears of it from grpc-js. */
  async #answerUnary(target: { path: string; method: UnaryMethod }, call: UnaryCall, reply: Reply): Promise<void> {
    const info = new GrpcCall(call)
    let bytes: Uint8Array
    try {
      bytes = await this.#router.answer({ ...target, request: this.#checked(call.request) }, info)
    } catch (error) {
      return reply(statusOf(toRpcError(error)))
    } finally {
      info.release()
    }
    reply(null, asBuffer(bytes))
  }

  async #answerStream(path: string, call: StreamCall): Promise<void> {
    const info = new GrpcCall(call)
    const { signal, connection } = info
    const failure = await this.#router.serve({
      path,
      metadata: (name) => info.metadata(name),
      signal,
      hold: (bytes) => info.hold(bytes),
      connection,
      requests: this.#requestsOf(call, signal),
      send: async (bytes) => {
        if (!call.write(asBuffer(bytes))) await once(call, 'drain', { signal })
      },
    })
    if (failure === undefined) call.end()
    else call.emit('error', statusOf(failure))
  }

  async *#requestsOf(call: StreamCall, signal: AbortSignal): AsyncGenerator<Uint8Array> {
    // By default the iterator destroys the stream when it ends, and the status is lost.
    for await (const message of call.iterator({ destroyOnReturn: false })) {
      yield this.#checked(message)
      // Handled now.
      accountedCallOf(call)?.hold(-message.length)
    }
    // Clients on Node close their side before they reset a stream they cancel, and what resets it is sent a little later.
    // Without this wait a cancelled write transaction would be committed.
    const session = sessionOf(call)
    const isThere = session === undefined || (await roundTrip(session))
    // grpc-js tells of a reset some turns after it came.
    for (let turn = 0; turn < TURNS_TO_RESET && !signal.aborted; turn++) await nextTurn()
    signal.throwIfAborted()
    if (!isThere) throw new RpcError(status.CANCELLED, 'context canceled')
  }

  #checked(message: Buffer): Uint8Array {
    const { maxMessageBytes } = this.#options
    if (message.length > maxMessageBytes) throw tooLarge(message.length, maxMessageBytes)
    return message
  }
}

/** Messages stay bytes here: the router's methods decode and encode them, for all transports alike. */
function definitionOf(service: RpcService): ServiceDefinition {
  const methods = Object.values(service.methods).map((method) => {
    const isStream = method.kind !== 'unary'
    const definition = {
      path: pathOf(service, method),
      // A stream of one message looks the same on the wire.
      requestStream: isStream,
      responseStream: isStream,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    }
    return [method.name, definition] as const
  })
  return Object.fromEntries(methods)
}

function pathOf(service: RpcService, method: RpcMethod): string {
  return `/${service.name}/${method.name}`
}

function asIs(bytes: Buffer): Buffer {
  return bytes
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
