import { BinaryReader } from '@bufbuild/protobuf/wire'
import { status } from '@grpc/grpc-js'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import type { Databases } from '../db/index.ts'
import type { Net } from '../net/index.ts'
import { type CodeOverrides, RpcError } from './errors.ts'

/** What handlers work on. */
export interface Components {
  readonly net: Net
  readonly databases: Databases
  readonly clock: Clock
  readonly random: Random
}

/** What a transport knows of a call. */
export interface CallInfo {
  /** First value sent under a lower-case name. */
  metadata(name: string): string | undefined
  /** Aborted when the caller is gone, has cancelled or the deadline passed. */
  readonly signal: AbortSignal
}

export interface RpcContext extends Components, CallInfo {
  /** Token of the authorization header; empty for none. Throws if the header holds something else. */
  readonly token: string
  /** Whom the token names. Throws as `token`, and TOKEN_INVALID. */
  readonly caller: Caller
}

export type UnaryHandler<Request, Reply> = (request: Request, context: RpcContext) => Promise<Reply>
export type ServerStreamHandler<Request, Reply> = (request: Request, context: RpcContext) => AsyncIterable<Reply>
export type BidiHandler<Request, Reply> = (
  requests: AsyncIterable<Request>,
  context: RpcContext,
) => AsyncIterable<Reply>

/** An RPC as transports see it: encoded messages in, encoded messages out. */
export interface RpcMethod {
  readonly name: string
  readonly kind: 'unary' | 'server-stream' | 'bidi'
  readonly codes: CodeOverrides
  /** `requests` ends when the caller half-closes; if he goes away otherwise or the deadline passes, it throws. */
  call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncIterable<Uint8Array>
}

export interface RpcService<Method extends string = string> {
  /** With the package. */
  readonly name: string
  readonly methods: Readonly<Record<Method, RpcMethod>>
}

interface Codec<Message> {
  decode(input: BinaryReader): Message
  encode(message: Message): { finish(): Uint8Array }
}

interface Definition<Request, Reply> {
  readonly name: string
  readonly requestType: Codec<Request>
  readonly responseType: Codec<Reply>
}

export function unary<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: UnaryHandler<Request, Reply>,
  codes: CodeOverrides = {},
): RpcMethod {
  async function* call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Uint8Array> {
    const request = await onlyRequest(definition.requestType, requests)
    yield encode(definition.responseType, await handler(request, context))
  }
  return { name: definition.name, kind: 'unary', codes, call }
}

export function serverStream<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: ServerStreamHandler<Request, Reply>,
  codes: CodeOverrides = {},
): RpcMethod {
  async function* call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Uint8Array> {
    const request = await onlyRequest(definition.requestType, requests)
    for await (const reply of handler(request, context)) yield encode(definition.responseType, reply)
  }
  return { name: definition.name, kind: 'server-stream', codes, call }
}

export function bidi<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: BidiHandler<Request, Reply>,
  codes: CodeOverrides = {},
): RpcMethod {
  async function* decoded(requests: AsyncIterable<Uint8Array>): AsyncGenerator<Request> {
    for await (const message of requests) yield decode(definition.requestType, message)
  }
  async function* call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Uint8Array> {
    for await (const reply of handler(decoded(requests), context)) yield encode(definition.responseType, reply)
  }
  return { name: definition.name, kind: 'bidi', codes, call }
}

/** The stream ended where a message was due; existing clients know this text. */
export function endOfRequests(): RpcError {
  return new RpcError(status.UNKNOWN, 'EOF')
}

async function onlyRequest<Request>(codec: Codec<Request>, requests: AsyncIterable<Uint8Array>): Promise<Request> {
  for await (const message of requests) return decode(codec, message)
  throw endOfRequests()
}

function decode<Message>(codec: Codec<Message>, bytes: Uint8Array): Message {
  try {
    // Decoded bytes are views of what is decoded. A copy, so that no document kept in memory keeps the buffer of a socket.
    return codec.decode(new BinaryReader(new Uint8Array(bytes), strictText))
  } catch (error) {
    if (error instanceof RpcError) throw error
    throw malformed('proto: cannot parse invalid wire-format data', error)
  }
}

function encode<Message>(codec: Codec<Message>, message: Message): Uint8Array {
  return codec.encode(message).finish()
}

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** proto3 strings must be UTF-8; by itself the decoder would replace what is not. */
function strictText(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes)
  } catch (cause) {
    throw malformed('string field contains invalid UTF-8', cause)
  }
}

function malformed(reason: string, cause: unknown): RpcError {
  return new RpcError(status.INTERNAL, `grpc: error unmarshalling request: ${reason}`, cause)
}
