import type { Clock } from '../../core/clock.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { FrameStream } from '../protocol/frame-stream.ts'
import type { StatusError } from '../protocol/status.ts'
import { decodeFrame, encodeFrame, type Frame } from './frames.ts'

/** Frames that wait to be sent. A peer that lets more come together asks without reading the answers. */
const MAX_UNSENT_BYTES: number = 16 * 1024 * 1024
/** Whoever sends much goes on when no more than this is unsent. */
const ROOM_BYTES: number = 256 * 1024
/** A stream on which nothing came for so long is asked whether anybody is there, */
const QUIET_MS = 60_000
/** and ends without an answer within this. */
const ANSWER_MS = 30_000

export interface WireComponents {
  readonly stream: FrameStream
  readonly clock: Clock
}

export interface WireHandlers {
  /** Takes a frame, and its size. The next one is read when this is done. Throws ThreadsError to end the stream. */
  onFrame(this: void, frame: Frame, bytes: number): void | Promise<void>
  /** Called once. `cause` is absent if either side just ended the stream. */
  onEnd(this: void, cause: unknown): void
}

/** Frames over a stream: sent in order without waiting, read one after the other, with a sign of life now and then. */
export class Wire {
  readonly #stream: FrameStream
  readonly #clock: Clock
  readonly #handlers: WireHandlers
  readonly #unsent: Uint8Array[] = []
  readonly #roomWaiters = new Set<() => void>()
  #unsentBytes = 0
  #sending = false
  #ended = false
  #heardMs = 0
  #cancelQuiet: (() => void) | undefined
  #cancelAnswer: (() => void) | undefined

  constructor({ stream, clock }: WireComponents, handlers: WireHandlers) {
    this.#stream = stream
    this.#clock = clock
    this.#handlers = handlers
  }

  get ended(): boolean {
    return this.#ended
  }

  /** Reads until the stream ends. */
  async run(): Promise<void> {
    this.#heard()
    this.#watch(QUIET_MS)
    try {
      for await (const bytes of this.#stream.frames) {
        if (this.#ended) break
        this.#heard()
        const frame = decodeFrame(bytes)
        if (frame.ping === true) this.send({ pong: true })
        await this.#handlers.onFrame(frame, bytes.length)
      }
      this.end()
    } catch (error) {
      this.end(error)
    }
  }

  /** Queues a frame. What is sent after the end is dropped. */
  send(frame: Frame): void {
    this.sendBytes(encodeFrame(frame))
  }

  sendBytes(bytes: Uint8Array): void {
    if (this.#ended) return
    this.#unsent.push(bytes)
    this.#unsentBytes += bytes.length
    if (this.#unsentBytes > MAX_UNSENT_BYTES) this.end(new ThreadsError('BAD_MESSAGE', 'the peer does not read'))
    else if (!this.#sending) void this.#flush()
  }

  /** Resolves when there is room for much more, or the stream has ended. */
  async room(): Promise<void> {
    while (!this.#ended && this.#unsentBytes > ROOM_BYTES) {
      await new Promise<void>((resolve) => this.#roomWaiters.add(resolve))
    }
  }

  /** Asks for a sign of life. */
  probe(): void {
    if (this.#ended || this.#cancelAnswer !== undefined) return
    this.send({ ping: true })
    this.#cancelAnswer = this.#clock.after(ANSWER_MS, () => {
      this.end(new ThreadsError('PEER_UNREACHABLE', 'the peer is silent'))
    })
  }

  end(cause?: unknown, status?: StatusError): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelQuiet?.()
    this.#cancelAnswer?.()
    this.#unsent.length = 0
    this.#stream.end(status)
    this.#giveRoom()
    this.#handlers.onEnd(cause)
  }

  #heard(): void {
    this.#cancelAnswer?.()
    this.#cancelAnswer = undefined
    this.#heardMs = this.#clock.nowMs()
  }

  #watch(delayMs: number): void {
    this.#cancelQuiet = this.#clock.after(delayMs, () => {
      // Clocks are set back, too.
      const quietMs = Math.abs(this.#clock.nowMs() - this.#heardMs)
      if (quietMs >= QUIET_MS) this.probe()
      this.#watch(quietMs >= QUIET_MS ? QUIET_MS : QUIET_MS - quietMs)
    })
  }

  async #flush(): Promise<void> {
    this.#sending = true
    for (let next = this.#unsent.shift(); next !== undefined; next = this.#unsent.shift()) {
      await this.#stream.send(next)
      this.#unsentBytes -= next.length
      if (this.#unsentBytes <= ROOM_BYTES) this.#giveRoom()
    }
    this.#sending = false
  }

  #giveRoom(): void {
    const waiting = [...this.#roomWaiters]
    this.#roomWaiters.clear()
    for (const resolve of waiting) resolve()
  }
}
