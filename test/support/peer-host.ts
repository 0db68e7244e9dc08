import { type Address, parseAddress } from '../../src/core/address.ts'
import type { PrivateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createPeerHost, type PeerHost } from '../../src/net/host/libp2p-host.ts'
import { newPeer } from './fake-replica.ts'

const LOOPBACK = parseAddress('/ip4/127.0.0.1/tcp/0')

/** A host on loopback; not started, so that protocols can be handled. */
export function newHost(
  listen: readonly Address[] = [LOOPBACK],
  privateKey: PrivateKey = newPeer().key,
): Promise<PeerHost> {
  return createPeerHost({ privateKey, listen, announce: [], maxConnections: 100, logger: silentLogger })
}

/** A host on loopback that takes part in topics; not started. */
export function newGossipHost(privateKey: PrivateKey = newPeer().key): Promise<PeerHost> {
  const limits = { listen: [LOOPBACK], announce: [], maxConnections: 100 }
  return createPeerHost({ ...limits, privateKey, gossip: true, logger: silentLogger })
}

/** The host knows where to find the other one. */
export function knows(host: PeerHost, other: PeerHost): void {
  host.remember(other.id, other.addresses())
}
