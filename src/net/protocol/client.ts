import type { AbortOptions } from '../../core/abort.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import { unlessAborted } from '../../util/unless-aborted.ts'
import type { PeerHost } from '../host/libp2p-host.ts'
import { Budget } from './budget.ts'
import { CALL_TIMEOUT_MS, MAX_DIALS, MAX_MESSAGE_BYTES, PROTOCOL, SYNC_PATH } from './constants.ts'
import type { FrameStream } from './frame-stream.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from './methods.ts'
import { PeerSession } from './session.ts'
import { PeerRefusal, Status, StatusError } from './status.ts'

/** Calls of the peer service at other hosts. */
export interface PeerClient {
  /**
   * Throws PEER_UNREACHABLE if the peer does not answer in time, PeerRefusal if it refuses, BAD_MESSAGE if its reply
   * cannot be read, TOO_LARGE if the request is.
   */
  call<M extends MethodName>(
    peer: PeerId,
    method: M,
    request: RequestOf<M>,
    options?: AbortOptions,
  ): Promise<ReplyOf<M>>
  /** Ends all sessions; calls under way fail. */
  close(): void
}

/** Opens streams of Sync to other hosts. */
export interface SyncOpener {
  /** Throws PEER_UNREACHABLE. That the peer knows no Sync shows when the stream is read. */
  openSync(peer: PeerId, options?: AbortOptions): Promise<FrameStream>
}

export function createPeerClient(host: Pick<PeerHost, 'dial'>): PeerClient & SyncOpener {
  return new SessionClient(host)
}

class SessionClient implements PeerClient, SyncOpener {
  readonly #host: Pick<PeerHost, 'dial'>
  readonly #sessions = new Map<PeerId, Promise<PeerSession>>()
  readonly #dials = new Budget(MAX_DIALS)
  readonly #closing = new AbortController()

  constructor(host: Pick<PeerHost, 'dial'>) {
    this.#host = host
  }

  async call<M extends MethodName>(
    peer: PeerId,
    name: M,
    request: RequestOf<M>,
    options: AbortOptions = {},
  ): Promise<ReplyOf<M>> {
    const method = methods[name] as Method<RequestOf<M>, ReplyOf<M>>
    const bytes = method.request.encode(request)
    if (bytes.length > MAX_MESSAGE_BYTES) {
      throw new ThreadsError('TOO_LARGE', `request of ${bytes.length} bytes, at most ${MAX_MESSAGE_BYTES} can be sent`)
    }
    const { path, maxReplyBytes } = method
    const reply = await this.#send(peer, { path, bytes, maxReplyBytes }, options)
    try {
      return method.reply.decode(reply)
    } catch (cause) {
      if (!(cause instanceof ThreadsError)) throw cause
      throw new ThreadsError('BAD_MESSAGE', `reply of peer ${peer} cannot be read: ${cause.message}`, { cause })
    }
  }

  async openSync(peer: PeerId, { signal }: AbortOptions = {}): Promise<FrameStream> {
    try {
      const known = await this.#opened(this.#open(peer), signal)
      if (known.usable) return known.stream(SYNC_PATH)
      this.#sessions.delete(peer)
      return (await this.#opened(this.#open(peer), signal)).stream(SYNC_PATH)
    } catch (error) {
      throw refusalOf(error, peer)
    }
  }

  #opened(opening: Promise<PeerSession>, signal: AbortSignal | undefined): Promise<PeerSession> {
    return signal === undefined ? opening : unlessAborted(() => opening, signal)
  }

  close(): void {
    this.#closing.abort(new ThreadsError('CLOSED', 'the host is stopping'))
    for (const opening of this.#sessions.values()) opening.then((session) => session.destroy()).catch(() => {})
    this.#sessions.clear()
  }

  /** A session that was open before may have died unnoticed, so its failure is no verdict: the call is sent once more. */
  async #send(peer: PeerId, call: Call, options: AbortOptions): Promise<Uint8Array> {
    const known = this.#sessions.get(peer)
    if (known !== undefined) {
      try {
        return await this.#sendOver(known, peer, { ...call, ...options })
      } catch (error) {
        if (!isUnavailable(error)) throw refusalOf(error, peer)
      }
    }
    try {
      return await this.#sendOver(this.#open(peer), peer, { ...call, ...options })
    } catch (error) {
      throw refusalOf(error, peer)
    }
  }

  async #sendOver(opening: Promise<PeerSession>, peer: PeerId, call: Call & AbortOptions): Promise<Uint8Array> {
    const session = await this.#opened(opening, call.signal)
    try {
      const { path, bytes, maxReplyBytes } = call
      return await session.call(path, bytes, { timeoutMs: CALL_TIMEOUT_MS, maxReplyBytes, ...signalOf(call) })
    } catch (error) {
      if (isUnavailable(error) || isTimeout(error)) this.#drop(peer, opening)
      throw error
    }
  }

  /** The session being opened, or a new one. Whoever asks first does not decide when it is given up: others wait too. */
  #open(peer: PeerId): Promise<PeerSession> {
    const known = this.#sessions.get(peer)
    if (known !== undefined) return known
    const opening = this.#dial(peer)
    this.#sessions.set(peer, opening)
    opening.catch(() => this.#drop(peer, opening))
    return opening
  }

  async #dial(peer: PeerId): Promise<PeerSession> {
    const { signal } = this.#closing
    const release = await this.#dials.acquire(1, { signal })
    try {
      return new PeerSession(await this.#host.dial(peer, PROTOCOL, { signal }), peer)
    } finally {
      release()
    }
  }

  #drop(peer: PeerId, opening: Promise<PeerSession>): void {
    if (this.#sessions.get(peer) === opening) this.#sessions.delete(peer)
    opening.then((session) => session.close()).catch(() => {})
  }
}

interface Call {
  readonly path: string
  readonly bytes: Uint8Array
  readonly maxReplyBytes: number
}

function isUnavailable(error: unknown): boolean {
  return error instanceof StatusError && error.code === Status.unavailable
}

function isTimeout(error: unknown): boolean {
  return error instanceof StatusError && error.code === Status.deadlineExceeded
}

function refusalOf(error: unknown, peer: PeerId): unknown {
  if (!(error instanceof StatusError)) return error
  if (isUnavailable(error) || isTimeout(error)) {
    return new ThreadsError('PEER_UNREACHABLE', `peer ${peer} cannot be reached: ${error.message}`, { cause: error })
  }
  return new PeerRefusal(error.code, error.message)
}

function signalOf({ signal }: AbortOptions): AbortOptions {
  return signal === undefined ? {} : { signal }
}
