/**
 * A peer that does what a go-threads v1 host does on `/thread/0.0.1`, over real sockets: it answers, calls back and waits
 * as that one, with what it does wrongly. When it writes, pushes and pulls is up to the test.
 */
import { randomBytes } from 'node:crypto'
import {
  type Address,
  dialPartOf,
  parseAddress,
  peerAddress,
  peerIdOfAddress,
  threadAddress,
  threadIdOfAddress,
} from '../../src/core/address.ts'
import { fromHex } from '../../src/core/bytes.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { type LogId, type PeerId, peerIdOf } from '../../src/core/peer-id.ts'
import { newThreadId, type ThreadId } from '../../src/core/thread-id.ts'
import { newThreadKey, type ThreadKey } from '../../src/core/thread-key.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { MAX_MESSAGE_BYTES, PROTOCOL } from '../../src/net/protocol/constants.ts'
import type { GetRecordsReply, ThreadRequest } from '../../src/net/protocol/messages.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from '../../src/net/protocol/methods.ts'
import { PeerSession } from '../../src/net/protocol/session.ts'
import { Status, StatusError } from '../../src/net/protocol/status.ts'
import { sendMessage, serveBlocks, type Wants } from './block-peer.ts'
import { type ForeignEvent, ForeignLog } from './foreign-log.ts'
import { type GoLog, type GoRecord, GoThread } from './go-thread.ts'
import { GO_SCRIPT, type GoScript, GoService } from './go-service.ts'
import { GoPanic, readReplyAsGo, readRequestAsGo, serveRaw } from './go-wire.ts'
import { newHost } from './peer-host.ts'

/** First bytes of every CID: version 1, dag-cbor, sha2-256 of 32 bytes. */
const CID_PREFIX = fromHex('01711220')
/** Calls that a busy machine may need too long for. */
const MAX_LATE = 20
/** Of grpc-go. */
const LIMITS = { timeoutMs: 10_000, maxReplyBytes: MAX_MESSAGE_BYTES }

export interface HeardCall {
  readonly method: MethodName
  readonly from: PeerId
  readonly request: unknown
}

/** A reply to a call of the peer. */
export interface Page {
  readonly bytes: number
  readonly reply: GetRecordsReply
}

export class ScriptedGoPeer implements AsyncDisposable {
  readonly id: PeerId
  readonly script: GoScript
  readonly threads: Map<ThreadId, GoThread> = new Map()
  /** Calls of others, in their order. */
  readonly heard: HeardCall[] = []
  /** What would have ended the process of a go-threads host. */
  readonly panics: string[] = []
  /** What it did by itself and could not: a go-threads host writes these to its log. */
  readonly failures: string[] = []
  readonly #key: PrivateKey
  readonly #service: GoService
  /** Where its peers are; a go-threads host keeps that over restarts. */
  readonly #addresses = new Map<PeerId, Address[]>()
  readonly #sessions = new Map<PeerId, Promise<PeerSession>>()
  /** What was scheduled, by kind, peer and thread: one of each is under way at most, another is dropped. */
  readonly #reactions = new Map<string, Promise<void>>()
  #host: PeerHost | undefined

