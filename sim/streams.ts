import type { PeerId } from '../src/core/peer-id.ts'
import type { FrameStream } from '../src/net/protocol/frame-stream.ts'
import { Status, StatusError } from '../src/net/protocol/status.ts'
import type { Life, Scheduler } from './scheduler.ts'

/** An end of a stream, and who holds it. */
export interface Holder {
  readonly id: PeerId
  readonly life: Life
}

export interface StreamWeather {
  delayMs(): number
  /** Whether what goes from one host to another does not arrive now. */
  isLost(way: { from: PeerId; to: PeerId }): boolean
}

/** What is sent on a stream arrives in order, or the stream breaks: each end finds that out in its own time. */
export class SimStreams {
  readonly #scheduler: Scheduler
  readonly #weather: StreamWeather

  constructor(scheduler: Scheduler, weather: StreamWeather) {
    this.#scheduler = scheduler
    this.#weather = weather
  }

  /** A stream between two lives of hosts; the first opened it. */
  open(opener: Holder, acceptor: Holder): { opened: FrameStream; accepted: FrameStream } {
    const opened = new End(opener, { isOpener: true })
    const accepted = new End(acceptor, { isOpener: false })
    return { opened: this.#stream(opened, accepted), accepted: this.#stream(accepted, opened) }
  }

  /** A stream to a host that does without. */
  refused(opener: Holder): FrameStream {
    const end = new End(opener, { isOpener: true })
    const refusal = new StatusError(Status.unimplemented, 'unknown method')
    this.#scheduler.after(this.#weather.delayMs(), 'a stream is refused', () => end.finish(refusal), opener.life)
    return { frames: end.frames(), send: async () => {}, end: () => end.finish(undefined) }
  }

  #stream(own: End, other: End): FrameStream {
    return {
      frames: own.frames(),
      send: async (message) => this.#send(own, other, (end) => end.arrive(message)),
      end: (status) => {
        if (own.isOver) return
        this.#send(own, other, (end) => end.finish(end.isOpener ? (status ?? 'ok') : undefined))
        own.finish(undefined)
      },
    }
  }

  #send(own: End, other: End, arrive: (end: End) => void): void {
    if (own.isOver || !own.holder.life.alive) return
    // Nothing overtakes what was sent before it.
    other.dueMs = Math.max(other.dueMs, this.#scheduler.nowMs + this.#weather.delayMs())
    const label = `${own.holder.life.name}  frame to ${other.holder.life.name}`
    this.#scheduler.after(other.dueMs - this.#scheduler.nowMs, label, () => {
      const way = { from: own.holder.id, to: other.holder.id }
      if (other.isOver) return
      if (other.holder.life.alive && !this.#weather.isLost(way)) arrive(other)
      else for (const end of [own, other]) this.#break(end)
    })
  }

  #break(end: End): void {
    const { life } = end.holder
    const over = (): void => end.finish(new StatusError(Status.unavailable, 'the connection ended'))
    this.#scheduler.after(this.#weather.delayMs(), `${life.name}  a stream breaks`, over, life)
  }
}

class End {
  readonly holder: Holder
  readonly isOpener: boolean
  /** When the last message sent to it arrives. */
  dueMs = 0
  readonly #arrived: Uint8Array[] = []
  #over: { readonly status: StatusError | 'ok' | undefined } | undefined
  #wake: (() => void) | undefined

  constructor(holder: Holder, { isOpener }: { isOpener: boolean }) {
    this.holder = holder
    this.isOpener = isOpener
  }

  get isOver(): boolean {
    return this.#over !== undefined
  }

  arrive(message: Uint8Array): void {
    if (this.#over !== undefined) return
    this.#arrived.push(message)
    this.#wake?.()
  }

  finish(status: StatusError | 'ok' | undefined): void {
    this.#over ??= { status }
    this.#wake?.()
  }

  async *frames(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const message = this.#arrived.shift()
      if (message !== undefined) yield message
      else if (this.#over !== undefined) break
      else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
      }
    }
    // Who accepted the stream hears no reason.
    if (this.isOpener && this.#over?.status instanceof StatusError) throw this.#over.status
  }
}
