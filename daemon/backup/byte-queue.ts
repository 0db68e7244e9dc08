/** Bytes that come in pieces, taken in lengths that somebody else decides. */
export class ByteQueue {
  readonly #pieces: AsyncIterator<Uint8Array>
  #buffered: Uint8Array[] = []
  #length = 0
  #taken = 0

  constructor(pieces: AsyncIterable<Uint8Array>) {
    this.#pieces = pieces[Symbol.asyncIterator]()
  }

  /** How many bytes were taken. */
  get taken(): number {
    return this.#taken
  }

  /** The next byte, which stays; `undefined` at the end. */
  async peek(): Promise<number | undefined> {
    return (await this.#fill(1)) ? this.#buffered[0]?.[0] : undefined
  }

  /** The next bytes, no more held than have come; `undefined` if there are fewer. */
  async take(length: number): Promise<Uint8Array | undefined> {
    if (!(await this.#fill(length))) return undefined
    const bytes = new Uint8Array(length)
    for (let at = 0; at < length; ) {
      const [first] = this.#buffered
      if (first === undefined) break
      const part = first.subarray(0, length - at)
      bytes.set(part, at)
      at += part.length
      if (part.length < first.length) this.#buffered[0] = first.subarray(part.length)
      else this.#buffered.shift()
    }
    this.#length -= length
    this.#taken += length
    return bytes
  }

  /** Gives up the rest. */
  async close(): Promise<void> {
    await this.#pieces.return?.()
  }

  async #fill(length: number): Promise<boolean> {
    while (this.#length < length) {
      const { done, value } = await this.#pieces.next()
      if (done === true) return false
      if (value.length === 0) continue
      this.#buffered.push(value)
      this.#length += value.length
    }
    return true
  }
}
