import { ERROR_CODES, type ErrorCode, ThreadsError } from '../core/errors.ts'

/** How a call ended: a status of gRPC, and what travels beside it. */
export interface Outcome {
  readonly status: number
  readonly text: string
  /** Our code and hint, if the host sends them. */
  readonly code?: string | undefined
  readonly hint?: string | undefined
}

/** Status codes of gRPC, by https://grpc.github.io/grpc/core/md_doc_statuscodes.html. */
const CANCELLED = 1
const DEADLINE_EXCEEDED = 4
const UNIMPLEMENTED = 12
const UNAVAILABLE = 14
const OK = 0

const CODES: ReadonlySet<string> = new Set(ERROR_CODES)

/** Where calls go. */
export interface Endpoint {
  readonly address: string
  /** What to do if no daemon answers there. */
  readonly hint: string
}

/** Why a call of `path` failed; `undefined` if it did not. */
export function failureOf(outcome: Outcome, endpoint: Endpoint, path: string): ThreadsError | undefined {
  const { status, text, code = '' } = outcome
  if (status === OK) return undefined
  if (code !== '') return refusal(outcome)
  if (status === UNIMPLEMENTED) {
    return new ThreadsError('PEER_REFUSED', `${endpoint.address} does not offer ${path}`, { hint: endpoint.hint })
  }
  // A host that stops cancels what would go on for ever.
  if (status === UNAVAILABLE || status === DEADLINE_EXCEEDED || status === CANCELLED) return unreachable(endpoint, text)
  return refusal(outcome)
}

/** What the host says, by its code. One that is not known here is kept in the hint. */
export function refusal({ text, code = '', hint }: Omit<Outcome, 'status'>): ThreadsError {
  if (isErrorCode(code)) return new ThreadsError(code, text, hint === undefined ? {} : { hint })
  return new ThreadsError('PEER_REFUSED', text, code === '' ? {} : { hint: `The daemon calls it ${code}.` })
}

export function unreachable({ address, hint }: Endpoint, text: string, cause?: unknown): ThreadsError {
  return new ThreadsError('PEER_UNREACHABLE', `no daemon answers at ${address}: ${text}`, { cause, hint })
}

function isErrorCode(code: string): code is ErrorCode {
  return CODES.has(code)
}
