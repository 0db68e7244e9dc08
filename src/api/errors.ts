import { status } from '@grpc/grpc-js'
import { type ErrorCode, ThreadsError } from '../core/errors.ts'

/**
 * The gRPC code of every failure. Existing clients know most failures by their text only, so most codes are UNKNOWN,
 * as they have always been. An RPC that answers one of these codes otherwise says so in the table of its service.
 */
export const GRPC_CODES: Readonly<Record<ErrorCode, status>> = {
  THREAD_NOT_FOUND: status.NOT_FOUND,
  LOG_NOT_FOUND: status.UNKNOWN,
  RECORD_NOT_FOUND: status.UNKNOWN,
  DB_NOT_FOUND: status.NOT_FOUND,
  COLLECTION_NOT_FOUND: status.NOT_FOUND,
  INSTANCE_NOT_FOUND: status.UNKNOWN,
  THREAD_EXISTS: status.UNKNOWN,
  LOG_EXISTS: status.UNKNOWN,
  DB_EXISTS: status.UNKNOWN,
  COLLECTION_EXISTS: status.UNKNOWN,
  INSTANCE_EXISTS: status.UNKNOWN,
  UNIQUE_VIOLATION: status.UNKNOWN,
  TEST_FAILED: status.ABORTED,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  INVALID_ID: status.INVALID_ARGUMENT,
  INVALID_NAME: status.UNKNOWN,
  INVALID_KEY: status.UNKNOWN,
  INVALID_ADDRESS: status.UNKNOWN,
  INVALID_SCHEMA: status.UNKNOWN,
  INVALID_INSTANCE: status.UNKNOWN,
  INVALID_QUERY: status.UNKNOWN,
  INVALID_PATCH: status.INVALID_ARGUMENT,
  INVALID_INDEX: status.UNKNOWN,
  INVALID_FUNCTION: status.UNKNOWN,
  INVALID_RECORD: status.UNKNOWN,
  INVALID_BACKUP: status.INVALID_ARGUMENT,
  KEY_MISMATCH: status.UNKNOWN,
  SERVICE_KEY_REQUIRED: status.UNKNOWN,
  READ_KEY_REQUIRED: status.UNKNOWN,
  PRIVATE_KEY_REQUIRED: status.UNKNOWN,
  THREAD_IN_USE: status.UNKNOWN,
  READONLY_TRANSACTION: status.UNKNOWN,
  TRANSACTION_CLOSED: status.UNKNOWN,
  TRANSACTION_TIMEOUT: status.ABORTED,
  TOKEN_REQUIRED: status.UNAUTHENTICATED,
  TOKEN_INVALID: status.UNKNOWN,
  CALLER_DENIED: status.PERMISSION_DENIED,
  WRITE_DENIED: status.UNKNOWN,
  READ_FILTER_FAILED: status.UNKNOWN,
  SANDBOX_LIMIT: status.RESOURCE_EXHAUSTED,
  SANDBOX_DOWN: status.UNAVAILABLE,
  DB_REBUILDING: status.UNAVAILABLE,
  CLOCK_SKEW: status.FAILED_PRECONDITION,
  PEER_UNREACHABLE: status.UNKNOWN,
  PEER_REFUSED: status.UNKNOWN,
  BAD_SIGNATURE: status.UNKNOWN,
  BROKEN_CHAIN: status.UNKNOWN,
  LOG_WAITS: status.FAILED_PRECONDITION,
  NOT_WAITING: status.FAILED_PRECONDITION,
  BAD_MESSAGE: status.UNKNOWN,
  TOO_LARGE: status.RESOURCE_EXHAUSTED,
  STORE_FAILED: status.UNAVAILABLE,
  STORE_READONLY: status.UNAVAILABLE,
  UPDATES_LOST: status.DATA_LOSS,
  STORE_CORRUPT: status.DATA_LOSS,
  STORE_BUSY: status.UNAVAILABLE,
  STORE_LOCKED: status.UNAVAILABLE,
  STORE_VERSION: status.FAILED_PRECONDITION,
  NO_SPACE: status.RESOURCE_EXHAUSTED,
  CLOSED: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
}

export type CodeOverrides = Partial<Record<ErrorCode, status>>

/** Longest text sent: clients limit the size of trailers. */
const MAX_TEXT_LENGTH = 2_000

/** How a call failed, as its caller is told. A ThreadsError as its cause tells code and hint. */
export class RpcError extends Error {
  /** Status code of gRPC. */
  readonly code: number

  constructor(code: number, message: string, cause?: unknown) {
    super(sendableText(message), cause === undefined ? {} : { cause })
    this.name = 'RpcError'
    this.code = code
  }

  /** What travels beside code and text. */
  get trailers(): Record<string, string> {
    if (!(this.cause instanceof ThreadsError)) return {}
    const { code, hint } = this.cause
    const hints = hint === undefined ? {} : { 'threads-error-hint': encodeURI(sendableText(hint)) }
    return { 'threads-error-code': code, ...hints }
  }
}

/** Whether a caller may be told about a failure. All others are faults of this program. */
export function isForeseen(error: unknown): error is RpcError | ThreadsError {
  return error instanceof RpcError || (error instanceof ThreadsError && error.code !== 'INTERNAL')
}

/** Turns anything thrown into what the caller is told. The text of a failure nobody foresaw stays inside. */
export function toRpcError(error: unknown, overrides: CodeOverrides = {}): RpcError {
  if (!isForeseen(error)) return new RpcError(status.INTERNAL, 'internal error', error)
  if (error instanceof RpcError) return error
  const code = refusedStatus(error) ?? overrides[error.code] ?? GRPC_CODES[error.code]
  return new RpcError(code, error.message, error)
}

/**
 * Why an operation inside a transaction failed, whose stream goes on. Rethrows what must end the stream: it is out of
 * time, its collection is gone, or the failure is not one of the operation.
 */
export function transactionErrorOf(error: unknown): ThreadsError {
  if (!(error instanceof ThreadsError) || !isForeseen(error) || error.code === 'TRANSACTION_TIMEOUT') throw error
  if (error.code === 'COLLECTION_NOT_FOUND') throw new RpcError(status.UNKNOWN, error.message, error)
  return error
}

/** Runs a decoder of request fields: what it refuses is an invalid argument, whatever it is elsewhere. */
export function invalid<T>(decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
    throw new RpcError(status.INVALID_ARGUMENT, error.message, error)
  }
}

/** Told to a client whose calls are as many as all clients together may have. */
export const TOO_MANY_CALLS = 'too many calls at once'

export function tooLarge(bytes: number, maxBytes: number): RpcError {
  const message = `grpc: received message larger than max (${bytes} vs. ${maxBytes})`
  return new RpcError(status.RESOURCE_EXHAUSTED, message, new ThreadsError('TOO_LARGE', message))
}

/** With which status a peer refused; it is passed on as it came. */
function refusedStatus(error: ThreadsError): number | undefined {
  return error.code === 'PEER_REFUSED' && 'status' in error && typeof error.status === 'number'
    ? error.status
    : undefined
}

/** A text as it can be sent: not too long, and without lone surrogates. */
export function sendableText(text: string): string {
  return text.slice(0, MAX_TEXT_LENGTH).toWellFormed()
}
