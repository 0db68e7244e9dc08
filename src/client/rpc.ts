import type { AbortOptions } from '../core/abort.ts'
import { hasCode, ThreadsError } from '../core/errors.ts'
import type { CallOptions, MessageStream, StreamTransport, UnaryTransport } from './transport.ts'

/** Methods of the generated code. */
export interface Method<Request, Members, Reply> {
  readonly name: string
  readonly requestType: {
    encode(message: Request): { finish(): Uint8Array }
    fromPartial(members: Members): Request
  }
  readonly responseType: { decode(input: Uint8Array): Reply }
}

export interface Service {
  readonly fullName: string
}

/** Calls a method with a message of these members. Rejects with a ThreadsError, or the reason of the signal. */
export async function callUnary<Request, Members, Reply>(
  transport: UnaryTransport,
  { service, method, members }: Call<Request, Members, Reply>,
  options: CallOptions,
): Promise<Reply> {
  return decode(method, await transport.unary(pathOf(service, method), encode(method, members), options))
}

/** The replies to one message of these members. Throws as `callUnary` rejects. */
export async function* callReplies<Request, Members, Reply>(
  transport: Pick<StreamTransport, 'replies'>,
  { service, method, members }: Call<Request, Members, Reply>,
  options: CallOptions,
): AsyncGenerator<Reply> {
  const replies = transport.replies(pathOf(service, method), encode(method, members), options)
  for await (const reply of replies) yield decode(method, reply)
}

export interface Call<Request, Members, Reply> {
  readonly service: Service
  readonly method: Method<Request, Members, Reply>
  readonly members: Members
}

/** A call in which both sides send, with messages in place of bytes. */
export interface RpcStream<Members, Reply> extends Pick<MessageStream, 'halfClose' | 'cancel'> {
  send(members: Members): void
  /** `undefined` when the other side ended the call with success. Throws why it failed. */
  receive(): Promise<Reply | undefined>
}

/** Tells who calls; a token that is no good is replaced. */
export interface Authorization {
  /** Value of the header of that name. */
  header(options: AbortOptions): Promise<string>
  /** Called with what a call with this header failed with. */
  failed(error: unknown, header: string): void
}

/** The methods of one service, as one caller. */
export class Rpc {
  readonly #service: Service
  readonly #transport: StreamTransport
  readonly #authorization: Authorization

  constructor(service: Service, transport: StreamTransport, authorization: Authorization) {
    this.#service = service
    this.#transport = transport
    this.#authorization = authorization
  }

  async unary<Request, Members, Reply>(
    method: Method<Request, Members, Reply>,
    members: Members,
    options: AbortOptions,
  ): Promise<Reply> {
    const call = { service: this.#service, method, members }
    return withGoodToken(() => this.#attempt(options, (callOptions) => callUnary(this.#transport, call, callOptions)))
  }

  /** The replies to one message. */
  async *replies<Request, Members, Reply>(
    method: Method<Request, Members, Reply>,
    members: Members,
    options: AbortOptions,
  ): AsyncGenerator<Reply> {
    const call = { service: this.#service, method, members }
    yield* await withGoodToken(() =>
      this.#attempt(options, (callOptions) => begun(callReplies(this.#transport, call, callOptions))),
    )
  }

  async open<Request, Members, Reply>(
    method: Method<Request, Members, Reply>,
    options: AbortOptions,
  ): Promise<RpcStream<Members, Reply>> {
    const callOptions = await this.#callOptions(options)
    const stream = this.#transport.open(pathOf(this.#service, method), callOptions)
    return {
      send: (members) => stream.send(encode(method, members)),
      receive: () =>
        this.#noticed(callOptions, async () => {
          const reply = await stream.receive()
          return reply === undefined ? undefined : decode(method, reply)
        }),
      halfClose: () => stream.halfClose(),
      cancel: () => stream.cancel(),
    }
  }

  async #attempt<Result>(options: AbortOptions, call: (options: CallOptions) => Promise<Result>): Promise<Result> {
    const callOptions = await this.#callOptions(options)
    return this.#noticed(callOptions, () => call(callOptions))
  }

  async #noticed<Result>({ authorization }: CallOptions, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call()
    } catch (error) {
      this.#authorization.failed(error, authorization)
      throw error
    }
  }

  async #callOptions({ signal }: AbortOptions): Promise<CallOptions> {
    const abort = signal === undefined ? {} : { signal }
    return { authorization: await this.#authorization.header(abort), ...abort }
  }
}

/**
 * Begins a call once more if it was refused for its token: the next one gets another. Nothing was done then, as calls are
 * refused before they begin.
 */
export async function withGoodToken<Result>(begin: () => Promise<Result>): Promise<Result> {
  try {
    return await begin()
  } catch (error) {
    if (hasCode(error, 'TOKEN_INVALID')) return begin()
    throw error
  }
}

/** The same messages, when the first is there. */
async function begun<Message>(messages: AsyncIterable<Message>): Promise<AsyncIterable<Message>> {
  const iterator = messages[Symbol.asyncIterator]()
  const first = await iterator.next()
  return (async function* all() {
    try {
      for (let next = first; next.done !== true; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.()
    }
  })()
}

/** Of nobody. */
export const anonymous: Authorization = { header: async () => '', failed: () => {} }

function pathOf({ fullName }: Service, { name }: { readonly name: string }): string {
  return `/${fullName}/${name}`
}

function encode<Request, Members, Reply>(method: Method<Request, Members, Reply>, members: Members): Uint8Array {
  return method.requestType.encode(method.requestType.fromPartial(members)).finish()
}

function decode<Reply>(
  { name, responseType }: Pick<Method<never, never, Reply>, 'name' | 'responseType'>,
  reply: Uint8Array,
): Reply {
  try {
    return responseType.decode(reply)
  } catch (cause) {
    throw new ThreadsError('BAD_MESSAGE', `the reply of ${name} cannot be read`, { cause })
  }
}
