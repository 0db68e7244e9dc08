import { type ChannelCredentials, Client, credentials, Metadata, type ServiceError } from '@grpc/grpc-js'
import { createSecureContext } from 'node:tls'
import { equalBytes } from '../../core/bytes.ts'
import { systemClock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import { type Endpoint, failureOf } from '../failure.ts'
import type { CallOptions, StreamTransport, UnaryTransport } from '../transport.ts'

/** A call may pull records: this long, not longer. */
const CALL_MS = 60_000
/** Largest reply taken: a list of databases has no other limit. */
const MAX_REPLY_BYTES = 256 * 1024 * 1024
/** How soon a stream ends whose daemon is gone without a word. */
const KEEPALIVE_TIME_MS = 60_000

/** gRPC on Node, which daemons of go-threads have too. */
export class GrpcTransport implements UnaryTransport, Pick<StreamTransport, 'replies'>, Disposable {
  readonly #endpoint: Endpoint
  readonly #client: Client

  /**
   * @param address `host:port` of the daemon's gRPC port. Dialled by the first call.
   * @param certificate of the daemon, in PEM: TLS is spoken, with whoever shows this one. Default: no TLS.
   */
  constructor(address: string, certificate?: string) {
    this.#endpoint = { address, hint: 'It must be the gRPC port of a daemon, by default 6006' }
    const channel = certificate === undefined ? credentials.createInsecure() : pinnedTo(certificate)
    this.#client = new Client(address, channel, {
      'grpc.max_receive_message_length': MAX_REPLY_BYTES,
      'grpc.keepalive_time_ms': KEEPALIVE_TIME_MS,
    })
  }

  unary(path: string, request: Uint8Array, { authorization, signal }: CallOptions): Promise<Uint8Array> {
    const metadata = new Metadata()
    if (authorization !== '') metadata.set('authorization', authorization)
    return new Promise((resolve, reject) => {
      signal?.throwIfAborted()
      const onAbort = (): void => call.cancel()
      const call = this.#client.makeUnaryRequest(
        path,
        (bytes: Uint8Array) => Buffer.from(bytes),
        (bytes: Buffer) => new Uint8Array(bytes),
        request,
        metadata,
        { deadline: systemClock.nowMs() + CALL_MS },
        (error, reply) => {
          signal?.removeEventListener('abort', onAbort)
          if (error !== null) reject(signal?.aborted === true ? signal.reason : this.#failure(error, path))
          else if (reply !== undefined) resolve(reply)
        },
      )
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  /** Takes as long as it takes; a reply is fetched when it is asked for. */
  async *replies(path: string, request: Uint8Array, options: CallOptions): AsyncGenerator<Uint8Array> {
    const { authorization, signal } = options
    const metadata = new Metadata()
    if (authorization !== '') metadata.set('authorization', authorization)
    signal?.throwIfAborted()
    const call = this.#client.makeServerStreamRequest(
      path,
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes: Buffer) => new Uint8Array(bytes),
      request,
      metadata,
    )
    const onAbort = (): void => call.cancel()
    signal?.addEventListener('abort', onAbort, { once: true })
    try {
      for await (const reply of call) yield reply
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      throw isServiceError(error) ? this.#failure(error, path) : error
    } finally {
      signal?.removeEventListener('abort', onAbort)
      call.cancel()
    }
  }

  [Symbol.dispose](): void {
    this.#client.close()
  }

  #failure({ code: status, details: text, metadata }: ServiceError, path: string): Error {
    const trailer = (name: string) => metadata.get(name)[0]?.toString()
    const hint = trailer('threads-error-hint')
    const outcome = { status, text, code: trailer('threads-error-code'), hint: hint && decodeURI(hint) }
    return failureOf(outcome, this.#endpoint, path) ?? new Error(text)
  }
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error
}

/** The certificate says who the daemon is, whatever the name by which it is called. Throws INVALID_KEY. */
function pinnedTo(certificate: string): ChannelCredentials {
  const [, text] = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/.exec(certificate) ?? []
  if (text === undefined) throw new ThreadsError('INVALID_KEY', 'the certificate is none in PEM')
  const pinned = Buffer.from(text, 'base64')
  // It may be signed by anybody.
  const context = createSecureContext({ ca: certificate, allowPartialTrustChain: true })
  return credentials.createFromSecureContext(context, {
    checkServerIdentity: (_host, { raw }) =>
      equalBytes(raw, pinned) ? undefined : new Error('the daemon has another certificate'),
  })
}
