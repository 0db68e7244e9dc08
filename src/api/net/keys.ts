import { status } from '@grpc/grpc-js'
import type { PrivateKey, PublicKey } from '../../core/keys.ts'
import type { ThreadKey } from '../../core/thread-key.ts'
import { logKeyOf, optionalThreadKeyOf } from '../decode.ts'
import { RpcError } from '../errors.ts'
import type { Keys } from '../gen/threadsnet.ts'

/** The keys that are there. */
export function keysOf(keys: Keys | undefined): { key?: ThreadKey; logKey?: PrivateKey | PublicKey } {
  if (keys === undefined) return {}
  return { ...threadKeyIn(keys), ...logKeyOf(keys.logKey) }
}

function threadKeyIn({ threadKey }: Keys): { key?: ThreadKey } {
  try {
    return optionalThreadKeyOf(threadKey)
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    throw new RpcError(status.INVALID_ARGUMENT, `invalid thread-key: ${error.message}`, error.cause)
  }
}
