import { generateKeyPair, publicKeyToProtobuf } from '@libp2p/crypto/keys'
import { type GossipSub, gossipsub } from '@libp2p/gossipsub'
import { RPC } from '@libp2p/gossipsub/message'
import { identify } from '@libp2p/identify'
import type { Connection, Libp2p } from '@libp2p/interface'
import { noise } from '@libp2p/noise'
import { peerIdFromPrivateKey } from '@libp2p/peer-id'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { concatBytes } from '../../src/core/bytes.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'

/** A libp2p node on loopback that is none of our hosts and keeps no limits. */
export type PlainNode = Libp2p<{ identify: unknown }>
/** The same, with gossipsub as the library has it. */
export type GossipNode = Libp2p<{ identify: unknown; pubsub: GossipSub }>

export const MESHSUB = '/meshsub/1.1.0'

const base = {
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
}

export function startNode(): Promise<PlainNode> {
  return createLibp2p({ ...base, services: { identify: identify() } })
}

export function startGossipNode(): Promise<GossipNode> {
  const pubsub = gossipsub({ allowPublishToZeroTopicPeers: true })
  return createLibp2p({ ...base, services: { identify: identify(), pubsub } })
}

export function dialHost(node: PlainNode, host: Pick<PeerHost, 'id' | 'addresses'>): Promise<Connection> {
  return node.dial(host.addresses().map((address) => multiaddr(`${address}/p2p/${host.id}`)))
}

/** A node that speaks gossipsub's protocol by hand. */
export interface HandMade {
  /** All that the host sent. */
  readonly received: readonly RPC[]
  send(rpc: Partial<RPC>): void
  sendBytes(bytes: Uint8Array): void
}

export async function speakByHand(node: PlainNode, host: PeerHost): Promise<HandMade> {
  const received: RPC[] = []
  await node.handle(MESHSUB, (stream) => {
    let pending: Uint8Array = new Uint8Array()
    stream.addEventListener('message', ({ data }) => {
      pending = concatBytes(pending, data.subarray())
      for (let next = nextFrame(pending); next !== undefined; next = nextFrame(pending)) {
        received.push(RPC.decode(next.frame))
        pending = next.rest
      }
    })
  })
  const connection = await dialHost(node, host)
  const stream = await connection.newStream(MESHSUB)
  const sendBytes = (bytes: Uint8Array): void => void stream.send(bytes)
  return {
    received,
    sendBytes,
    send(rpc) {
      const frame = RPC.encode(rpc)
      sendBytes(concatBytes(varint(frame.length), frame))
    },
  }
}

/** A message as a new author signs it, and the id it has for others. */
export async function signedMessage(
  topic: string,
  data: Uint8Array,
): Promise<Required<RPC.Message> & { id: Uint8Array }> {
  const key = await generateKeyPair('Ed25519')
  const from = peerIdFromPrivateKey(key).toMultihash().bytes
  const message = { from, data, seqno: Uint8Array.of(0, 0, 0, 0, 0, 0, 1, 2), topic }
  const signed = concatBytes(new TextEncoder().encode('libp2p-pubsub:'), RPC.Message.encode(message))
  const signature = await key.sign(signed)
  return { ...message, signature, key: publicKeyToProtobuf(key.publicKey), id: concatBytes(from, message.seqno) }
}

function varint(value: number): Uint8Array {
  const bytes: number[] = []
  let left = value
  for (; left > 0x7f; left >>>= 7) bytes.push((left & 0x7f) | 0x80)
  return Uint8Array.of(...bytes, left)
}

function nextFrame(bytes: Uint8Array): { frame: Uint8Array; rest: Uint8Array } | undefined {
  const start = bytes.findIndex((byte) => byte < 0x80) + 1
  if (start === 0) return undefined
  const length = bytes.subarray(0, start).reduceRight((sum, byte) => (sum << 7) | (byte & 0x7f), 0)
  if (bytes.length < start + length) return undefined
  return { frame: bytes.slice(start, start + length), rest: bytes.slice(start + length) }
}
