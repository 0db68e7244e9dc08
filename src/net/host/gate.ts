import type { ConnectionGater } from '@libp2p/interface'

/** Connections of one peer, both ways together. A peer needs one; older ones may be dead without our knowing. */
const MAX_PEER_CONNECTIONS = 4
/** Peers shut out at once; the oldest goes first. */
const MAX_SHUT_OUT = 10_000

/** Decides who may be connected to the host. Peers are named as libp2p names them. */
export class Gate {
  readonly #shutOut = new Map<string, NodeJS.Timeout>()

  shutOut(peer: string, forMs: number): void {
    this.#letIn(peer)
    for (const oldest of this.#shutOut.keys()) {
      if (this.#shutOut.size < MAX_SHUT_OUT) break
      this.#letIn(oldest)
    }
    this.#shutOut.set(peer, setTimeout(() => this.#letIn(peer), forMs).unref())
  }

  /** `connections`: how many a peer has. */
  gater(connections: (peer: string) => number): ConnectionGater {
    return {
      denyDialPeer: (peer) => this.#shutOut.has(peer.toString()),
      denyInboundEncryptedConnection: (peer) =>
        this.#shutOut.has(peer.toString()) || connections(peer.toString()) >= MAX_PEER_CONNECTIONS,
    }
  }

  #letIn(peer: string): void {
    clearTimeout(this.#shutOut.get(peer))
    this.#shutOut.delete(peer)
  }
}
