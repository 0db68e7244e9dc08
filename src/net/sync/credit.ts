import { ThreadsError } from '../../core/errors.ts'

/** Bytes of frames with records that a host takes on one stream before it has stored them. */
export const WINDOW_BYTES: number = 1024 * 1024

interface Waiter {
  readonly cost: number
  enter(): void
}

/** A frame that is larger than the window, as one with a large record, needs all of it. */
function costOf(bytes: number): number {
  return Math.min(bytes, WINDOW_BYTES)
}

/** What may be sent. Granted in the order asked for. */
export class Credit {
  readonly #waiters: Waiter[] = []
  #free = 0

  /** The peer allows more. A peer that allows too much says nothing wrong: it is held to what is useful. */
  add(bytes: number): void {
    this.#free = Math.min(WINDOW_BYTES, this.#free + bytes)
    this.#wake()
  }

  /** The stream is over: nobody waits any more. */
  end(): void {
    this.#free = Number.POSITIVE_INFINITY
    this.#wake()
  }

  /** Resolves when a frame of so many bytes may be sent, or the stream is over. */
  take(bytes: number): Promise<void> {
    return new Promise((resolve) => {
      this.#waiters.push({ cost: costOf(bytes), enter: resolve })
      this.#wake()
    })
  }

  #wake(): void {
    for (let [first] = this.#waiters; first !== undefined && first.cost <= this.#free; [first] = this.#waiters) {
      this.#free -= first.cost
      this.#waiters.shift()
      first.enter()
    }
  }
}

/** What the peer may send. */
export class Allowance {
  #left = WINDOW_BYTES

  /** A frame has come. Answers what is to be given back for it. Throws BAD_MESSAGE if it was not allowed. */
  spend(bytes: number): number {
    const cost = costOf(bytes)
    if (cost > this.#left) throw new ThreadsError('BAD_MESSAGE', 'the peer sends more records than it may')
    this.#left -= cost
    return cost
  }

  /** The frame's records are stored, or dropped. */
  giveBack(cost: number): void {
    this.#left += cost
  }
}
