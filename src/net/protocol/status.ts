import { type ErrorCode, ThreadsError } from '../../core/errors.ts'

/** Status codes of gRPC that peers use. */
export const Status = {
  ok: 0,
  unknown: 2,
  invalidArgument: 3,
  deadlineExceeded: 4,
  notFound: 5,
  permissionDenied: 7,
  resourceExhausted: 8,
  aborted: 10,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  unauthenticated: 16,
} as const

/** Longest text of a refusal sent, or taken from a peer. */
const MAX_ERROR_TEXT = 1000

/** What a call of a peer ends with when it is not answered. */
export class StatusError extends Error {
  /** Status code of gRPC. */
  readonly code: number

  constructor(code: number, message: string) {
    super(message.slice(0, MAX_ERROR_TEXT).toWellFormed())
    this.name = 'StatusError'
    this.code = code
  }
}

/** A peer's refusal of a call, in the words of the peer. */
export class PeerRefusal extends ThreadsError {
  /** Status code of gRPC. */
  readonly status: number

  constructor(status: number, message: string) {
    super('PEER_REFUSED', message)
    this.status = status
  }
}

const STATUS_OF: Partial<Record<ErrorCode, number>> = {
  THREAD_NOT_FOUND: Status.notFound,
  LOG_NOT_FOUND: Status.notFound,
  BAD_SIGNATURE: Status.unauthenticated,
  PEER_REFUSED: Status.notFound,
  TOO_LARGE: Status.resourceExhausted,
  NO_SPACE: Status.resourceExhausted,
  STORE_READONLY: Status.unavailable,
  CLOSED: Status.unavailable,
}

/** What a peer hears of a failure. `undefined` for what is no failure we know: a bug, whose text stays here. */
export function statusOf(error: unknown): StatusError | undefined {
  if (error instanceof StatusError) return error
  if (!(error instanceof ThreadsError) || error.code === 'INTERNAL') return undefined
  return new StatusError(STATUS_OF[error.code] ?? Status.internal, error.message)
}
