import type { AbortOptions } from '../../core/abort.ts'
import { bytesKey, EMPTY_BYTES } from '../../core/bytes.ts'
import { hasCode, ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import type { SymmetricKey } from '../../core/symmetric.ts'
import type { ThreadId } from '../../core/thread-id.ts'
import type { FrameStream } from '../protocol/frame-stream.ts'
import { answerWant } from '../protocol/handlers/sync.ts'
import { takePush } from '../protocol/handlers/push-record.ts'
import type { GetRecordsReply, LogOffset } from '../protocol/messages.ts'
import { Status, StatusError, statusOf } from '../protocol/status.ts'
import { Answers } from './answers.ts'
import type { SyncContext } from './context.ts'
import { Allowance, Credit, WINDOW_BYTES } from './credit.ts'
import { encodeFrame, type Frame, type Hello, type NamedThread, type Push, type Want } from './frames.ts'
import { isProof, NONCE_BYTES, proofOf } from './proof.ts'
import { Reconciler } from './reconciler.ts'
import { Teller } from './teller.ts'
import { Wire } from './wire.ts'

export const SYNC_VERSION = 1
/** Wants that a peer may have open. Ours has one for each pull, two at a time. */
const MAX_WANTS = 16
/** A peer gives credit within this, if something waits for it. */
const CREDIT_MS = 60_000
/** Clocks further apart are worth a line. */
const MAX_CLOCK_DIFFERENCE_MS = 10 * 60_000

export interface SessionOptions {
  readonly stream: FrameStream
  readonly peer: PeerId
  /** This host opened the stream. */
  readonly isOpener: boolean
}

/** Up to where a host has what it was told by a peer. */
export interface Seen {
  readonly journalId: Uint8Array
  readonly seq: number
}

export interface SessionHandlers {
  /** The peer has said hello. Answers whether the stream is wanted. */
  onHello(this: void, session: SyncSession): boolean
  onEnd(this: void, session: SyncSession, cause: unknown): void
  /** What is stored of all that the peer told. */
  seen(this: void): Seen | undefined
  onSeen(this: void, seen: Seen): void
}

/** Records to send to a peer that did not ask for them. */
export type PushedRecords = Omit<Push, 'id' | 'thread'> & { readonly threadId: ThreadId }

/** One stream of Sync with a peer: says hello, then tells, asks and answers in both directions. See docs/sync.md. */
export class SyncSession {
  readonly peer: PeerId
  readonly isOpener: boolean
  readonly #context: SyncContext
  readonly #handlers: SessionHandlers
  readonly #wire: Wire
  readonly #nonce: Uint8Array
  readonly #answers: Answers
  readonly #credit = new Credit()
  readonly #allowance = new Allowance()
  readonly #teller: Teller
  readonly #reconciler: Reconciler
  readonly #met = Promise.withResolvers<void>()
  #remote: Hello | undefined
  #isMember: boolean
  #wants = 0
  /** When the peer gave credit last. */
  #creditedMs = 0

  constructor(context: SyncContext, { stream, peer, isOpener }: SessionOptions, handlers: SessionHandlers) {
    this.peer = peer
    this.isOpener = isOpener
    // Streams are opened to peers of threads only.
    this.#isMember = isOpener
    this.#context = context
    this.#handlers = handlers
    this.#nonce = context.random(NONCE_BYTES)
    this.#wire = new Wire(
      { stream, clock: context.clock },
      { onFrame: (frame, bytes) => this.#take(frame, bytes), onEnd: (cause) => this.#onEnd(cause) },
    )
    this.#answers = new Answers(context.clock, (cause) => this.#wire.end(cause))
    this.#teller = new Teller(context, peer, {
      send: (threadId, heads) => this.#wire.send({ heads: { thread: this.#name(threadId), ...heads } }),
      room: () => this.#wire.room(),
      told: (seq) => this.#wire.send({ told: seq }),
      lost: () => this.#reconciler.compareAll(),
    })
    this.#reconciler = new Reconciler(context, peer, {
      send: (ranges) => this.#wire.send({ ranges }),
      tell: (threadId, ask) => this.#teller.tellAll(threadId, { ask }),
      knows: (threadId, logId, counter) => this.#teller.knows(threadId, logId, counter),
      onShared: () => this.#noteMember(),
      onSeen: (seq) => handlers.onSeen({ journalId: this.#hello().journalId, seq }),
    })
  }

  /** Both sides have said hello, and the stream has not ended. */
  get isReady(): boolean {
    return this.#remote !== undefined && !this.#wire.ended
  }

  /** The peer is known to belong to a thread. */
  get isMember(): boolean {
    return this.#isMember
  }

  /** Resolves when the stream is ready; never if it ends before. */
  get met(): Promise<void> {
    return this.#met.promise
  }

  /** Tells lives of the peer apart; absent before its hello. */
  get life(): string | undefined {
    return this.#remote && bytesKey(this.#remote.journalId)
  }

  /** Reads until the end. An opener says hello first. */
  run(): Promise<void> {
    if (this.isOpener) this.#greet()
    return this.#wire.run()
  }

  end(cause?: unknown, status?: StatusError): void {
    this.#wire.end(cause, status)
  }

  /** Ends the stream, in a while, if the peer gives no sign of life. */
  probe(): void {
    this.#wire.probe()
  }

  /** Sends records. Resolves when the peer has stored them, or has them. Throws PeerRefusal, PEER_UNREACHABLE. */
  async push(push: PushedRecords): Promise<void> {
    const { threadId, logId, counter, records, attestation } = push
    const thread = this.#name(threadId)
    await this.#answers.acknowledged((id) =>
      this.#sendRecords(encodeFrame({ push: { id, thread, logId, counter, records, attestation } })),
    )
    this.#teller.knows(threadId, logId, counter + records.length - 1)
  }

  /** Asks for records of some logs; others are not sent. Throws PeerRefusal, PEER_UNREACHABLE. */
  records(
    { threadId, logs }: { threadId: ThreadId; logs: readonly LogOffset[] },
    options: AbortOptions = {},
  ): AsyncGenerator<GetRecordsReply> {
    const thread = this.#name(threadId)
    return this.#answers.records((id) => this.#wire.send({ want: { id, thread, logs } }), options)
  }

  #greet(): void {
    const { clock, feed, journalId } = this.#context
    const seen = this.#handlers.seen() ?? { journalId: EMPTY_BYTES, seq: 0 }
    const about = { version: SYNC_VERSION, features: [], journalId, seq: feed.lastSeq, seen, clockMs: clock.nowMs() }
    this.#wire.send({ hello: { ...about, nonce: this.#nonce, credit: WINDOW_BYTES } })
  }

  async #take(frame: Frame, bytes: number): Promise<void> {
    if (this.#remote === undefined) {
      if (frame.hello === undefined) throw new ThreadsError('BAD_MESSAGE', 'the peer does not say hello')
      return this.#meet(frame.hello)
    }
    if (frame.hello !== undefined) throw new ThreadsError('BAD_MESSAGE', 'the peer says hello twice')
    if (frame.credit !== undefined) {
      this.#creditedMs = this.#context.clock.nowMs()
      this.#credit.add(frame.credit)
    }
    if (frame.ack !== undefined) this.#answers.ack(frame.ack)
    if (frame.heads !== undefined && this.#admits(frame.heads.thread)) await this.#reconciler.heads(frame.heads)
    if (frame.ranges !== undefined) this.#reconciler.ranges(frame.ranges)
    if (frame.want !== undefined) this.#serve(frame.want)
    if (frame.records !== undefined) {
      this.#answers.arrived({ part: frame.records, release: this.#spent(bytes) })
    }
    if (frame.push !== undefined) void this.#takePush(frame.push, this.#spent(bytes))
    if (frame.told !== undefined) this.#reconciler.told(frame.told)
  }

  #meet(hello: Hello): void {
    this.#remote = hello
    if (!this.#handlers.onHello(this)) return
    if (!this.isOpener) this.#greet()
    const { clock, feed, journalId, logger } = this.#context
    const differenceMs = hello.clockMs - clock.nowMs()
    if (Math.abs(differenceMs) > MAX_CLOCK_DIFFERENCE_MS) {
      logger.warn({ peer: this.peer, differenceMs }, 'the clock of a peer differs from that of this host')
    }
    this.#credit.add(hello.credit)
    this.#met.resolve()
    // What the peer has seen of this life of this host. Of another life nothing can be said, so all is compared.
    const { seen } = hello
    const isOfThis = bytesKey(seen.journalId) === bytesKey(journalId) && seen.seq <= feed.lastSeq
    const theirs = this.#handlers.seen()
    const isOfThat = theirs !== undefined && bytesKey(theirs.journalId) === bytesKey(hello.journalId)
    this.#teller.follow(isOfThis ? seen.seq : feed.lastSeq).catch((error: unknown) => {
      if (!hasCode(error, 'CLOSED')) logger.error({ peer: this.peer, error }, 'a peer is not told of changes any more')
    })
    this.#reconciler.start({ compares: this.isOpener, atOnce: !isOfThis || !isOfThat })
  }

  #hello(): Hello {
    if (this.#remote === undefined) throw new ThreadsError('INTERNAL', 'the peer has not said hello')
    return this.#remote
  }

  /** A thread, with the proof that this host belongs to it. */
  #name(id: ThreadId): NamedThread {
    const { replica } = this.#context
    const serviceKey = replica.serviceKey(id)
    if (serviceKey === undefined) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
    const { nonce } = this.#hello()
    const from = { peer: replica.hostId, nonce: this.#nonce }
    return { id, proof: proofOf({ id, serviceKey }, { from, to: { peer: this.peer, nonce } }) }
  }

  /** Whether the peer belongs to a thread that is here. One that proves it is remembered; a wrong proof counts. */
  #admits(thread: NamedThread): boolean {
    const { replica, faults } = this.#context
    const serviceKey = replica.serviceKey(thread.id)
    if (serviceKey === undefined) return false
    if (!replica.isProven(thread.id, this.peer)) {
      if (!this.#isProof(thread, serviceKey)) {
        if (!faults.note(this.peer)) throw new ThreadsError('BAD_MESSAGE', 'too many proofs do not hold')
        return false
      }
      replica.prove(thread.id, this.peer)
    }
    this.#noteMember()
    return true
  }

  #noteMember(): void {
    if (this.#isMember) return
    this.#isMember = true
    this.#context.onMember(this.peer)
  }

  #isProof({ id, proof }: NamedThread, serviceKey: SymmetricKey): boolean {
    const from = { peer: this.peer, nonce: this.#hello().nonce }
    const to = { peer: this.#context.replica.hostId, nonce: this.#nonce }
    return isProof(proof, { id, serviceKey }, { from, to })
  }

  /** What a frame with records takes until `release`. Throws BAD_MESSAGE if the peer may not send it. */
  #spent(bytes: number): () => void {
    const cost = this.#allowance.spend(bytes)
    return () => {
      this.#allowance.giveBack(cost)
      this.#wire.send({ credit: cost })
    }
  }

  async #sendRecords(bytes: Uint8Array): Promise<void> {
    const stopWatching = this.#watchCredit()
    await this.#credit.take(bytes.length)
    stopWatching()
    await this.#wire.room()
    this.#wire.sendBytes(bytes)
  }

  /** A peer that takes no records for a while is given up: they would wait for ever. */
  #watchCredit(): () => void {
    const { clock } = this.#context
    const look = (): void => {
      const isWithout = Math.abs(clock.nowMs() - this.#creditedMs) >= CREDIT_MS
      if (isWithout) this.#wire.end(new ThreadsError('PEER_UNREACHABLE', 'the peer takes no records'))
      else cancel = clock.after(CREDIT_MS, look)
    }
    let cancel = clock.after(CREDIT_MS, look)
    return () => cancel()
  }

  #serve(want: Want): void {
    if (++this.#wants > MAX_WANTS) throw new ThreadsError('BAD_MESSAGE', 'the peer wants too much at once')
    void this.#answer(want).finally(() => this.#wants--)
  }

  async #answer({ id, thread, logs }: Want): Promise<void> {
    const { replica, hints, clock } = this.#context
    try {
      if (!this.#admits(thread)) throw new ThreadsError('THREAD_NOT_FOUND', 'thread not found')
      const context = { replica, hints, clock, pullRecords: Number.MAX_SAFE_INTEGER }
      for (const { logId, counter } of logs) this.#teller.knows(thread.id, logId, counter)
      for await (const reply of answerWant(context, { threadId: thread.id, logs }, this.peer)) {
        await this.#sendRecords(encodeFrame({ records: { id, reply } }))
        if (this.#wire.ended) return
      }
      this.#wire.send({ ack: { id, status: Status.ok, message: '' } })
    } catch (error) {
      this.#refuse(id, error)
    }
  }

  async #takePush({ id, thread, ...push }: Push, release: () => void): Promise<void> {
    const { replica, hints, clock, faults } = this.#context
    try {
      if (!this.#admits(thread)) throw new ThreadsError('LOG_NOT_FOUND', 'log not found')
      this.#teller.knows(thread.id, push.logId, push.counter + push.records.length - 1)
      const context = { replica, hints, clock, pullRecords: 0 }
      await faults.run(this.peer, () => takePush(context, { threadId: thread.id, ...push }, this.peer))
      this.#wire.send({ ack: { id, status: Status.ok, message: '' } })
    } catch (error) {
      this.#refuse(id, error)
    } finally {
      release()
    }
  }

  #refuse(id: number, error: unknown): void {
    const { logger } = this.#context
    const status = statusOf(error)
    if (status === undefined) logger.error({ peer: this.peer, error }, 'could not answer a peer')
    else logger.debug({ peer: this.peer, code: status.code, reason: status.message }, 'refused a peer')
    const { code, message } = status ?? new StatusError(Status.internal, 'internal error')
    this.#wire.send({ ack: { id, status: code, message } })
  }

  #onEnd(cause: unknown): void {
    this.#teller.end()
    this.#reconciler.end()
    this.#credit.end()
    this.#answers.end(new ThreadsError('PEER_UNREACHABLE', 'the stream to the peer ended', { cause }))
    this.#handlers.onEnd(this, cause)
  }
}
