/** A stream of Sync with a host, whose other end keeps no rules. */
import type { ClientHttp2Stream } from 'node:http2'
import type { PeerId } from '../../src/core/peer-id.ts'
import type { SymmetricKey } from '../../src/core/symmetric.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import { SYNC_PATH } from '../../src/net/protocol/constants.ts'
import { framed, messagesIn } from '../../src/net/protocol/frame-stream.ts'
import { WINDOW_BYTES } from '../../src/net/sync/credit.ts'
import { decodeFrame, encodeFrame, type Frame, type Hello, type NamedThread } from '../../src/net/sync/frames.ts'
import { proofOf } from '../../src/net/sync/proof.ts'
import { type HostilePeer, openPath } from './hostile-peer.ts'
import { random } from './log-maker.ts'

export class HostileSync {
  /** What the host said, without its hello. */
  readonly heard: Frame[] = []
  readonly ended: Promise<void>
  readonly nonce: Uint8Array = random(32)
  readonly #peer: HostilePeer
  readonly #host: PeerId
  readonly #stream: ClientHttp2Stream
  readonly #met = Promise.withResolvers<Hello>()

  private constructor(peer: HostilePeer, host: PeerId, stream: ClientHttp2Stream) {
    this.#peer = peer
    this.#host = host
    this.#stream = stream
    this.ended = this.#read()
  }

  /** A stream with nothing said on it. */
  static async open(peer: HostilePeer, host: PeerId): Promise<HostileSync> {
    return new HostileSync(peer, host, openPath(await peer.session(), SYNC_PATH))
  }

  /** A stream on which both have said hello. */
  static async met(peer: HostilePeer, host: PeerId, hello: Partial<Hello> = {}): Promise<HostileSync> {
    const sync = await HostileSync.open(peer, host)
    sync.send({ hello: { ...sync.hello(), ...hello } })
    await sync.theirs
    return sync
  }

  hello(): Hello {
    const seen = { journalId: new Uint8Array(0), seq: 0 }
    const about = { version: 1, features: [], journalId: random(16), seq: 0, seen, clockMs: Date.now() }
    return { ...about, nonce: this.nonce, credit: WINDOW_BYTES }
  }

  /** The hello of the host. */
  get theirs(): Promise<Hello> {
    return this.#met.promise
  }

  async name(id: ThreadId, serviceKey: SymmetricKey): Promise<NamedThread> {
    const { nonce } = await this.theirs
    const from = { peer: this.#peer.id, nonce: this.nonce }
    return { id, proof: proofOf({ id, serviceKey }, { from, to: { peer: this.#host, nonce } }) }
  }

  send(frame: Frame): void {
    this.sendBytes(encodeFrame(frame))
  }

  sendBytes(message: Uint8Array): void {
    this.#stream.write(framed(message))
  }

  /** Bytes of the HTTP/2 stream itself. */
  sendRaw(bytes: Uint8Array): void {
    this.#stream.write(bytes)
  }

  async #read(): Promise<void> {
    try {
      for await (const message of messagesIn(this.#stream)) {
        const frame = decodeFrame(message)
        if (frame.hello === undefined) this.heard.push(frame)
        else this.#met.resolve(frame.hello)
      }
    } catch {
      // However it ends.
    }
    this.#stream.close()
  }
}
