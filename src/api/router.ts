import { status } from '@grpc/grpc-js'
import type { Logger } from '../core/logger.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import type { Admission } from './admission.ts'
import { CallContext } from './context.ts'
import { RpcError, toRpcError } from './errors.ts'
import { FairTurns } from './fair-turns.ts'
import { converted, inOrder, logged } from './interceptors.ts'
import {
  type CallInfo,
  type Components,
  onlyRequest,
  type RpcContext,
  type RpcMethod,
  type RpcService,
} from './service.ts'
import type { StreamMethod, UnaryMethod } from './service.ts'

/** Replies without limit that are made at once: each is in memory before it counts as held. */
const MAX_LARGE_REPLIES = 2

/** A call as it comes from a transport. */
export interface IncomingCall extends CallInfo {
  /** `/<service>/<method>`. */
  readonly path: string
  /** Ends when the caller half-closes. If he goes away otherwise, `signal` is aborted. */
  readonly requests: AsyncIterable<Uint8Array>
  /** Resolves when the transport can take the next reply. */
  readonly send: (reply: Uint8Array) => Promise<void>
}

/** A call of a unary method whose request is there. */
export interface UnaryCall {
  readonly path: string
  readonly method: UnaryMethod
  readonly request: Uint8Array
}

/** The RPCs of all services, by their paths. */
export interface Router {
  readonly services: readonly RpcService[]
  method(path: string): RpcMethod | undefined
  /** Answers a call. What it resolves to is the status to send: `undefined` is OK. Never rejects. */
  serve(call: IncomingCall): Promise<RpcError | undefined>
  /**
   * The reply to a call whose transport itself sees to it that the caller hears in time when it is aborted. Rejects with
   * the status to send.
   */
  answer(call: UnaryCall, info: CallInfo): Promise<Uint8Array>
  /** Ends the streams that would go on for ever. */
  endStreams(): void
}

export interface RouterComponents extends Components {
  readonly logger: Logger
  /** Asked before every call. Default: all are answered. */
  readonly admit?: Admission
}

export function createRouter(services: readonly RpcService[], components: RouterComponents): Router {
  const { admit } = components
  const methods = new Map<string, RpcMethod>()
  for (const service of services) {
    for (const method of Object.values(service.methods)) methods.set(`/${service.name}/${method.name}`, method)
  }
  const names = new Set(services.map(({ name }) => name))
  // Cancelled, because go-threads clients take every other end of a subscription for a reason to exit.
  const stopping = new AbortController()
  const turns = new FairTurns(MAX_LARGE_REPLIES)
  const around = inOrder(logged(components.logger, components.clock), converted(components.logger))

  async function serve(incoming: IncomingCall): Promise<RpcError | undefined> {
    const { path } = incoming
    const method = methods.get(path)
    if (method === undefined) return unimplemented(path, names)
    const info = method.kind === 'server-stream' ? stoppable(incoming, stopping.signal) : incoming
    const context = new CallContext(components, info, turns)
    try {
      await around({ path, method }, () => {
        admit?.(path, context)
        return method.kind === 'unary' ? sendAnswer(method, incoming, context) : sendReplies(method, incoming, context)
      })
      return undefined
    } catch (error) {
      return toRpcError(error)
    }
  }

  function answer(call: UnaryCall, info: CallInfo): Promise<Uint8Array> {
    const context = new CallContext(components, info, turns)
    return around(call, () => {
      admit?.(call.path, context)
      return call.method.answer(call.request, context)
    })
  }

  return {
    services,
    method: (path) => methods.get(path),
    serve,
    answer,
    endStreams: () => stopping.abort(new RpcError(status.CANCELLED, 'the server is stopping')),
  }
}

/** The call, ended also when the server stops. */
function stoppable(incoming: IncomingCall, stopping: AbortSignal): CallInfo {
  return {
    metadata: (name) => incoming.metadata(name),
    hold: (bytes) => incoming.hold(bytes),
    signal: AbortSignal.any([incoming.signal, stopping]),
    connection: incoming.connection,
  }
}

/** When the call is aborted it waits for nothing more. */
async function sendAnswer(method: UnaryMethod, { requests, send }: IncomingCall, context: RpcContext): Promise<void> {
  const { signal } = context
  const request = await onlyRequest(untilAborted(requests, signal))
  const reply = await unlessAborted(() => method.answer(request, context), signal)
  await unlessAborted(() => send(reply), signal)
}

/** Hands the replies on, one after the other. When the call is aborted it waits for nothing more. */
async function sendReplies(method: StreamMethod, { requests, send }: IncomingCall, context: RpcContext): Promise<void> {
  const { signal } = context
  const replies = method.call(untilAborted(requests, signal), context)[Symbol.asyncIterator]()
  const nextReply = () => unlessAborted(() => replies.next(), signal)
  try {
    for (let next = await nextReply(); next.done !== true; next = await nextReply()) {
      const { value } = next
      await unlessAborted(() => send(value), signal)
    }
  } finally {
    // Not awaited: a handler that still waits for something cleans up when that is over.
    replies.return?.().catch(() => {})
  }
}

/**
 * Throws as soon as the call is aborted. A deadline can pass while the caller is still there: what he sends then, even a
 * half-close, comes too late.
 */
async function* untilAborted<T>(requests: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const messages = requests[Symbol.asyncIterator]()
  const nextMessage = () => unlessAborted(() => messages.next(), signal)
  try {
    for (let next = await nextMessage(); next.done !== true; next = await nextMessage()) yield next.value
  } finally {
    // Not awaited, as above.
    messages.return?.().catch(() => {})
  }
}

function unimplemented(path: string, services: ReadonlySet<string>): RpcError {
  const [, service = '', method = ''] = path.split('/')
  const message = services.has(service)
    ? `unknown method ${method} for service ${service}`
    : `unknown service ${service}`
  return new RpcError(status.UNIMPLEMENTED, message)
}
