import { BinaryReader } from '@bufbuild/protobuf/wire'
import { status } from '@grpc/grpc-js'
import { EMPTY_BYTES } from '../core/bytes.ts'
import type { Caller } from '../core/caller.ts'
import type { Clock, Random } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'
import type { Databases } from '../db/index.ts'
import type { Net } from '../net/index.ts'
import { type CodeOverrides, RpcError, toRpcError } from './errors.ts'

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
  /** Counts bytes that the call holds until it is over; fewer than none are given back. */
  hold(bytes: number): void
  /** What the calls of one connection have in common. */
  readonly connection: object
}

export interface RpcContext extends Components, CallInfo {
  /** Token of the authorization header; empty for none. Throws if the header holds something else. */
  readonly token: string
  /** Whom the token names. Throws as `token`, and TOKEN_INVALID. */
  readonly caller: Caller
  /** Runs what may make a large reply, when it is its turn: a few are made at once. */
  inTurn<T>(task: () => Promise<T>): Promise<T>
}

export type UnaryHandler<Request, Reply> = (request: Request, context: RpcContext) => Promise<Reply>
export type ServerStreamHandler<Request, Reply> = (request: Request, context: RpcContext) => AsyncIterable<Reply>
export type BidiHandler<Request, Reply> = (
  requests: AsyncIterable<Request>,
  context: RpcContext,
) => AsyncIterable<Reply>

/** An RPC as transports see it: encoded messages in, encoded messages out. */
export type RpcMethod = UnaryMethod | StreamMethod

interface MethodInfo {
  readonly name: string
  readonly codes: CodeOverrides
}

export interface UnaryMethod extends MethodInfo {
  readonly kind: 'unary'
  answer(request: Uint8Array, context: RpcContext): Promise<Uint8Array>
}

export interface StreamMethod extends MethodInfo {
  readonly kind: 'server-stream' | 'bidi'
  /** `requests` ends when the caller half-closes; if he goes away otherwise or the deadline passes, it throws. */
  call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncIterable<Uint8Array>
}

export interface RpcService<Method extends string = string> {
  /** With the package. */
  readonly name: string
  readonly methods: Readonly<Record<Method, RpcMethod>>
}

interface Decoder<Message> {
  decode(input: BinaryReader): Message
}

interface Encoder<Message> {
  encode(message: Message): { finish(): Uint8Array }
}

interface Definition<Request, Reply> {
  readonly name: string
  readonly requestType: Decoder<Request>
  readonly responseType: Encoder<Reply>
}

export function unary<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: UnaryHandler<Request, Reply>,
  codes: CodeOverrides = {},
): UnaryMethod {
  async function answer(bytes: Uint8Array, context: RpcContext): Promise<Uint8Array> {
    const request = decodeHeld(definition.requestType, bytes, context)
    return encode(definition.responseType, await handler(request, context))
  }
  return { name: definition.name, kind: 'unary', codes, answer }
}

export function serverStream<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: ServerStreamHandler<Request, Reply>,
  codes: CodeOverrides = {},
): StreamMethod {
  async function* call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Uint8Array> {
    const request = decodeHeld(definition.requestType, await onlyRequest(requests), context)
    for await (const reply of handler(request, context)) yield encode(definition.responseType, reply)
  }
  return { name: definition.name, kind: 'server-stream', codes, call }
}

export function bidi<Request, Reply>(
  definition: Definition<Request, Reply>,
  handler: BidiHandler<Request, Reply>,
  codes: CodeOverrides = {},
): StreamMethod {
  async function* decoded(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Request> {
    for await (const bytes of requests) {
      const { message, parts } = decode(definition.requestType, bytes)
      context.hold(parts * PART_BYTES)
      yield message
      context.hold(-parts * PART_BYTES)
    }
  }
  async function* call(requests: AsyncIterable<Uint8Array>, context: RpcContext): AsyncGenerator<Uint8Array> {
    for await (const reply of handler(decoded(requests, context), context)) yield encode(definition.responseType, reply)
  }
  return { name: definition.name, kind: 'bidi', codes, call }
}

/** The stream ended where a message was due; existing clients know this text. */
export function endOfRequests(): RpcError {
  return new RpcError(status.UNKNOWN, 'EOF')
}

/** The first message of a stream, which is all that is read of it. Throws if there is none. */
export async function onlyRequest(requests: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  for await (const bytes of requests) return bytes
  throw endOfRequests()
}

/** A message that counts as held until its call is over. */
function decodeHeld<Message>(codec: Decoder<Message>, bytes: Uint8Array, context: RpcContext): Message {
  const { message, parts } = decode(codec, bytes)
  context.hold(parts * PART_BYTES)
  return message
}

/** What a part of a message takes as a value, besides its bytes. */
const PART_BYTES = 50
/** Tags and lengths in a message: as many, or one for so many bytes. Two bytes can stand for an empty part. */
const MAX_PARTS = 500_000
const MIN_BYTES_PER_PART = 8

/** The message, and how many tags and lengths are in it. */
function decode<Message>(codec: Decoder<Message>, bytes: Uint8Array): { message: Message; parts: number } {
  // Decoded bytes are views of what is decoded. A copy, so that no document kept in memory keeps the buffer of a socket.
  const reader = new CountingReader(new Uint8Array(bytes), strictText)
  try {
    const message = codec.decode(reader)
    return { message, parts: reader.parts }
  } catch (error) {
    if (error instanceof RpcError) throw error
    throw malformed('proto: cannot parse invalid wire-format data', error)
  }
}

const readVarint = new BinaryReader(EMPTY_BYTES).uint32

/** Counts the tags and lengths that it reads, and stops where there are too many. */
class CountingReader extends BinaryReader {
  parts = 0
  override uint32 = countedVarint
}

function countedVarint(this: CountingReader): number {
  if (this.parts++ < Math.max(MAX_PARTS, this.len / MIN_BYTES_PER_PART)) return readVarint.call(this)
  throw toRpcError(new ThreadsError('TOO_LARGE', 'the message has too many parts'))
}

function encode<Message>(codec: Encoder<Message>, message: Message): Uint8Array {
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
