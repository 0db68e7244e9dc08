import { Duplex } from 'node:stream'
import { FrameWatch } from './frame-watch.ts'

/** Time for a peer to take what is written to it. Callers have given up by then. */
const WRITE_TIMEOUT_MS = 20_000
/** Time for the session to read what came before the end. */
const LAST_READS_MS = 1_000
/** Time for a peer to end a stream that was ended here. */
const FAREWELL_MS = 5_000

type Callback = () => void

export interface SessionSocketOptions {
  /** Called once: the stream is over, or the peer did not keep to the rules. The session must be destroyed. */
  onGone(this: void): void
  /** Which side of HTTP/2 the session is. */
  readonly isServer: boolean
}

/**
 * What an HTTP/2 session runs over in place of a stream to a peer. Node throws, where nobody catches, if a stream that is
 * no socket ends, fails or closes while the session writes to it. So to its session this one never does: what cannot be
 * sent is dropped, and `onGone` is called, once, for the owner to destroy the session. That is safe at any time.
 */
export class SessionSocket extends Duplex {
  readonly #stream: Duplex
  readonly #onGone: () => void
  readonly #frames: FrameWatch
  /** Ends the write under way. */
  #written: Callback | undefined
  #stalled: NodeJS.Timeout | undefined
  #sending = false
  /** Came while the session wrote. */
  readonly #held: Buffer[] = []
  #ended = false
  #told = false
  #final = false

  constructor(stream: Duplex, { onGone, isServer }: SessionSocketOptions) {
    super()
    this.#stream = stream
    this.#onGone = onGone
    this.#frames = new FrameWatch({ preface: isServer })
    stream.on('data', (chunk: Buffer) => this.#receive(chunk))
    stream.on('error', () => {})
    const end = (): void => this.#end()
    stream.once('end', end).once('close', end)
    if (stream.destroyed || stream.readableEnded) setImmediate(end)
  }

  /** Resets the stream, whatever waits to be sent on it; calls `onGone`. */
  abandon(): void {
    this.#stream.destroy(new Error('the session was given up'))
    this.#end()
    this.#tell()
  }

  override _read(): void {
    this.#stream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#send(chunk, callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback)
  }

  /** The session is over: now the stream may be destroyed, once its peer has ended it too. */
  override _final(callback: Callback): void {
    this.#final = true
    this.#stream.end()
    callback()
    if (this.#ended) setImmediate(() => this.destroy())
    else setTimeout(() => this.destroy(), FAREWELL_MS).unref()
  }

  override _destroy(_error: Error | null, callback: Callback): void {
    this.#stream.destroy()
    this.#end()
    this.#tell()
    callback()
  }

  // HTTP/2 calls these on what it takes for a socket.
  setNoDelay(): this {
    return this
  }

  setKeepAlive(): this {
    return this
  }

  setTimeout(): this {
    return this
  }

  ref(): this {
    return this
  }

  unref(): this {
    return this
  }

  #send(bytes: Buffer, callback: Callback): void {
    if (this.#ended) return callback()
    this.#written = callback
    this.#stalled = setTimeout(() => this.abandon(), WRITE_TIMEOUT_MS)
    this.#sending = true
    this.#stream.write(bytes, () => this.#finishWrite())
    this.#sending = false
  }

  /** Node ends the process if a session gets to read while it calls write. */
  #receive(chunk: Buffer): void {
    if (this.#ended) return
    if (!this.#frames.take(chunk)) this.abandon()
    else if (this.#sending || this.#held.length > 0) {
      this.#held.push(chunk)
      if (this.#held.length === 1) setImmediate(() => this.#release())
    } else if (!this.push(chunk)) this.#stream.pause()
  }

  #release(): void {
    const chunk = Buffer.concat(this.#held.splice(0))
    if (!this.push(chunk)) this.#stream.pause()
  }

  #finishWrite(): void {
    clearTimeout(this.#stalled)
    const written = this.#written
    this.#written = undefined
    written?.()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#finishWrite()
    if (this.#final) setImmediate(() => this.destroy())
    const tellWhenRead = (): void => {
      // In a turn of its own: what was read last is worked on before.
      if (this.readableLength === 0) setImmediate(() => this.#tell())
    }
    this.on('data', tellWhenRead)
    tellWhenRead()
    setTimeout(() => this.#tell(), LAST_READS_MS).unref()
  }

  #tell(): void {
    if (this.#told) return
    this.#told = true
    this.#onGone()
  }
}
