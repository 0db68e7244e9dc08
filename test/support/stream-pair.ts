import { Duplex } from 'node:stream'

/** Turns of the event loop that a write takes. 0: it is done at once. */
export type WriteTurns = () => number

/** One end of a stream in memory. What is written comes out at the other end in a later turn. */
export class StreamEnd extends Duplex {
  other: StreamEnd | undefined
  /** The other end takes nothing any more: writes last for ever. */
  stalled = false
  readonly #writeTurns: WriteTurns

  constructor(writeTurns: WriteTurns) {
    super()
    this.#writeTurns = writeTurns
    this.on('error', () => {})
  }

  /** Hands bytes to whoever reads this end, as if the other had written them. */
  inject(bytes: Uint8Array | null): void {
    if (!this.destroyed && !this.readableEnded && !this.#ended) this.push(bytes)
    if (bytes === null) this.#ended = true
  }

  #ended = false

  override _read(): void {}

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    if (this.stalled) return
    const copy = Buffer.from(chunk)
    setImmediate(() => this.other?.inject(copy))
    afterTurns(this.#writeTurns(), callback)
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    setImmediate(() => this.other?.inject(null))
    callback(error)
  }

  override _final(callback: () => void): void {
    setImmediate(() => this.other?.inject(null))
    callback()
  }
}

export function streamPair(writeTurns: WriteTurns = () => 1): [StreamEnd, StreamEnd] {
  const [a, b] = [new StreamEnd(writeTurns), new StreamEnd(writeTurns)]
  a.other = b
  b.other = a
  return [a, b]
}

export function afterTurns(turns: number, then: () => void): void {
  if (turns <= 0) then()
  else setImmediate(() => afterTurns(turns - 1, then))
}
