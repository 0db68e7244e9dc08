import { Duplex } from 'node:stream'
import type { Stream } from '@libp2p/interface'

/**
 * A libp2p stream as a Node stream. Backpressure works both ways.
 * Must be called in the tick in which the stream was handed over: what arrives before is lost.
 */
export function streamToDuplex(stream: Stream): Duplex {
  // A session between two messages is idle, not dead: dead connections are found by pings.
  stream.inactivityTimeout = Number.POSITIVE_INFINITY
  const duplex = new StreamDuplex(stream)
  stream.addEventListener('message', (event) => {
    const bytes = event.data.subarray()
    const more = duplex.push(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
    if (!more && stream.readStatus === 'readable') stream.pause()
    if (stream.readableEnded) duplex.endReading()
  })
  stream.addEventListener('end', () => duplex.endReading())
  // A peer may have written all it has, and ended, before the stream was handed over: no event tells of that end.
  if (stream.readableEnded && stream.readBufferLength === 0) duplex.endReading()
  stream.addEventListener('close', (event) => {
    if (event.error === undefined) {
      duplex.endReading()
      duplex.end()
    } else duplex.destroy(event.error)
  })
  return duplex
}

type Callback = (error?: Error | null) => void

class StreamDuplex extends Duplex {
  readonly #stream: Stream
  #ended = false

  constructor(stream: Stream) {
    super()
    this.#stream = stream
  }

  endReading(): void {
    if (this.#ended) return
    this.#ended = true
    this.push(null)
  }

  override _read(): void {
    if (this.#stream.readStatus === 'paused') this.#stream.resume()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: Callback): void {
    this.#send(chunk, callback)
  }

  override _writev(chunks: { chunk: Buffer }[], callback: Callback): void {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), callback)
  }

  override _final(callback: Callback): void {
    // Whether the other end heard of it or not: nothing more is written.
    void settle(closeQuietly(this.#stream), callback)
  }

  override _destroy(error: Error | null, callback: Callback): void {
    this.#ended = true
    if (error !== null && this.#stream.status === 'open') this.#stream.abort(error)
    else void closeQuietly(this.#stream)
    callback(error)
  }

  #send(bytes: Uint8Array, callback: Callback): void {
    try {
      if (this.#stream.send(bytes)) callback()
      else void settle(this.#stream.onDrain(), callback)
    } catch (error) {
      callback(errorOf(error))
    }
  }
}

async function closeQuietly(stream: Stream): Promise<void> {
  try {
    await stream.close()
  } catch {
    // It is closed all the same.
  }
}

async function settle(done: Promise<void>, callback: Callback): Promise<void> {
  let failure: Error | null = null
  try {
    await done
  } catch (error) {
    failure = errorOf(error)
  }
  callback(failure)
}

function errorOf(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
