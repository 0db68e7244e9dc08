import { status } from '@grpc/grpc-js'
import type { Logger } from '../core/logger.ts'
import { unlessAborted } from '../util/unless-aborted.ts'
import { CallContext } from './context.ts'
import { RpcError, toRpcError } from './errors.ts'
import { FairTurns } from './fair-turns.ts'
import { type Call, converted, intercept, logged } from './interceptors.ts'
import type { CallInfo, Components, RpcMethod, RpcService } from './service.ts'

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

/** The RPCs of all services, by their paths. */
export interface Router {
  readonly services: readonly RpcService[]
  method(path: string): RpcMethod | undefined
  /** Answers a call. What it resolves to is the status to send: `undefined` is OK. Never rejects. */
  serve(call: IncomingCall): Promise<RpcError | undefined>
  /** Ends the streams that would go on for ever. */
  endStreams(): void
}

export function createRouter(services: readonly RpcService[], components: Components & { logger: Logger }): Router {
  const methods = new Map<string, RpcMethod>()
  for (const service of services) {
    for (const method of Object.values(service.methods)) methods.set(`/${service.name}/${method.name}`, method)
  }
  const names = new Set(services.map(({ name }) => name))
  // Cancelled, because go-threads clients take every other end of a subscription for a reason to exit.
  const stopping = new AbortController()
  const turns = new FairTurns(MAX_LARGE_REPLIES)
  const run = intercept(invoke, [logged(components.logger, components.clock), converted(components.logger)])

  async function serve(incoming: IncomingCall): Promise<RpcError | undefined> {
    const { path, requests, send } = incoming
    const method = methods.get(path)
    if (method === undefined) return unimplemented(path, names)
    const signal =
      method.kind === 'server-stream' ? AbortSignal.any([incoming.signal, stopping.signal]) : incoming.signal
    const { connection } = incoming
    const metadata = (name: string) => incoming.metadata(name)
    const hold = (bytes: number) => incoming.hold(bytes)
    const context = new CallContext(components, { metadata, signal, hold, connection }, turns)
    try {
      await run({ path, method, context, requests, send })
      return undefined
    } catch (error) {
      return toRpcError(error)
    }
  }

  return {
    services,
    method: (path) => methods.get(path),
    serve,
    endStreams: () => stopping.abort(new RpcError(status.CANCELLED, 'the server is stopping')),
  }
}

/** Hands the replies on, one after the other. When the call is aborted it waits for nothing more. */
async function invoke({ method, requests, context, send }: Call): Promise<void> {
  const replies = method.call(untilAborted(requests, context.signal), context)[Symbol.asyncIterator]()
  const nextReply = () => unlessAborted(() => replies.next(), context.signal)
  try {
    for (let next = await nextReply(); next.done !== true; next = await nextReply()) {
      const { value } = next
      await unlessAborted(() => send(value), context.signal)
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
