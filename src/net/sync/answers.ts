import type { AbortOptions } from '../../core/abort.ts'
import type { Clock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import { unlessAborted } from '../../util/unless-aborted.ts'
import type { GetRecordsReply } from '../protocol/messages.ts'
import { PeerRefusal } from '../protocol/status.ts'
import type { Ack, RecordsPart } from './frames.ts'

/** A peer that goes on with nothing that was asked for so long is given up. */
const PATIENCE_MS = 30_000

interface Arrived {
  readonly part: RecordsPart
  /** Gives back what the peer spent on it. */
  release(this: void): void
}

/** What was asked on a stream, and is not answered yet. */
export class Answers {
  readonly #clock: Clock
  readonly #giveUp: (cause: ThreadsError) => void
  readonly #waiting = new Map<number, Answer>()
  #lastId = 0
  #ended: unknown

  /** `giveUp` is called if the peer does not go on: it is to end the stream. */
  constructor(clock: Clock, giveUp: (cause: ThreadsError) => void) {
    this.#clock = clock
    this.#giveUp = giveUp
  }

  /** Resolves with the acknowledgement of what `send` sends under the id. Throws PeerRefusal, and why the stream ended. */
  async acknowledged(send: (id: number) => void | Promise<void>): Promise<void> {
    const { id, answer } = this.#open()
    try {
      await send(id)
      await this.#next(answer)
    } finally {
      this.#waiting.delete(id)
    }
  }

  /** The parts of the answer to what `send` sends. Each is taken when the next one is asked for. Throws as above. */
  async *records(send: (id: number) => void, { signal }: AbortOptions): AsyncGenerator<GetRecordsReply> {
    const { id, answer } = this.#open()
    try {
      send(id)
      for (;;) {
        const next = (): Promise<Arrived | undefined> => this.#next(answer)
        const arrived = await (signal === undefined ? next() : unlessAborted(next, signal))
        if (arrived === undefined) return
        try {
          yield arrived.part.reply
        } finally {
          arrived.release()
        }
      }
    } finally {
      this.#waiting.delete(id)
      answer.drop()
    }
  }

  ack({ id, status, message }: Ack): void {
    const answer = this.#waiting.get(id)
    if (status === 0) answer?.finish()
    else answer?.fail(new PeerRefusal(status, message))
  }

  /** Parts of answers that nobody waits for any more are dropped. */
  arrived(arrived: Arrived): void {
    const answer = this.#waiting.get(arrived.part.id)
    if (answer === undefined) arrived.release()
    else answer.add(arrived)
  }

  end(cause: unknown): void {
    this.#ended = cause
    for (const answer of this.#waiting.values()) answer.fail(cause)
  }

  #open(): { id: number; answer: Answer } {
    if (this.#ended !== undefined) throw this.#ended
    const id = ++this.#lastId
    const answer = new Answer()
    this.#waiting.set(id, answer)
    return { id, answer }
  }

  async #next(answer: Answer): Promise<Arrived | undefined> {
    const cancel = this.#clock.after(PATIENCE_MS, () => {
      this.#giveUp(new ThreadsError('PEER_UNREACHABLE', 'the peer does not go on'))
    })
    try {
      return await answer.next()
    } finally {
      cancel()
    }
  }
}

/** One answer, part after part. For one reader. */
class Answer {
  readonly #parts: Arrived[] = []
  #outcome: { readonly error?: unknown } | undefined
  #wake: (() => void) | undefined

  add(arrived: Arrived): void {
    this.#parts.push(arrived)
    this.#wake?.()
  }

  finish(): void {
    this.#outcome ??= {}
    this.#wake?.()
  }

  fail(error: unknown): void {
    this.#outcome ??= { error }
    this.#wake?.()
  }

  /** The next part; `undefined` if it is over. */
  async next(): Promise<Arrived | undefined> {
    while (this.#parts.length === 0 && this.#outcome === undefined) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
    const part = this.#parts.shift()
    if (part === undefined && this.#outcome?.error !== undefined) throw this.#outcome.error
    return part
  }

  drop(): void {
    for (const { release } of this.#parts.splice(0)) release()
  }
}
