import { Metadata, type ServerDuplexStream, type ServerUnaryCall } from '@grpc/grpc-js'
import { type AccountedCall, accountedCallOf } from './accounted-call.ts'
import { Cancellation } from './cancellation.ts'
import type { RpcError } from './errors.ts'
import type { CallInfo } from './service.ts'

export type UnaryCall = ServerUnaryCall<Buffer, Buffer>
export type StreamCall = ServerDuplexStream<Buffer, Buffer>

/** What grpc-js knows of a call. */
export class GrpcCall implements CallInfo {
  readonly #call: UnaryCall | StreamCall
  readonly #accounted: AccountedCall | undefined
  readonly #cancellation = new Cancellation()

  constructor(call: UnaryCall | StreamCall) {
    this.#call = call
    this.#accounted = accountedCallOf(call)
    // Also when the deadline passes, which grpc-js watches, and once at the end of every call.
    call.on('cancelled', () => this.#cancellation.cancel())
    if (call.cancelled) this.#cancellation.cancel()
  }

  get signal(): AbortSignal {
    return this.#cancellation.signal
  }

  get connection(): object {
    return this.#accounted?.connection ?? this.#call
  }

  metadata(name: string): string | undefined {
    return this.#call.metadata.get(name)[0]?.toString()
  }

  hold(bytes: number): void {
    this.#accounted?.hold(bytes)
  }

  /** The call is answered: nothing cancels it any more. */
  release(): void {
    this.#cancellation.release()
  }
}

export function statusOf({ code, message, trailers }: RpcError): { code: number; details: string; metadata: Metadata } {
  const metadata = new Metadata()
  for (const [name, value] of Object.entries(trailers)) metadata.set(name, value)
  return { code, details: message, metadata }
}
