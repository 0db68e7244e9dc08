import { type Metadata, ServerInterceptingCall, type ServerInterceptingCallInterface, status } from '@grpc/grpc-js'
import { constants, type ServerHttp2Stream } from 'node:http2'
import { Duplex } from 'node:stream'
import type { CallAccount, CallLedger } from './call-ledger.ts'
import { TOO_MANY_CALLS } from './errors.ts'

/** What a piece of a message takes besides its bytes until the message is whole. */
const PIECE_BYTES = 256
/** Of a gRPC frame: what precedes the message. */
const PREFIX_BYTES = 5

export interface AccountedCallOptions {
  readonly ledger: CallLedger
  /** Largest message that grpc-js hands on, also after it was unpacked. */
  readonly maxMessageBytes: number
}

type Listener = Parameters<ServerInterceptingCall['start']>[0]
type Outcome = Parameters<ServerInterceptingCall['sendStatus']>[0]

/**
 * Counts what a call holds: pieces of a request that is not whole, whole requests until they are handled, replies until
 * they are written. A call that is one too many never gets to its handler.
 */
export class AccountedCall extends ServerInterceptingCall {
  /** Of grpc-js, which keeps it to itself. `undefined` if it is kept elsewhere. */
  readonly stream: ServerHttp2Stream | undefined
  readonly connection: object
  readonly #next: ServerInterceptingCallInterface
  readonly #options: AccountedCallOptions
  #account: CallAccount | undefined
  #unpacking = 0
  /** Of requests that were not handed on. */
  #pieces = 0
  #bytes = 0

  constructor(next: ServerInterceptingCallInterface, options: AccountedCallOptions) {
    super(next)
    this.#next = next
    this.#options = options
    const stream: unknown = Reflect.get(next, 'stream')
    this.stream = isServerStream(stream) ? stream : undefined
    this.connection = this.stream?.session ?? this
  }

  override start(listener: Listener): void {
    const { stream } = this
    this.#account = this.#options.ledger.open(this.connection, () => {
      // Clients are told RESOURCE_EXHAUSTED.
      stream?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
      stream?.destroy()
    })
    if (this.#account === undefined)
      return this.#next.sendStatus({ code: status.RESOURCE_EXHAUSTED, details: TOO_MANY_CALLS })
    // While a packed message is unpacked, what it becomes is not seen.
    if (Reflect.get(this.#next, 'incomingEncoding') !== 'identity') this.#unpacking = this.#options.maxMessageBytes
    this.#account.add(this.#unpacking)
    stream?.on('data', (piece: Buffer) => this.#count(piece.length, 1))
    this.#next.start(this.#watched(listener, this.#account))
  }

  // The base class hands everything through a chain of interceptors for each call; here there is nothing to wait for.

  override startRead(): void {
    this.#next.startRead()
  }

  override sendMetadata(metadata: Metadata): void {
    this.#next.sendMetadata(metadata)
  }

  override sendMessage(message: Uint8Array, callback: () => void): void {
    this.#account?.add(message.length)
    this.#next.sendMessage(message, () => {
      this.#account?.add(-message.length)
      callback()
    })
  }

  override sendStatus(outcome: Outcome): void {
    this.#next.sendStatus(outcome)
  }

  /** Counts what is held, or given back, beyond what is seen here. */
  hold(bytes: number): void {
    this.#account?.add(bytes)
  }

  #watched(listener: Listener, account: CallAccount): Listener {
    let isOver = false
    return {
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message: Uint8Array) => {
        if (isOver) return
        this.#count(-Math.min(this.#bytes, message.length + PREFIX_BYTES), Math.min(0, 1 - this.#pieces))
        account.add(message.length)
        listener.onReceiveMessage(message)
      },
      onReceiveHalfClose: () => {
        if (isOver) return
        account.add(-this.#unpacking)
        this.#unpacking = 0
        listener.onReceiveHalfClose()
      },
      // Comes once at the end of every call, also of those that went well.
      onCancel: () => {
        isOver = true
        account.close()
        listener.onCancel()
      },
    }
  }

  #count(bytes: number, pieces: number): void {
    this.#bytes += bytes
    this.#pieces += pieces
    this.#account?.add(bytes + pieces * PIECE_BYTES)
  }
}

/** The accounted call behind a call of grpc-js, which keeps it to itself. */
export function accountedCallOf(call: object): AccountedCall | undefined {
  const inner: unknown = Reflect.get(call, 'call')
  return inner instanceof AccountedCall ? inner : undefined
}

function isServerStream(value: unknown): value is ServerHttp2Stream {
  return value instanceof Duplex && 'pushAllowed' in value
}
