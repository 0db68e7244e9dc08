import type { AbortOptions } from '../core/abort.ts'

export interface CallOptions extends AbortOptions {
  /** Value of the header of that name; empty for none. */
  readonly authorization: string
}

/** One message there, one back. Messages are encoded. */
export interface UnaryTransport {
  /** `path` is `/<service>/<method>`. Rejects with a ThreadsError, or the reason of the signal. */
  unary(path: string, request: Uint8Array, options: CallOptions): Promise<Uint8Array>
}

export interface StreamTransport extends UnaryTransport {
  /** The replies to one message. Leaving the loop cancels the call. */
  replies(path: string, request: Uint8Array, options: CallOptions): AsyncIterable<Uint8Array>
  /** A call in which both sides send. */
  open(path: string, options: CallOptions): MessageStream
}

export interface MessageStream {
  send(message: Uint8Array): void
  /** Tells that nothing more is sent. */
  halfClose(): void
  /** The next message; `undefined` when the other side ended the call with success. Throws why it failed. */
  receive(): Promise<Uint8Array | undefined>
  /** Ends the call without a half-close, if it is not over. */
  cancel(): void
}
