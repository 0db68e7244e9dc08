/**
 * Every failure that a caller may want to tell apart has a code. Codes keep their meaning between versions; messages
 * may change, except where `ERRORS.md` says that existing clients match them. What each code means stands there.
 */
export const ERROR_CODES = [
  'THREAD_NOT_FOUND',
  'LOG_NOT_FOUND',
  'RECORD_NOT_FOUND',
  'DB_NOT_FOUND',
  'COLLECTION_NOT_FOUND',
  'INSTANCE_NOT_FOUND',
  'THREAD_EXISTS',
  'LOG_EXISTS',
  'DB_EXISTS',
  'COLLECTION_EXISTS',
  'INSTANCE_EXISTS',
  'UNIQUE_VIOLATION',
  'TEST_FAILED',
  'INVALID_ARGUMENT',
  'INVALID_ID',
  'INVALID_NAME',
  'INVALID_KEY',
  'INVALID_ADDRESS',
  'INVALID_SCHEMA',
  'INVALID_INSTANCE',
  'INVALID_QUERY',
  'INVALID_PATCH',
  'INVALID_INDEX',
  'INVALID_FUNCTION',
  'INVALID_RECORD',
  'INVALID_BACKUP',
  'KEY_MISMATCH',
  'SERVICE_KEY_REQUIRED',
  'READ_KEY_REQUIRED',
  'PRIVATE_KEY_REQUIRED',
  'THREAD_IN_USE',
  'READONLY_TRANSACTION',
  'TRANSACTION_CLOSED',
  'TRANSACTION_TIMEOUT',
  'TOKEN_REQUIRED',
  'TOKEN_INVALID',
  'CALLER_DENIED',
  'WRITE_DENIED',
  'READ_FILTER_FAILED',
  'SANDBOX_LIMIT',
  'SANDBOX_DOWN',
  'DB_REBUILDING',
  'CLOCK_SKEW',
  'LOG_WAITS',
  'NOT_WAITING',
  'UPDATES_LOST',
  'PEER_UNREACHABLE',
  'PEER_REFUSED',
  'BAD_SIGNATURE',
  'BROKEN_CHAIN',
  'BAD_MESSAGE',
  'TOO_LARGE',
  'STORE_FAILED',
  'STORE_READONLY',
  'STORE_BUSY',
  'STORE_CORRUPT',
  'STORE_LOCKED',
  'STORE_VERSION',
  'NO_SPACE',
  'CLOSED',
  'INTERNAL',
] as const

export type ErrorCode = (typeof ERROR_CODES)[number]

export interface ThreadsErrorOptions {
  cause?: unknown
  /** What the caller can do about it, in one sentence. */
  hint?: string
}

/** What helps where something stored is damaged, whatever it is. */
const DAMAGE_HINT = 'Stop the daemon and run threadsd verify -repo DIR -repair, with its directory.'

export class ThreadsError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: ThreadsErrorOptions = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause })
    this.name = 'ThreadsError'
    this.code = code
    this.hint = options.hint ?? (code === 'STORE_CORRUPT' ? DAMAGE_HINT : undefined)
  }
}

/** Whether a caught value is a failure of the given code. */
export function hasCode(error: unknown, code: ErrorCode): error is ThreadsError {
  return error instanceof ThreadsError && error.code === code
}
