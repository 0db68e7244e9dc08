import { BoundedCache } from './bounded-cache.ts'
import { decodePublicKey, type PublicKey } from './keys.ts'
import { decodeMultibase, encodeBase32 } from './multibase.ts'

declare const brand: unique symbol

/** Names who signs as a caller: multibase base32 of the public key's protobuf. */
export type Identity = string & { readonly [brand]: 'Identity' }

const keyOf = new BoundedCache<string, PublicKey>(4096)
const textOf = new BoundedCache<PublicKey, Identity>(4096)

export function identityOf(publicKey: PublicKey): Identity {
  let identity = textOf.get(publicKey)
  if (identity === undefined) {
    identity = encodeBase32(publicKey.encoded) as Identity
    textOf.set(publicKey, identity)
  }
  return identity
}

/** Reads a public key of any libp2p type in any multibase, and gives the canonical text. Throws INVALID_KEY. */
export function parseIdentity(text: string): Identity {
  return identityOf(decodePublicKey(decodeMultibase(text, 'INVALID_KEY')))
}

export function publicKeyOfIdentity(identity: Identity): PublicKey {
  let key = keyOf.get(identity)
  if (key === undefined) {
    key = decodePublicKey(decodeMultibase(identity, 'INVALID_KEY'))
    keyOf.set(identity, key)
  }
  return key
}
