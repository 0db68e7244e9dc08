import { ThreadsError } from '../core/errors.ts'
import type { Identity } from '../core/identity.ts'
import type { RpcContext } from './service.ts'

/** Throws if a call is not to be answered. */
export type Admission = (path: string, context: Pick<RpcContext, 'caller'>) => void

/** Open to all: whoever is to show a token must be able to get it, and whoever watches the daemon has none. */
const OPEN = /\/(GetToken|grpc\.health\.v1\.Health\/\w+)$/

/** Admits callers whose token names one of the identities. Throws TOKEN_REQUIRED, TOKEN_INVALID, CALLER_DENIED. */
export function admitOnly(identities: readonly Identity[]): Admission {
  const admitted = new Set(identities)
  return (path, context) => {
    if (OPEN.test(path)) return
    const { identity } = context.caller
    if (identity === undefined) {
      throw new ThreadsError('TOKEN_REQUIRED', 'a token is required', { hint: 'Get one with GetToken, and send it.' })
    }
    if (!admitted.has(identity)) {
      throw new ThreadsError('CALLER_DENIED', 'calls of this identity are not answered here', {
        hint: 'Its public key must be among the allowed identities of the daemon.',
      })
    }
  }
}
