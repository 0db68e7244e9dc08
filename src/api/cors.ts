import type { IncomingHttpHeaders } from 'node:http'

const MAX_AGE_SECONDS = '600'
const METHODS: ReadonlySet<string> = new Set(['GET', 'POST', 'HEAD'])
const EXPOSED = 'grpc-status, grpc-message, threads-error-code, threads-error-hint'

/** Which pages may call, and what browsers are told of it. */
export class Cors {
  readonly #origins: ReadonlySet<string>

  /** `*` for any origin. */
  constructor(origins: readonly string[]) {
    this.#origins = new Set(origins)
  }

  /** A request without an origin comes from no page. */
  allows({ origin }: IncomingHttpHeaders): boolean {
    return origin === undefined || this.#origins.has('*') || this.#origins.has(origin)
  }

  /** Headers of the answer to a request that is allowed. */
  headers({ origin }: IncomingHttpHeaders): Record<string, string> {
    if (origin === undefined) return { vary: 'Origin' }
    return {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
      'access-control-expose-headers': EXPOSED,
    }
  }

  /** Headers of the answer to a preflight request. Without leave in them the browser does not send the request. */
  preflightHeaders(headers: IncomingHttpHeaders): Record<string, string | string[]> {
    const { origin } = headers
    const vary = ['Origin', 'Access-Control-Request-Method', 'Access-Control-Request-Headers']
    const method = headers['access-control-request-method']?.toUpperCase() ?? ''
    if (origin === undefined || !this.allows(headers) || !METHODS.has(method)) return { vary }
    return {
      vary,
      'access-control-allow-origin': origin,
      'access-control-allow-methods': method,
      'access-control-allow-headers': headers['access-control-request-headers'] ?? '',
      'access-control-allow-credentials': 'true',
      'access-control-max-age': MAX_AGE_SECONDS,
    }
  }
}

export function isPreflight(method: string | undefined, headers: IncomingHttpHeaders): boolean {
  const asked = headers['access-control-request-headers'] ?? ''
  return method === 'OPTIONS' && asked.toLowerCase().includes('x-grpc-web')
}
