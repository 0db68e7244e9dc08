/**
 * How a host shows another one on a stream of Sync that it has the service key of a thread, without sending the key: by a
 * MAC over the thread, both peers and what both drew by lot for this stream. It holds for this stream and sender only.
 */
import { concatBytes, equalBytes, utf8 } from '../../core/bytes.ts'
import { hmacSha256 } from '../../core/crypto.ts'
import { type PeerId, peerIdToBytes } from '../../core/peer-id.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import { type ThreadId, threadIdToBytes } from '../../core/thread-id.ts'

export const NONCE_BYTES = 32
/** Nothing else is derived from a service key with this text. */
const DOMAIN: Uint8Array = utf8('threads sync proof 1')

/** One end of a stream: who it is, and the nonce of its hello. */
export interface End {
  readonly peer: PeerId
  readonly nonce: Uint8Array
}

/** HMAC-SHA-256 under a key derived from the service key; every part but the peer ids has a fixed length. */
export function proofOf(
  { id, serviceKey }: { id: ThreadId; serviceKey: SymmetricKey },
  { from, to }: { from: End; to: End },
): Uint8Array {
  const peers = [from.peer, to.peer].map((peer) => {
    const bytes = peerIdToBytes(peer)
    return concatBytes(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes)
  })
  return hmacSha256(hmacSha256(serviceKey, DOMAIN), concatBytes(from.nonce, to.nonce, ...peers, threadIdToBytes(id)))
}

export function isProof(
  proof: Uint8Array,
  thread: { id: ThreadId; serviceKey: SymmetricKey },
  ends: { from: End; to: End },
): boolean {
  return equalBytes(proof, proofOf(thread, ends))
}
