import type { BinaryReader } from '@bufbuild/protobuf/wire'
import { Client, credentials, type ServiceError, status } from '@grpc/grpc-js'
import { systemClock } from '../core/clock.ts'
import { ThreadsError } from '../core/errors.ts'

/** A call may pull records: this long, not longer. */
const CALL_MS = 60_000
/** Largest reply taken: a list of databases has no other limit. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024

interface Codec<Message, Members> {
  encode(message: Message): { finish(): Uint8Array }
  decode(input: BinaryReader | Uint8Array): Message
  fromPartial(members: Members): Message
}

interface Method<Request, Members, Reply, ReplyMembers> {
  readonly name: string
  readonly requestType: Codec<Request, Members>
  readonly responseType: Codec<Reply, ReplyMembers>
}

/** Unary gRPC calls to one daemon. */
export class Connection implements Disposable {
  /** `host:port` of the daemon's gRPC port. */
  readonly address: string
  readonly #client: Client

  constructor(address: string) {
    this.address = address
    this.#client = new Client(address, credentials.createInsecure(), {
      'grpc.max_receive_message_length': MAX_REPLY_BYTES,
    })
  }

  /** Throws PEER_UNREACHABLE, and PEER_REFUSED with the daemon's text. */
  call<Request, Members, Reply, ReplyMembers>(
    service: { readonly fullName: string },
    method: Method<Request, Members, Reply, ReplyMembers>,
    members: Members,
  ): Promise<Reply> {
    const path = `/${service.fullName}/${method.name}`
    const { requestType, responseType } = method
    return new Promise((resolve, reject) => {
      this.#client.makeUnaryRequest(
        path,
        (request: Request) => Buffer.from(requestType.encode(request).finish()),
        (bytes: Buffer) => responseType.decode(bytes),
        requestType.fromPartial(members),
        { deadline: systemClock.nowMs() + CALL_MS },
        (error, reply) => {
          if (error !== null) reject(this.#failure(error, path))
          else if (reply !== undefined) resolve(reply)
        },
      )
    })
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #failure(error: ServiceError, path: string): ThreadsError {
    const { code, details } = error
    const hint = 'It must be the gRPC port of a daemon, by default 6006'
    if (code === status.UNIMPLEMENTED) {
      return new ThreadsError('PEER_REFUSED', `${this.address} does not offer ${path}`, { cause: error, hint })
    }
    if (code === status.UNAVAILABLE || code === status.DEADLINE_EXCEEDED) {
      const message = `no daemon answers at ${this.address}: ${details}`
      return new ThreadsError('PEER_UNREACHABLE', message, { cause: error, hint })
    }
    return new ThreadsError('PEER_REFUSED', details, { cause: error })
  }
}
