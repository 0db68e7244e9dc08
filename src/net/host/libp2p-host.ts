import type { Duplex } from 'node:stream'
import { privateKeyFromProtobuf } from '@libp2p/crypto/keys'
import { identify } from '@libp2p/identify'
import type { Libp2p, PeerId as Libp2pPeerId } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { type Multiaddr, multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import type { AbortOptions } from '../../core/abort.ts'
import { type Address, dialPartOf, parseAddress } from '../../core/address.ts'
import { BoundedCache } from '../../core/bounded-cache.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { PrivateKey } from '../../core/keys.ts'
import type { Logger } from '../../core/logger.ts'
import { type PeerId, parsePeerId, peerIdOf } from '../../core/peer-id.ts'
import { streamToDuplex } from './duplex.ts'
import { Gate } from './gate.ts'
import { libp2pLogger } from './libp2p-logger.ts'
import { createPubsub, type Pubsub } from './pubsub.ts'

/** Time to reach a peer, all its addresses together. As go-threads. */
const DIAL_TIMEOUT_MS = 10_000
/** New connections a second from one IP address. Peers behind one router share it. */
const INBOUND_PER_SECOND = 50
/** Streams of one protocol in one connection, each way. Peers need one. */
const MAX_STREAMS = 32
/** Streams that a peer may open in one connection, of all protocols together. Each holds up to 256 KiB unread. */
const MAX_CONNECTION_STREAMS = 64
/** Addresses kept for a peer; the newest win. */
const MAX_PEER_ADDRESSES = 16
/** Peers whose addresses are kept. */
const MAX_REMEMBERED_PEERS = 10_000

export interface PeerHostOptions {
  readonly privateKey: PrivateKey
  readonly listen: readonly Address[]
  /** If not empty, the only addresses told to others. */
  readonly announce: readonly Address[]
  /** Connections above which idle ones are closed. */
  readonly maxConnections: number
  /** Take part in topics. @default false */
  readonly gossip?: boolean
  readonly logger: Logger
  /** Is called with the addresses at which a peer, which may be a stranger, says that it listens. */
  readonly onAddresses?: (this: void, peer: PeerId, addresses: readonly Address[]) => void
}

/** Must take the stream over in the same tick. */
export type Accept = (stream: Duplex, peer: PeerId) => void

export interface DialOptions extends AbortOptions {
  /** Where the peer may be found, besides what is remembered of it. */
  addresses?: readonly Address[]
}

/** This host on the peer-to-peer network. Streams are encrypted, and their other end is who it says it is. */
export interface PeerHost {
  readonly id: PeerId
  /** Absent unless asked for. */
  readonly pubsub?: Pubsub | undefined
  /** Where others reach this host: one address for each interface, without `/p2p`. */
  addresses(): Address[]
  /** Opens a stream. Throws PEER_UNREACHABLE. */
  dial(peer: PeerId, protocol: string, options?: DialOptions): Promise<Duplex>
  /** Connects without opening a stream. Throws PEER_UNREACHABLE. */
  connect(peer: PeerId, options?: DialOptions): Promise<void>
  /** Hands every stream that peers open on `protocol` to `accept`. To be called before `start`. */
  handle(protocol: string, accept: Accept): void
  /** Keeps addresses of a peer for later dials, until the host closes or too many others came after it. */
  remember(peer: PeerId, addresses: readonly Address[]): void
  /** Ends all connections to a peer. For a while it gets no others, nor is it called. */
  shutOut(peer: PeerId, forMs: number): void
  /** Listens. Throws INVALID_ADDRESS if it cannot. */
  start(): Promise<void>
  /** Closes all connections. */
  close(): Promise<void>
}

/** Makes a host; nothing is reached, and nobody reaches it, before it is started. */
export async function createPeerHost(options: PeerHostOptions): Promise<PeerHost> {
  const { announce, gossip = false, listen, logger, maxConnections, onAddresses, privateKey } = options
  const pubsub = gossip ? await createPubsub() : undefined
  const gate = new Gate()
  const connections = (peer: string): number => node.getConnections(peerIdFromString(peer)).length
  const node: Libp2p = await createLibp2p({
    start: false,
    privateKey: privateKeyFromProtobuf(privateKey.encoded),
    addresses: { listen: [...listen], announce: [...announce] },
    transports: [tcp(), webSockets()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux({ maxInboundStreams: MAX_CONNECTION_STREAMS })],
    connectionGater: gate.gater(connections),
    services: { identify: identify(), ping: ping(), ...(pubsub && { pubsub: pubsub.service }) },
    connectionManager: {
      maxConnections,
      dialTimeout: DIAL_TIMEOUT_MS,
      inboundConnectionThreshold: INBOUND_PER_SECOND,
    },
    logger: libp2pLogger(logger),
  })
  if (onAddresses !== undefined) {
    node.addEventListener('peer:identify', ({ detail: { peerId, listenAddrs } }) => {
      onAddresses(parsePeerId(peerId.toString()), listenAddrs.slice(0, MAX_PEER_ADDRESSES).flatMap(transportOf))
    })
  }
  return new Libp2pHost(node, { id: peerIdOf(privateKey.publicKey), listen, pubsub, gate })
}

class Libp2pHost implements PeerHost {
  readonly id: PeerId
  readonly pubsub: Pubsub | undefined
  readonly #node: Libp2p
  readonly #remembered = new BoundedCache<PeerId, Address[]>(MAX_REMEMBERED_PEERS)

  readonly #listen: readonly Address[]
  readonly #gate: Gate
  readonly #handlers = new Map<string, Accept>()

  constructor(
    node: Libp2p,
    { id, listen, pubsub, gate }: Pick<Libp2pHost, 'id' | 'pubsub'> & { listen: readonly Address[]; gate: Gate },
  ) {
    this.#node = node
    this.id = id
    this.pubsub = pubsub
    this.#listen = listen
    this.#gate = gate
  }

  addresses(): Address[] {
    const addresses = this.#node
      .getMultiaddrs()
      .flatMap((address) => dialPartOf(parseAddress(address.toString())) ?? [])
    return [...new Set(addresses)]
  }

  async dial(peer: PeerId, protocol: string, options: DialOptions = {}): Promise<Duplex> {
    const signal = dialSignal(options)
    try {
      const target = await this.#target(peer, options.addresses)
      const stream = await this.#node.dialProtocol(target, protocol, { signal, maxOutboundStreams: MAX_STREAMS })
      return streamToDuplex(stream)
    } catch (cause) {
      throw unreachable(peer, options, cause)
    }
  }

  async connect(peer: PeerId, options: DialOptions = {}): Promise<void> {
    const signal = dialSignal(options)
    try {
      await this.#node.dial(await this.#target(peer, options.addresses), { signal })
    } catch (cause) {
      throw unreachable(peer, options, cause)
    }
  }

  handle(protocol: string, accept: Accept): void {
    this.#handlers.set(protocol, accept)
  }

  async start(): Promise<void> {
    for (const [protocol, accept] of this.#handlers) {
      await this.#node.handle(
        protocol,
        (stream, connection) => accept(streamToDuplex(stream), parsePeerId(connection.remotePeer.toString())),
        { maxInboundStreams: MAX_STREAMS, maxOutboundStreams: MAX_STREAMS },
      )
    }
    try {
      await this.#node.start()
    } catch (cause) {
      const message = cause instanceof Error ? cause.message : String(cause)
      const reason = /listen E[^\n]*/.exec(message)?.[0] ?? message
      throw new ThreadsError('INVALID_ADDRESS', `cannot listen at ${this.#listen.join(', ')}: ${reason}`, { cause })
    }
  }

  remember(peer: PeerId, addresses: readonly Address[]): void {
    const known = (this.#remembered.get(peer) ?? []).filter((address) => !addresses.includes(address))
    this.#remembered.set(peer, [...addresses, ...known].slice(0, MAX_PEER_ADDRESSES))
  }

  shutOut(peer: PeerId, forMs: number): void {
    this.#gate.shutOut(peer, forMs)
    const reason = new Error('the peer is shut out')
    for (const connection of this.#node.getConnections(peerIdFromString(peer))) connection.abort(reason)
  }

  async close(): Promise<void> {
    await this.#node.stop()
  }

  /** libp2p forgets addresses with time; ours are handed to it again before each dial that needs them. */
  async #target(peer: PeerId, addresses: readonly Address[] = []): Promise<Libp2pPeerId> {
    const target = peerIdFromString(peer)
    if (this.#node.getConnections(target).length > 0) return target
    const multiaddrs = [...addresses, ...(this.#remembered.get(peer) ?? [])].map(toMultiaddr)
    if (multiaddrs.length > 0) await this.#node.peerStore.merge(target, { multiaddrs })
    return target
  }
}

/** Peers may listen in ways that are not known here. */
function transportOf(address: Multiaddr): Address[] {
  try {
    const transport = dialPartOf(parseAddress(address.toString()))
    return transport === undefined ? [] : [transport]
  } catch {
    return []
  }
}

function toMultiaddr(address: Address): Multiaddr {
  return multiaddr(address)
}

function dialSignal({ signal }: AbortOptions): AbortSignal {
  const timeout = AbortSignal.timeout(DIAL_TIMEOUT_MS)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}

function unreachable(peer: PeerId, { signal }: AbortOptions, cause: unknown): unknown {
  if (signal?.aborted === true) return signal.reason
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new ThreadsError('PEER_UNREACHABLE', `peer ${peer} cannot be reached: ${reason}`, { cause })
}
