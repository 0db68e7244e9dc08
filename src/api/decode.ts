import type { CID } from 'multiformats/cid'
import { addressFromBytes, type Address } from '../core/address.ts'
import { textOfUtf8 } from '../core/bytes.ts'
import { cidFromBytes } from '../core/cbor.ts'
import { ThreadsError } from '../core/errors.ts'
import { decodePrivateKey, decodePublicKey, type PrivateKey, type PublicKey } from '../core/keys.ts'
import { type PeerId, peerIdFromBytes } from '../core/peer-id.ts'
import { type ThreadId, threadIdFromBytes } from '../core/thread-id.ts'
import { type ThreadKey, threadKeyFromBytes } from '../core/thread-key.ts'
import type { CallOptions, CollectionConfig } from '../db/index.ts'
import { invalid } from './errors.ts'
import type * as pb from './gen/threads.ts'
import type { RpcContext } from './service.ts'

/** Who asks, and until when. Checks the authorization header. */
export function callOptions(context: RpcContext): CallOptions {
  const { caller } = context
  return {
    caller,
    // Most reads are over before they would ask.
    get signal() {
      return context.signal
    },
  }
}

export function threadIdOf(bytes: Uint8Array): ThreadId {
  return invalid(() => threadIdFromBytes(bytes))
}

/** Also of a log. */
export function peerIdOf(bytes: Uint8Array): PeerId {
  return invalid(() => peerIdFromBytes(bytes))
}

export function optionalPeerIdOf(bytes: Uint8Array): PeerId | undefined {
  return bytes.length === 0 ? undefined : peerIdOf(bytes)
}

export function cidOf(bytes: Uint8Array): CID {
  return invalid(() => cidFromBytes(bytes))
}

export function optionalBytesOf(bytes: Uint8Array): Uint8Array | undefined {
  return bytes.length === 0 ? undefined : bytes
}

const DEFAULT_PAGE = 100
const MAX_PAGE = 1_000

/** Entries of a list to answer. 0: as many as is usual. */
export function pageLimitOf(limit: number): number {
  if (limit < 0 || limit > MAX_PAGE) {
    throw new ThreadsError('INVALID_ARGUMENT', `limit is ${limit}, must be from 0 to ${MAX_PAGE}`)
  }
  return limit === 0 ? DEFAULT_PAGE : limit
}

export function addressOf(bytes: Uint8Array): Address {
  return invalid(() => addressFromBytes(bytes))
}

/** Empty: no key. */
export function optionalThreadKeyOf(bytes: Uint8Array): { key?: ThreadKey } {
  return bytes.length === 0 ? {} : { key: threadKeyOf(bytes) }
}

export function threadKeyOf(bytes: Uint8Array): ThreadKey {
  return invalid(() => threadKeyFromBytes(bytes))
}

/** The protobuf of a private or a public key, which nothing but their lengths tells apart. Empty: no key. */
export function logKeyOf(bytes: Uint8Array): { logKey?: PrivateKey | PublicKey } {
  if (bytes.length === 0) return {}
  for (const decode of [decodePrivateKey, decodePublicKey]) {
    try {
      return { logKey: decode(bytes) }
    } catch (error) {
      if (!(error instanceof ThreadsError)) throw error
    }
  }
  return invalid(() => {
    throw new ThreadsError('INVALID_KEY', 'invalid log-key')
  })
}

export function collectionConfigOf(config: pb.CollectionConfig | undefined): CollectionConfig {
  if (config === undefined) throw new ThreadsError('INVALID_ARGUMENT', 'collection config is required')
  const { name, indexes, writeValidator, readFilter } = config
  return {
    name,
    schema: textOfUtf8(config.schema),
    indexes: indexes.map(({ path, unique }) => ({ path, unique })),
    writeValidator,
    readFilter,
  }
}
