import {
  logVerbosity,
  Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServiceDefinition,
  type ServerUnaryCall,
  setLogVerbosity,
  type sendUnaryData,
  status,
  type UntypedHandleCall,
} from '@grpc/grpc-js'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server as TcpServer, type Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { AccountedCall, accountedCallOf } from './accounted-call.ts'
import type { CallLedger } from './call-ledger.ts'
import { Cancellation } from './cancellation.ts'
import { RpcError, tooLarge } from './errors.ts'
import { BACKLOG, type HostPort, type ResolvedApiOptions } from './options.ts'
import { addReflection } from './reflection.ts'
import { roundTrip, sessionOf } from './round-trip.ts'
import type { Router } from './router.ts'
import type { RpcMethod, RpcService } from './service.ts'

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

type UnaryCall = ServerUnaryCall<Buffer, Buffer>
type StreamCall = ServerDuplexStream<Buffer, Buffer>

export interface GrpcServerOptions
  extends Pick<ResolvedApiOptions, 'maxMessageBytes' | 'maxConnections' | 'stopTimeoutMs'> {
  readonly ledger: CallLedger
}

/** Serves the methods of a router to gRPC clients over HTTP/2, without TLS. */
export class GrpcServer {
  readonly #router: Router
  readonly #options: GrpcServerOptions
  readonly #server: Server
  readonly #listener: TcpServer
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
    this.#listener = createServer({ noDelay: true }, (socket) => this.#onConnection(socket))
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

  /** Takes no more calls, waits for those under way as long as the options allow, then breaks them off. */
  async stop(): Promise<void> {
    this.#listener.close()
    // Not forceShutdown, which forgets connections while channelz is off.
    this.#sessions.drain(this.#options.stopTimeoutMs)
    await new Promise<void>((resolve) => this.#server.tryShutdown(() => resolve()))
  }

  #onConnection(socket: Socket): void {
    const timer = setTimeout(() => {
      if (socket.bytesRead < PREFACE_BYTES) socket.destroy()
    }, PREFACE_TIMEOUT_MS)
    socket.on('close', () => clearTimeout(timer))
    this.#sessions.injectConnection(socket)
  }

  #implementationOf(service: RpcService): Record<string, UntypedHandleCall> {
    const handlers = Object.values(service.methods).map((method): [string, UntypedHandleCall] => {
      const path = pathOf(service, method)
      const unary = (call: UnaryCall, reply: sendUnaryData<Buffer>) => void this.#answerUnary(path, call, reply)
      const stream = (call: StreamCall) => void this.#answerStream(path, call)
      return [method.name, method.kind === 'unary' ? unary : stream]
    })
    return Object.fromEntries(handlers)
  }

  async #answerUnary(path: string, call: UnaryCall, reply: sendUnaryData<Buffer>): Promise<void> {
    const cancellation = cancellationOf(call)
    let message: Uint8Array | undefined
    const failure = await this.#router.serve({
      path,
      metadata: metadataOf(call),
      signal: cancellation.signal,
      hold: (bytes) => accountedCallOf(call)?.hold(bytes),
      connection: accountedCallOf(call)?.connection ?? call,
      requests: this.#single(call.request),
      send: async (bytes) => {
        message = bytes
      },
    })
    if (failure !== undefined) reply(statusOf(failure))
    else reply(null, asBuffer(message))
  }

  async #answerStream(path: string, call: StreamCall): Promise<void> {
    const cancellation = cancellationOf(call)
    const failure = await this.#router.serve({
      path,
      metadata: metadataOf(call),
      signal: cancellation.signal,
      hold: (bytes) => accountedCallOf(call)?.hold(bytes),
      connection: accountedCallOf(call)?.connection ?? call,
      requests: this.#requestsOf(call, cancellation.signal),
      send: async (bytes) => {
        if (!call.write(asBuffer(bytes))) await once(call, 'drain', { signal: cancellation.signal })
      },
    })
    if (failure === undefined) call.end()
    else call.emit('error', statusOf(failure))
  }

  async *#single(request: Buffer): AsyncGenerator<Uint8Array> {
    yield this.#checked(request)
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

function asBuffer(bytes: Uint8Array = new Uint8Array(0)): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

function cancellationOf(call: UnaryCall | StreamCall): Cancellation {
  const cancellation = new Cancellation()
  // Also when the deadline passes, which grpc-js watches.
  call.on('cancelled', () => cancellation.cancel())
  if (call.cancelled) cancellation.cancel()
  return cancellation
}

function metadataOf(call: UnaryCall | StreamCall): (name: string) => string | undefined {
  return (name) => call.metadata.get(name)[0]?.toString()
}

function statusOf({ code, message, trailers }: RpcError): { code: number; details: string; metadata: Metadata } {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value)
  return { code, details: message, metadata }
}
