/** Of a frame of HTTP/2: length (3 bytes), type, flags, stream (4 bytes). */
const HEADER_BYTES = 9
/** What a client sends before its first frame. */
const PREFACE_BYTES = 24
const DATA = 0
const RST_STREAM = 3
const END_STREAM = 1
/** Frames of data that a call may take, besides one for so many bytes. */
const FREE_FRAMES = 256
const MIN_AVERAGE_BYTES = 64
/** Calls followed. Those forgotten begin anew. */
const MAX_CALLS = 1_000

/**
 * Follows the frames that a peer sends, to find one that sends a message in tiny ones: each costs more than a hundred bytes
 * until the message is whole.
 */
export class FrameWatch {
  readonly #header = new Uint8Array(HEADER_BYTES)
  #headerBytes = 0
  /** Bytes until the next header. */
  #skip: number
  readonly #calls = new Map<number, { frames: number; bytes: number }>()

  constructor(options: { preface: boolean }) {
    this.#skip = options.preface ? PREFACE_BYTES : 0
  }

  /** Takes the next bytes. Answers whether the peer may go on. */
  take(chunk: Uint8Array): boolean {
    let at = 0
    while (at < chunk.length) {
      if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, chunk.length - at)
        this.#skip -= skipped
        at += skipped
        continue
      }
      this.#header[this.#headerBytes++] = chunk[at++] ?? 0
      if (this.#headerBytes === HEADER_BYTES && !this.#begin()) return false
    }
    return true
  }

  #begin(): boolean {
    this.#headerBytes = 0
    const view = new DataView(this.#header.buffer)
    const length = view.getUint32(0) >>> 8
    this.#skip = length
    const [type, flags, call] = [view.getUint8(3), view.getUint8(4), view.getUint32(5)]
    if (type === RST_STREAM) this.#calls.delete(call)
    return type !== DATA || this.#isFair(call, length, (flags & END_STREAM) !== 0)
  }

  #isFair(call: number, length: number, isLast: boolean): boolean {
    const { frames, bytes } = this.#calls.get(call) ?? { frames: 0, bytes: 0 }
    if (isLast) this.#calls.delete(call)
    else this.#calls.set(call, { frames: frames + 1, bytes: bytes + length })
    if (this.#calls.size > MAX_CALLS) this.#calls.clear()
    return frames < FREE_FRAMES + bytes / MIN_AVERAGE_BYTES
  }
}
