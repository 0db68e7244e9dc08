import type { BinaryReader } from '@bufbuild/protobuf/wire'
import { Client, credentials, Metadata, type StatusObject } from '@grpc/grpc-js'

export interface RpcStatus {
  readonly code: number
  readonly message: string
  readonly trailers: Readonly<Record<string, string>>
}

/** A call as a client sees it, with encoded messages; the same for all transports. */
export interface RpcCall {
  send(message: Uint8Array): void
  halfClose(): void
  /** `undefined` when there are no more. */
  receive(): Promise<Uint8Array | undefined>
  /** Resolves when the call is over, however it ended. */
  readonly status: Promise<RpcStatus>
  cancel(): void
}

export interface OpenOptions {
  readonly metadata?: readonly (readonly [name: string, value: string])[]
  readonly timeoutMs?: number
}

/** A way to reach a server. */
export interface Transport extends Disposable {
  open(path: string, options?: OpenOptions): RpcCall
}

interface Codec<Message, Partial> {
  encode(message: Message): { finish(): Uint8Array }
  decode(input: BinaryReader | Uint8Array): Message
  fromPartial(members: Partial): Message
}

interface Definition<Request, RequestMembers, Reply, ReplyMembers> {
  readonly name: string
  readonly requestType: Codec<Request, RequestMembers>
  readonly responseType: Codec<Reply, ReplyMembers>
}

/** A call that did not end with OK. */
export class RpcFailure extends Error {
  readonly code: number
  readonly trailers: Readonly<Record<string, string>>

  constructor({ code, message, trailers }: RpcStatus) {
    super(message)
    this.name = 'RpcFailure'
    this.code = code
    this.trailers = trailers
  }
}

/** A call with decoded messages. */
export class Conversation<Request, Members, Reply, ReplyMembers> {
  readonly call: RpcCall
  readonly #definition: Definition<Request, Members, Reply, ReplyMembers>

  constructor(call: RpcCall, definition: Definition<Request, Members, Reply, ReplyMembers>) {
    this.call = call
    this.#definition = definition
  }

  send(members: Members): void {
    const { requestType } = this.#definition
    this.call.send(requestType.encode(requestType.fromPartial(members)).finish())
  }

  /** `undefined` when there are no more. */
  async receive(): Promise<Reply | undefined> {
    const bytes = await this.call.receive()
    return bytes === undefined ? undefined : this.#definition.responseType.decode(bytes)
  }

  /** Throws if the call did not end with OK. */
  async end(): Promise<void> {
    this.call.halfClose()
    const status = await this.call.status
    if (status.code !== 0) throw new RpcFailure(status)
  }
}

/** Calls the methods of one service. */
export class ServiceClient {
  readonly #transport: Transport
  readonly #service: string

  constructor(transport: Transport, { fullName }: { readonly fullName: string }) {
    this.#transport = transport
    this.#service = fullName
  }

  /** Throws RpcFailure. */
  async unary<Request, Members, Reply, ReplyMembers>(
    definition: Definition<Request, Members, Reply, ReplyMembers>,
    members: Members,
    options?: OpenOptions,
  ): Promise<Reply> {
    const conversation = this.open(definition, options)
    conversation.send(members)
    conversation.call.halfClose()
    const reply = await conversation.receive()
    const status = await conversation.call.status
    if (status.code !== 0 || reply === undefined) throw new RpcFailure(status)
    return reply
  }

  open<Request, Members, Reply, ReplyMembers>(
    definition: Definition<Request, Members, Reply, ReplyMembers>,
    options?: OpenOptions,
  ): Conversation<Request, Members, Reply, ReplyMembers> {
    return new Conversation(this.#transport.open(`/${this.#service}/${definition.name}`, options), definition)
  }
}

/** Replies that came before they were asked for, and the other way round. */
export class Inbox {
  readonly #messages: Uint8Array[] = []
  readonly #waiting: ((message: Uint8Array | undefined) => void)[] = []
  #ended = false

  push(message: Uint8Array): void {
    const waiting = this.#waiting.shift()
    if (waiting === undefined) this.#messages.push(message)
    else waiting(message)
  }

  end(): void {
    this.#ended = true
    for (const waiting of this.#waiting.splice(0)) waiting(undefined)
  }

  receive(): Promise<Uint8Array | undefined> {
    if (this.#messages.length > 0 || this.#ended) return Promise.resolve(this.#messages.shift())
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}

/** gRPC over HTTP/2, by grpc-js. */
export function grpcTransport(address: string): Transport {
  const client = new Client(address, credentials.createInsecure(), {
    'grpc.max_receive_message_length': -1,
    'grpc.max_send_message_length': -1,
  })
  return {
    open: (path, options = {}) => openGrpc(client, path, options),
    [Symbol.dispose]: () => client.close(),
  }
}

function openGrpc(client: Client, path: string, { metadata = [], timeoutMs }: OpenOptions): RpcCall {
  const sent = new Metadata()
  for (const [name, value] of metadata) sent.add(name, value)
  const options = timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs }
  const stream = client.makeBidiStreamRequest(path, toBuffer, (bytes: Buffer) => bytes, sent, options)
  const inbox = new Inbox()
  const status = new Promise<RpcStatus>((resolve) => {
    stream.on('status', ({ code, details, metadata: trailers }: StatusObject) => {
      inbox.end()
      resolve({ code, message: details, trailers: textsOf(trailers) })
    })
  })
  stream.on('data', (message: Buffer) => inbox.push(message))
  stream.on('error', () => {})
  return {
    send: (message) => void stream.write(message),
    halfClose: () => stream.end(),
    receive: () => inbox.receive(),
    status,
    cancel: () => stream.cancel(),
  }
}

function textsOf(metadata: Metadata): Record<string, string> {
  return Object.fromEntries(Object.entries(metadata.getMap()).map(([name, value]) => [name, value.toString()]))
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
