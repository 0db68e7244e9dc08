import { WebSocket } from 'ws'
import { Inbox, type OpenOptions, type RpcCall, type RpcStatus, type Transport } from './grpc-client.ts'

const PREFIX_BYTES = 5
const TRAILERS = 0x80

/** gRPC-Web over HTTP, by fetch: the request goes out with the half-close. */
export function grpcWebTransport(url: string, format: 'binary' | 'text' = 'binary'): Transport {
  return {
    open: (path, options = {}) => openFetch(`${url}${path}`, format, options),
    [Symbol.dispose]: () => {},
  }
}

/** grpc-websockets, with frames made by hand. */
export function webSocketTransport(url: string): Transport {
  return {
    open: (path, options = {}) => openWebSocket(`${url.replace('http:', 'ws:')}${path}`, options),
    [Symbol.dispose]: () => {},
  }
}

/** A gRPC frame around a message. */
export function frameOf(message: Uint8Array): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

function openFetch(url: string, format: 'binary' | 'text', options: OpenOptions): RpcCall {
  const isText = format === 'text'
  const outgoing: Buffer[] = []
  const response = new ResponseReader()
  const abort = new AbortController()

  async function run(): Promise<void> {
    const body = Buffer.concat(outgoing)
    const headers = new Headers({
      'content-type': `application/grpc-web${isText ? '-text' : ''}+proto`,
      'x-grpc-web': '1',
    })
    for (const [name, value] of options.metadata ?? []) headers.append(name, value)
    if (options.timeoutMs !== undefined) headers.set('grpc-timeout', `${options.timeoutMs}m`)
    const answer = await fetch(url, {
      method: 'POST',
      headers,
      body: isText ? body.toString('base64') : body,
      signal: abort.signal,
    })
    for await (const chunk of isText ? fromBase64(answer.body ?? []) : (answer.body ?? [])) response.push(chunk)
  }

  return {
    send: (message) => void outgoing.push(frameOf(message)),
    halfClose: () => {
      run().then(
        () => response.end(),
        () => response.end(),
      )
    },
    receive: () => response.inbox.receive(),
    status: response.status,
    cancel: () => abort.abort(),
  }
}

/** Every write of the server is a base64 text of its own; the network cuts them anywhere. */
async function* fromBase64(chunks: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let rest = ''
  for await (const chunk of chunks) {
    const text = rest + Buffer.from(chunk).toString('latin1')
    const whole = text.length - (text.length % 4)
    rest = text.slice(whole)
    for (const part of text.slice(0, whole).match(/[^=]+=*/g) ?? []) yield Buffer.from(part, 'base64')
  }
}

function openWebSocket(url: string, { metadata = [], timeoutMs }: OpenOptions): RpcCall {
  const socket = new WebSocket(url, 'grpc-websockets')
  const response = new ResponseReader()
  const outgoing: Uint8Array[] = []
  const send = (bytes: Uint8Array) => {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes)
    else outgoing.push(bytes)
  }
  const timeout: [string, string][] = timeoutMs === undefined ? [] : [['grpc-timeout', `${timeoutMs}m`]]
  const headers = [['content-type', 'application/grpc-web+proto'], ['x-grpc-web', '1'], ...metadata, ...timeout]
  send(Buffer.from(headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')))
  socket.on('open', () => {
    for (const bytes of outgoing.splice(0)) socket.send(bytes)
  })
  socket.on('message', (data: Buffer) => response.push(data))
  socket.on('error', () => {})
  socket.on('close', () => response.end())
  return {
    send: (message) => send(Buffer.concat([Buffer.of(0), frameOf(message)])),
    halfClose: () => send(Buffer.of(1)),
    receive: () => response.inbox.receive(),
    status: response.status,
    cancel: () => {
      // As clients do: without a half-close, and after all that was sent before.
      if (socket.readyState === WebSocket.CONNECTING) socket.once('open', () => socket.close())
      else socket.close()
    },
  }
}

/** Takes a response apart; the last frame of headers holds the status, if trailers do not come by themselves. */
export class ResponseReader {
  readonly inbox: Inbox = new Inbox()
  readonly status: Promise<RpcStatus>
  trailers: Readonly<Record<string, string>> = {}
  readonly #resolve: (status: RpcStatus) => void
  #rest: Buffer = Buffer.alloc(0)

  constructor() {
    const { promise, resolve } = Promise.withResolvers<RpcStatus>()
    this.status = promise
    this.#resolve = resolve
  }

  push(chunk: Uint8Array): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= PREFIX_BYTES) {
      const end = PREFIX_BYTES + this.#rest.readUInt32BE(1)
      if (this.#rest.length < end) return
      const payload = this.#rest.subarray(PREFIX_BYTES, end)
      if (this.#rest[0] === TRAILERS) this.trailers = parse(payload)
      else this.inbox.push(payload)
      this.#rest = this.#rest.subarray(end)
    }
  }

  end(): void {
    this.inbox.end()
    const { 'grpc-status': code, 'grpc-message': message = '', ...trailers } = this.trailers
    this.#resolve({ code: Number(code ?? 2), message: decodeURIComponent(message), trailers })
  }
}

function parse(block: Buffer): Record<string, string> {
  const lines = block.toString('latin1').split('\r\n').filter(Boolean)
  return Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':')
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    }),
  )
}
