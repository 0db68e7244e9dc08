import type { PeerId } from '../src/core/peer-id.ts'
import type { Pubsub, TopicMessage, Verdict } from '../src/net/host/pubsub.ts'
import type { Life } from './scheduler.ts'

type Judge = (message: TopicMessage) => Verdict

interface Member {
  readonly id: PeerId
  readonly life: Life
  readonly judge: Judge
}

/** A message and who got it: each host is handed it once. */
interface Message {
  readonly topic: string
  readonly author: PeerId
  readonly data: Uint8Array
  readonly seen: Set<Life>
}

/** Carries something from host to host, in its own time, or not at all. */
export type Carry = (
  way: { from: Life; fromId: PeerId; to: Life; toId: PeerId; label: string },
  arrive: () => void,
) => void

/** Topics of threads: who takes part in one passes on what it accepts, as in gossipsub. */
export class Topics {
  readonly #carry: Carry
  readonly #members = new Map<string, Map<PeerId, Member>>()

  constructor(carry: Carry) {
    this.#carry = carry
  }

  /** The topics as one life of a host has them. */
  of(id: PeerId, life: Life): Pubsub {
    return {
      join: (topic, judge) => {
        const members = this.#members.get(topic) ?? new Map<PeerId, Member>()
        this.#members.set(topic, members.set(id, { id, life, judge }))
      },
      leave: (topic) => {
        this.#members.get(topic)?.delete(id)
      },
      subscribers: (topic) => this.#others(topic, id).map((member) => member.id),
      publish: async (topic, data) => {
        this.#spread({ topic, author: id, data, seen: new Set([life]) }, { id, life })
      },
    }
  }

  #others(topic: string, id: PeerId): Member[] {
    return [...(this.#members.get(topic)?.values() ?? [])].filter((member) => member.id !== id && member.life.alive)
  }

  #spread(message: Message, from: { id: PeerId; life: Life }): void {
    for (const { id, life } of this.#others(message.topic, from.id)) {
      const way = { from: from.life, fromId: from.id, to: life, toId: id, label: 'a message of a topic' }
      this.#carry(way, () => this.#arrive(message, { id, sender: from.id }))
    }
  }

  #arrive(message: Message, { id, sender }: { id: PeerId; sender: PeerId }): void {
    const { topic, author, data, seen } = message
    const member = this.#members.get(topic)?.get(id)
    if (member === undefined || !member.life.alive || seen.has(member.life)) return
    seen.add(member.life)
    if (member.judge({ data, sender, author }) === 'accept') this.#spread(message, member)
  }
}
