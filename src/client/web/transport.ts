import { ThreadsError } from '../../core/errors.ts'
import { type Endpoint, failureOf, unreachable } from '../failure.ts'
import type { CallOptions, MessageStream, StreamTransport } from '../transport.ts'
import { FrameReader, frameOf, outcomeOf } from './frames.ts'
import { openSocket } from './socket.ts'

const HINT = 'It must be the gRPC-Web address of a daemon, by default http://127.0.0.1:6007'

/** gRPC-Web by fetch, and streams in both directions by websockets. Needs nothing that is not in browsers and in Node. */
export class WebTransport implements StreamTransport {
  readonly #endpoint: Endpoint

  /** Of the gRPC-Web port: `http://host:port` or `https://host:port`. Throws INVALID_ADDRESS. */
  constructor(address: string) {
    const url = URL.canParse(address) ? new URL(address) : undefined
    if (url === undefined || !/^https?:$/.test(url.protocol)) {
      throw new ThreadsError('INVALID_ADDRESS', `${address} is no http or https address`, { hint: HINT })
    }
    this.#endpoint = { address: url.href.replace(/\/$/, ''), hint: HINT }
  }

  async unary(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array> {
    let first: Uint8Array | undefined
    // To the end, where the outcome is, and so that the connection serves the next call.
    for await (const reply of this.replies(path, request, options)) first ??= reply
    if (first !== undefined) return first
    throw new ThreadsError('BAD_MESSAGE', `${this.#endpoint.address} gave no reply to ${path}`)
  }

  async *replies(
    path: string,
    request: Uint8Array,
    { authorization, signal }: CallOptions,
  ): AsyncGenerator<Uint8Array> {
    const left = new AbortController()
    const ends = signal === undefined ? left.signal : AbortSignal.any([left.signal, signal])
    const reader = new FrameReader()
    let headers: Headers
    try {
      const response = await this.#fetch(path, request, { authorization, signal: ends })
      headers = response.headers
      const chunks = response.body?.getReader()
      for (let next = await chunks?.read(); next?.value !== undefined; next = await chunks?.read()) {
        yield* reader.push(next.value)
      }
    } catch (error) {
      if (error instanceof ThreadsError) throw error
      signal?.throwIfAborted()
      throw unreachable(this.#endpoint, error instanceof Error ? error.message : String(error), error)
    } finally {
      left.abort()
    }
    const outcome = reader.outcome ?? outcomeOf((name) => headers.get(name))
    if (outcome === undefined) throw unreachable(this.#endpoint, 'the connection was lost')
    const failure = failureOf(outcome, this.#endpoint, path)
    if (failure !== undefined) throw failure
  }

  open(path: string, options: CallOptions): MessageStream {
    return openSocket(this.#endpoint, path, options)
  }

  async #fetch(path: string, request: Uint8Array, options: CallOptions & { signal: AbortSignal }): Promise<Response> {
    const { authorization, signal } = options
    const response = await fetch(`${this.#endpoint.address}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/grpc-web+proto', 'x-grpc-web': '1', authorization },
      body: frameOf(request) as Uint8Array<ArrayBuffer>,
      signal,
    })
    if (response.ok) return response
    throw unreachable(this.#endpoint, `it answers ${path} with HTTP status ${response.status}`)
  }
}
