/** Streams of Sync that peers open, as the server has them. */
import { type ServerDuplexStream, ServerInterceptingCall, status as Status } from '@grpc/grpc-js'
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js'
import type { FrameStream } from './frame-stream.ts'
import type { StatusError } from './status.ts'

/** Time for a peer to take what was sent before the end. */
const FAREWELL_MS = 1_000

type Listener = Parameters<ServerInterceptingCall['start']>[0]

/** The one stream of Sync that a session may have. Its next message is read when it is asked for, and not before. */
export class SyncSlot {
  #taken = false
  #mayRead = true
  #read: (() => void) | undefined

  /** Answers whether the slot was free. */
  take(): boolean {
    if (this.#taken) return false
    this.#taken = true
    return true
  }

  free(): void {
    this.#taken = false
    this.#mayRead = true
    this.#read = undefined
  }

  /** Runs `read` once a message is asked for. */
  whenAsked(read: () => void): void {
    if (!this.#mayRead) {
      this.#read = read
      return
    }
    this.#mayRead = false
    read()
  }

  ask(): void {
    const read = this.#read
    this.#read = undefined
    this.#mayRead = read === undefined
    read?.()
  }
}

/** gRPC would read 16 messages ahead. */
export class SyncCall extends ServerInterceptingCall {
  readonly #next: ServerInterceptingCallInterface
  readonly #slot: SyncSlot

  constructor(next: ServerInterceptingCallInterface, slot: SyncSlot) {
    super(next)
    this.#next = next
    this.#slot = slot
  }

  override start(listener: Listener): void {
    if (!this.#slot.take()) {
      this.#next.sendStatus({ code: Status.ABORTED, details: 'one stream of Sync is enough' })
      return
    }
    super.start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message: Uint8Array) => listener.onReceiveMessage(message),
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      // Comes once at the end of every call.
      onCancel: () => {
        this.#slot.free()
        listener.onCancel()
      },
    })
  }

  override startRead(): void {
    this.#slot.whenAsked(() => super.startRead())
  }
}

/** This end of a stream that a peer opened. */
export class AcceptedStream implements FrameStream {
  readonly #call: ServerDuplexStream<Uint8Array, Uint8Array>
  readonly #slot: SyncSlot

  constructor(call: ServerDuplexStream<Uint8Array, Uint8Array>, slot: SyncSlot) {
    this.#call = call
    this.#slot = slot
    call.on('error', () => {})
  }

  get frames(): AsyncIterable<Uint8Array> {
    return this.#frames()
  }

  async *#frames(): AsyncGenerator<Uint8Array> {
    try {
      // Destroyed, a call tells the peer nothing.
      for await (const message of this.#call.iterator({ destroyOnReturn: false })) {
        yield message as Uint8Array
        this.#slot.ask()
      }
    } catch {
      // The peer gave it up: that ends it as well.
    }
  }

  send(message: Uint8Array): Promise<void> {
    if (this.#call.destroyed || this.#call.writableEnded) return Promise.resolve()
    return new Promise((resolve) => void this.#call.write(message, () => resolve()))
  }

  end(status?: StatusError): void {
    if (this.#call.destroyed || this.#call.writableEnded) return
    // It is read no more, whatever the peer does; but it shall hear that it is over.
    const destroy = (): void => void this.#call.destroy()
    this.#call.once('finish', destroy)
    setTimeout(destroy, FAREWELL_MS).unref()
    if (status === undefined) this.#call.end()
    else this.#call.emit('error', status)
  }
}