  private constructor(script: GoScript) {
    this.#key = generateKey(randomBytes)
    this.id = peerIdOf(this.#key.publicKey)
    this.script = script
    this.#service = new GoService({ threads: this.threads, script, schedule: (...what) => this.#schedule(...what) })
  }

  static async start(script: Partial<GoScript> = {}): Promise<ScriptedGoPeer> {
    const peer = new ScriptedGoPeer({ ...GO_SCRIPT, ...script })
    await peer.listen()
    return peer
  }

  /** Listens on loopback, by default at a port that is free. */
  async listen(at: Address = parseAddress('/ip4/127.0.0.1/tcp/0')): Promise<void> {
    const host = await newHost([at], this.#key)
    serveRaw(host, (method, request, caller) => this.#answer(method, request, caller))
    serveBlocks(host, (wants, caller) => void this.#handOut(host, wants, caller).catch(() => {}))
    await host.start()
    for (const [peer, addresses] of this.#addresses) host.remember(peer, addresses)
    this.#host = host
  }

  /** Is gone, with its connections; `listen` brings it back, at another port. */
  async stop(): Promise<void> {
    const sessions = [...this.#sessions.values()]
    this.#sessions.clear()
    for (const opening of sessions) (await opening.catch(() => undefined))?.destroy()
    await this.#host?.close()
    this.#host = undefined
    await this.settled()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop()
  }

  /** Where it listens, without `/p2p`. */
  get transport(): Address {
    const [transport] = this.#running.addresses()
    if (transport === undefined) throw new Error('the host has no address')
    return transport
  }

  get address(): Address {
    return parseAddress(`${this.transport}/p2p/${this.id}`)
  }

  addressOf(threadId: ThreadId): Address {
    return threadAddress(this.transport, this.id, threadId)
  }

  thread(id: ThreadId): GoThread {
    const thread = this.threads.get(id)
    if (thread === undefined) throw new StatusError(Status.notFound, 'thread not found')
    return thread
  }

  calls(method: MethodName): HeardCall[] {
    return this.heard.filter((call) => call.method === method)
  }

  /** Requests of one kind, in their order. */
  requests<M extends MethodName>(method: M): RequestOf<M>[] {
    return this.calls(method).map(({ request }) => request as RequestOf<M>)
  }

  remember(address: Address): PeerId {
    const peer = peerIdOfAddress(address)
    const transport = dialPartOf(address)
    if (peer === undefined || transport === undefined) throw new Error(`${address} names no peer to dial`)
    this.#addresses.set(peer, [transport])
    this.#running.remember(peer, [transport])
    return peer
  }

  createThread(): { thread: GoThread; key: Required<ThreadKey>; log: GoLog } {
    const key = { read: randomBytes(32), ...newThreadKey(randomBytes) }
    const thread = new GoThread(newThreadId('raw', randomBytes), key)
    this.threads.set(thread.id, thread)
    return { thread, key, log: this.addOwnLog(thread.id) }
  }

  /** Go hosts have one log for each identity that writes. */
  addOwnLog(threadId: ThreadId): GoLog {
    const thread = this.thread(threadId)
    const key = thread.read === undefined ? { service: thread.service } : { service: thread.service, read: thread.read }
    return thread.addOwnLog(new ForeignLog(key), peerAddress(this.id))
  }

  /** AddThread: the logs of the thread, without their records, and one of its own if it can read. */
  async join(address: Address, key: ThreadKey): Promise<GoThread> {
    const peer = this.remember(address)
    const thread = new GoThread(threadIdOfAddress(address), key)
    this.threads.set(thread.id, thread)
    if (key.read !== undefined) this.addOwnLog(thread.id)
    await this.#getLogs(peer, thread.id)
    return thread
  }

  /** AddReplicator, of all logs, as if it managed them: with the service key, never the read key. */
  async addReplicator(threadId: ThreadId, address: Address): Promise<void> {
    const peer = this.remember(address)
    const thread = this.thread(threadId)
    for (const log of thread.logs.values()) {
      log.addresses.push(peerAddress(peer))
      await this.call(peer, 'pushLog', {
        threadId,
        serviceKey: thread.service,
        readKey: undefined,
        log: thread.describe(log),
      })
    }
  }

  /** Writes a record into an own log, and tells nobody. Default: into the first one. */
  write(
    threadId: ThreadId,
    events: readonly ForeignEvent[] | Uint8Array,
    logId: LogId = this.ownLog(threadId).id,
  ): GoRecord {
    return this.thread(threadId).write(logId, events)
  }

  ownLog(threadId: ThreadId): GoLog {
    const own = [...this.thread(threadId).logs.values()].find(({ writer }) => writer !== undefined)
    if (own === undefined) throw new Error('the peer has no log of its own')
    return own
  }

  /** Writes, and pushes to all peers of the thread, each once. Answers when all have answered. */
  async writeAndPush(
    threadId: ThreadId,
    events: readonly ForeignEvent[] | Uint8Array,
    logId?: LogId,
  ): Promise<GoRecord> {
    const record = this.write(threadId, events, logId)
    await this.push(threadId, record)
    return record
  }

  async push(threadId: ThreadId, record: GoRecord): Promise<void> {
    await Promise.all(this.peers(threadId).map((peer) => this.pushTo(peer, threadId, record)))
  }

  /**
   * PushRecord; a log that the other does not know is pushed after it, without keys, once. `counter`: 0 for records that
   * came by AddRecord, and from hosts that do not count. Answers the status code.
   */
  async pushTo(
    peer: PeerId,
    threadId: ThreadId,
    record: GoRecord,
    { counter, announce = true }: { counter?: number; announce?: boolean } = {},
  ): Promise<number> {
    const thread = this.thread(threadId)
    const log = [...thread.logs.values()].find(({ records }) => records.includes(record))
    if (log === undefined) throw new Error('the record is in no log')
    const position = counter ?? log.records.indexOf(record) + 1
    const request = { threadId, logId: log.id, record: record.blocks, counter: position }
    const status = await this.#status(peer, 'pushRecord', request)
    if (status === Status.notFound && announce) await this.pushLogTo(peer, threadId, log)
    return status
  }

  /** PushLog without keys. Answers the status code. */
  pushLogTo(peer: PeerId, threadId: ThreadId, log: GoLog): Promise<number> {
    const described = this.thread(threadId).describe(log)
    return this.#status(peer, 'pushLog', { threadId, serviceKey: undefined, readKey: undefined, log: described })
  }

  /** GetRecords of all logs, once. */
  async pull(peer: PeerId, threadId: ThreadId): Promise<Page> {
    const thread = this.thread(threadId)
    const logs = [...thread.logs.values()].map((log) => {
      const { head: offset, counter } = thread.describe(log)
      return { logId: log.id, offset, counter, limit: this.script.pullLimit }
    })
    const page = await this.#page(peer, { threadId, serviceKey: thread.service }, logs)
    for (const { logId, records, log } of page.reply.logs) {
      if (log !== undefined) thread.addLog(log)
      await thread.receive(logId, records, { counter: log?.counter ?? 0, waitMs: this.script.waitMs })
    }
    return page
  }

  /** Comes back until nothing more is sent, also after calls that took too long, as the pull loop does over time. */
  async pullAll(peer: PeerId, threadId: ThreadId): Promise<Page[]> {
    const pages: Page[] = []
    for (let late = 0; late < MAX_LATE; ) {
      try {
        const page = await this.pull(peer, threadId)
        if (page.reply.logs.length === 0) return pages
        pages.push(page)
      } catch (error) {
        if (!(error instanceof StatusError && error.code === Status.deadlineExceeded)) throw error
        late++
      }
    }
    throw new Error('the peer does not answer in time')
  }

  /** Compares edges of all threads with a peer, and fetches what differs. */
  async exchange(peer: PeerId): Promise<void> {
    const request = {
      threads: [...this.threads.keys()].map((id) => ({ threadId: id, edges: this.#service.edges(id) })),
    }
    const { threads } = await this.call(peer, 'exchangeEdges', request)
    for (const { threadId, edges } of threads) {
      const local = this.#service.edges(threadId)
      if (edges.addresses !== 0n && edges.addresses !== local.addresses) this.#schedule('logs', peer, threadId)
      if (edges.heads !== 0n && edges.heads !== local.heads) this.#schedule('records', peer, threadId)
    }
    await this.settled()
  }

  /** Those the logs of a thread name. */
  peers(threadId: ThreadId): PeerId[] {
    const named = [...this.thread(threadId).logs.values()].flatMap(({ addresses }) => addresses)
    const peers = new Set(named.flatMap((address) => peerIdOfAddress(address) ?? []))
    return [...peers].filter((peer) => peer !== this.id)
  }

  /** Waits until it does nothing by itself any more. */
  async settled(): Promise<void> {
    while (this.#reactions.size > 0) await Promise.all(this.#reactions.values())
  }

  /** Throws StatusError. */
  async call<M extends MethodName>(peer: PeerId, method: M, request: RequestOf<M>): Promise<ReplyOf<M>> {
    const codec = methods[method] as Method<RequestOf<M>, ReplyOf<M>>
    return this.#read(method, await this.#send(peer, codec.path, codec.request.encode(request)))
  }

  #read<M extends MethodName>(method: M, reply: Uint8Array): ReplyOf<M> {
    try {
      return readReplyAsGo(method, reply)
    } catch (error) {
      if (error instanceof GoPanic) this.panics.push(`reply to ${method}: ${error.message}`)
      throw error
    }
  }

  async #page(
    peer: PeerId,
    { threadId, serviceKey }: ThreadRequest,
    logs: RequestOf<'getRecords'>['logs'],
  ): Promise<Page> {
    const { path, request } = methods.getRecords
    const bytes = await this.#send(peer, path, request.encode({ threadId, serviceKey, logs }))
    if (bytes.length > this.script.bytesInTime) throw new StatusError(Status.deadlineExceeded, 'it takes too long')
    return { bytes: bytes.length, reply: this.#read('getRecords', bytes) }
  }

  async #status<M extends MethodName>(peer: PeerId, method: M, request: RequestOf<M>): Promise<number> {
    try {
      await this.call(peer, method, request)
      return Status.ok
    } catch (error) {
      if (error instanceof StatusError) return error.code
      throw error
    }
  }

  /** One connection for each peer, dialled again when it is lost. */
  async #send(peer: PeerId, path: string, request: Uint8Array): Promise<Uint8Array> {
    const known = await this.#sessions.get(peer)?.catch(() => undefined)
    if (known?.usable === true) {
      try {
        return await known.call(path, request, LIMITS)
      } catch (error) {
        if (!(error instanceof StatusError && error.code === Status.unavailable)) throw error
      }
    }
    const opening = this.#dial(peer)
    this.#sessions.set(peer, opening)
    return (await opening).call(path, request, LIMITS)
  }

  async #dial(peer: PeerId): Promise<PeerSession> {
    try {
      return new PeerSession(await this.#running.dial(peer, PROTOCOL), peer)
    } catch (error) {
      throw new StatusError(Status.unavailable, String(error))
    }
  }

  async #answer(method: MethodName, bytes: Uint8Array, from: PeerId): Promise<Uint8Array> {
    try {
      const request = readRequestAsGo(method, bytes)
      this.heard.push({ method, from, request })
      return (methods[method] as Method<unknown, unknown>).reply.encode(
        await this.#service.answer(method, request, from),
      )
    } catch (error) {
      if (error instanceof GoPanic) this.panics.push(`${method}: ${error.message}`)
      throw error
    }
  }

  #schedule(kind: 'logs' | 'records', peer: PeerId, threadId: ThreadId): void {
    const key = `${kind} ${peer} ${threadId}`
    if (this.#reactions.has(key)) return
    const run = async (): Promise<void> => {
      // After the answer to the call that made it necessary.
      await new Promise((resolve) => setImmediate(resolve))
      try {
        await (kind === 'logs' ? this.#getLogs(peer, threadId) : this.pull(peer, threadId))
      } catch (error) {
        this.failures.push(error instanceof Error ? error.message : String(error))
      } finally {
        this.#reactions.delete(key)
      }
    }
    this.#reactions.set(key, run())
  }

  async #getLogs(peer: PeerId, threadId: ThreadId): Promise<void> {
    const thread = this.thread(threadId)
    const { logs } = await this.call(peer, 'getLogs', { threadId, serviceKey: thread.service })
    for (const log of logs) thread.addLog(log)
  }

  /** Every message goes on a stream of its own. */
  async #handOut(host: PeerHost, wants: Wants, caller: PeerId): Promise<void> {
    for (const { cid, key } of wants) {
      const holders = [...this.threads.values()].flatMap((thread) => thread.block(key) ?? [])
      const [data] = this.script.bitswap ? holders : []
      const answer =
        data === undefined ? { blockPresences: [{ cid, type: 1 }] } : { payload: [{ prefix: CID_PREFIX, data }] }
      await sendMessage(host, caller, answer)
    }
  }

  get #running(): PeerHost {
    if (this.#host === undefined) throw new StatusError(Status.unavailable, 'the host has stopped')
    return this.#host
  }
}
