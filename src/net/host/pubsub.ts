import type { GossipSub, GossipSubComponents, GossipsubOpts, Message } from '@libp2p/gossipsub'
import { concatBytes } from '../../core/bytes.ts'
import { ThreadsError } from '../../core/errors.ts'
import { type PeerId, parsePeerId } from '../../core/peer-id.ts'
import { boundStreams } from './bounded-streams.ts'

const KIB = 1024

/** Largest message. With what goes along with it, it fits the frames of 1 MiB that go-threads takes. */
export const MAX_TOPIC_MESSAGE_BYTES: number = 1024 * KIB - 256
/** Messages and control information that come at once; a peer that sends more is not read any more. */
const MAX_FRAME_BYTES = 1280 * KIB
/** Of one version, in one connection. One is read: the last. */
const MAX_INBOUND_STREAMS = 4
/** Topics one host takes part in. */
export const MAX_TOPICS = 4_000
/** What gossipsub counts for a topic: more than the text of a thread id and its overhead of 1 KiB. */
const TOPIC_BYTES = 1.25 * KIB
/** The versions that go-threads speaks. */
const PROTOCOLS = ['/meshsub/1.1.0', '/meshsub/1.0.0']

export interface TopicMessage {
  readonly data: Uint8Array
  /** The peer it came from; it may have it from others. */
  readonly sender: PeerId
  /** The peer that published it, proven by signature. */
  readonly author: PeerId
}

/** What becomes of a message: only accepted ones are passed on. Rejected ones were wrong, whoever gets them. */
export type Verdict = 'accept' | 'ignore' | 'reject'

/**
 * Messages to all who take part in a topic, passed on from host to host. They may be lost, and whoever knows a topic's
 * name may read it, write to it, and see which hosts take part.
 */
export interface Pubsub {
  /**
   * Takes part in a topic. `judge` is handed each message once, while the one before it of the same sender is done.
   * Throws NO_SPACE if the host takes part in `MAX_TOPICS` already. To be called while the host runs.
   */
  join(topic: string, judge: (message: TopicMessage) => Verdict): void
  leave(topic: string): void
  /** Neighbours that take part in a topic. */
  subscribers(topic: string): PeerId[]
  /** Hands a message to all of them; those too slow to take it are left out. Throws TOO_LARGE. */
  publish(topic: string, data: Uint8Array): Promise<void>
}

/** Loads gossipsub: hosts that do not need it do not pay for it. */
export async function createPubsub(): Promise<GossipsubTopics> {
  return new GossipsubTopics(await import('@libp2p/gossipsub'))
}

export class GossipsubTopics implements Pubsub {
  readonly #library: typeof import('@libp2p/gossipsub')
  #router: GossipSub | undefined

  constructor(library: typeof import('@libp2p/gossipsub')) {
    this.#library = library
  }

  /** Makes the service; libp2p calls it, once. */
  readonly service = (components: GossipSubComponents): GossipSub => {
    const { privateKey, peerId, peerStore, registrar, connectionManager, logger } = components
    const bounded = { privateKey, peerId, peerStore, connectionManager, logger, registrar: boundStreams(registrar) }
    this.#router = this.#library.gossipsub(settings((topic) => this.#joined.has(topic)))(bounded)
    this.#router.protocols = [...PROTOCOLS]
    return this.#router
  }

  join(topic: string, judge: (message: TopicMessage) => Verdict): void {
    if (!this.#joined.has(topic) && this.#joined.size >= MAX_TOPICS) {
      throw new ThreadsError('NO_SPACE', `the host takes part in ${MAX_TOPICS} topics already`)
    }
    const { Accept: accept, Ignore: ignore, Reject: reject } = this.#library.TopicValidatorResult
    const results = { accept, ignore, reject }
    this.#joined.set(topic, (sender, message) => {
      if (message.type !== 'signed') return reject
      return results[judge({ data: message.data, sender: ownPeerId(sender), author: ownPeerId(message.from) })]
    })
    this.#gossipsub.subscribe(topic)
  }

  leave(topic: string): void {
    if (this.#joined.delete(topic)) this.#gossipsub.unsubscribe(topic)
  }

  subscribers(topic: string): PeerId[] {
    return this.#gossipsub.getSubscribers(topic).map(ownPeerId)
  }

  async publish(topic: string, data: Uint8Array): Promise<void> {
    if (data.length > MAX_TOPIC_MESSAGE_BYTES) {
      throw new ThreadsError('TOO_LARGE', `a message of ${data.length} bytes is too large for a topic`)
    }
    await this.#gossipsub.publish(topic, data)
  }

  get #joined(): GossipSub['topicValidators'] {
    return this.#gossipsub.topicValidators
  }

  get #gossipsub(): GossipSub {
    if (this.#router === undefined) throw new TypeError('the host is not made yet')
    return this.#router
  }
}

/** Those of go-threads, and limits. Its peer exchange is left out: addresses are told to members of a thread only. */
function settings(isJoined: (topic: string) => boolean): Partial<GossipsubOpts> {
  return {
    globalSignaturePolicy: 'StrictSign',
    msgIdFn: messageId,
    floodPublish: true,
    doPX: false,
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    // One encoding for all peers, without control information, which could make it too large for them.
    batchPublish: true,
    // go-threads keeps no scores. Those of peers behind one router would go down together.
    scoreParams: { IPColocationFactorWeight: 0, behaviourPenaltyWeight: 0 },
    // One message of a peer at a time.
    awaitRpcHandler: true,
    awaitRpcMessageHandler: true,
    maxInboundDataLength: MAX_FRAME_BYTES,
    maxInboundStreams: MAX_INBOUND_STREAMS,
    maxTopicBytesPerPeer: MAX_TOPICS * TOPIC_BYTES,
    dataTransform: {
      inboundTransform(topic, data) {
        // Before it is kept for others, which gossipsub does for all topics.
        if (!isJoined(topic)) throw new Error('not a topic of this host')
        return data
      },
      outboundTransform: (_, data) => data,
    },
  }
}

/** As in go-libp2p: hosts ask each other for messages by it. */
function messageId(message: Message): Uint8Array {
  if (message.type !== 'signed') throw new TypeError('the message is not signed')
  const sequenceNumber = new Uint8Array(8)
  new DataView(sequenceNumber.buffer).setBigUint64(0, message.sequenceNumber)
  return concatBytes(message.from.toMultihash().bytes, sequenceNumber)
}

function ownPeerId(peer: { toString(): string }): PeerId {
  return parsePeerId(peer.toString())
}
