/**
 * Blocks by CID from peers that speak bitswap. go-threads hosts do, and hand out in no other way what lies before the
 * newest records of a log. This host hands out none: whoever knows a CID could ask, member of the thread or not.
 */
import { addAbortSignal, type Duplex } from 'node:stream'
import type { CID } from 'multiformats/cid'
import type { AbortOptions } from '../../core/abort.ts'
import { bytesKey, copyBytes, EMPTY_BYTES, joinBytes } from '../../core/bytes.ts'
import { cidOf } from '../../core/cbor.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { PeerId } from '../../core/peer-id.ts'
import { encodeVarint, readVarint } from '../../core/varint.ts'
import type { PeerHost } from '../host/libp2p-host.ts'
import { boundedReader } from './bounded-reader.ts'
import { Budget } from './budget.ts'
import { MAX_MESSAGE_BYTES } from './constants.ts'
import { Message } from './pb/bitswap.ts'

export const BLOCK_PROTOCOL = '/ipfs/bitswap/1.2.0'
/** Streams of one peer read at once, each with a message of at most 4 MiB. go-threads sends on 8; some then wait. */
const MAX_STREAMS = 4
/** Peers of which blocks are fetched at once. */
const MAX_SUPPLIERS = 8
/** Time without a block after which those that are missing are asked for again: an answer may get lost. */
const PATIENCE_MS = 2_500
/** Times that blocks are asked for in vain. */
const MAX_ATTEMPTS = 4
/** A peer is left that sends fewer blocks, after the first. */
const MIN_BLOCKS_PER_SECOND = 2
const FIRST_SECONDS = 60
/** Type of a block presence. */
const DONT_HAVE = 1

export interface BlockSource {
  /**
   * Throws PEER_UNREACHABLE, also if the peer speaks no bitswap, or if blocks of too many peers are being fetched. The
   * signal ends the session, too.
   */
  open(peer: PeerId, options?: AbortOptions): Promise<BlockSession>
}

export interface BlockSession {
  /**
   * The blocks in the order asked for, each checked against its CID. Throws RECORD_NOT_FOUND if the peer lacks one,
   * PEER_UNREACHABLE if none comes for 10 s or the connection ends, CLOSED.
   */
  fetch(cids: readonly CID[]): Promise<Uint8Array[]>
  close(): void
}

/** To be called before the host starts. */
export function createBlockSource(host: Pick<PeerHost, 'dial' | 'handle'>): BlockSource {
  const source = new BitswapSource(host)
  host.handle(BLOCK_PROTOCOL, (stream, peer) => source.accept(stream, peer))
  return source
}

/** A peer of which blocks are awaited. */
interface Supplier {
  readonly sessions: Set<Session>
  readonly streams: Budget
  /** No more blocks are awaited. */
  readonly end: AbortController
}

class BitswapSource implements BlockSource {
  readonly #host: Pick<PeerHost, 'dial'>
  readonly #suppliers = new Map<PeerId, Supplier>()

  constructor(host: Pick<PeerHost, 'dial'>) {
    this.#host = host
  }

  async open(peer: PeerId, { signal }: AbortOptions = {}): Promise<BlockSession> {
    const stream = await this.#host.dial(peer, BLOCK_PROTOCOL, signal === undefined ? {} : { signal })
    const supplier = this.#suppliers.get(peer) ?? newSupplier()
    if (supplier.sessions.size === 0 && this.#suppliers.size >= MAX_SUPPLIERS) {
      stream.destroy()
      throw new ThreadsError('PEER_UNREACHABLE', `blocks of ${MAX_SUPPLIERS} other peers are being fetched`)
    }
    this.#suppliers.set(peer, supplier)
    const session = new Session(stream, peer)
    supplier.sessions.add(session)
    const close = (): void => session.close()
    signal?.addEventListener('abort', close)
    stream.once('close', () => {
      signal?.removeEventListener('abort', close)
      supplier.sessions.delete(session)
      if (supplier.sessions.size > 0) return
      this.#suppliers.delete(peer)
      supplier.end.abort()
    })
    return session
  }

  /** Peers answer on streams of their own. What nobody waits for is not read. */
  accept(stream: Duplex, peer: PeerId): void {
    stream.on('error', () => {})
    const supplier = this.#suppliers.get(peer)
    if (supplier === undefined) stream.destroy()
    // Whatever is wrong with it: those who wait for its blocks give up in time.
    else deliver(stream, supplier).catch(() => {})
  }
}

function newSupplier(): Supplier {
  return { sessions: new Set(), streams: new Budget(MAX_STREAMS), end: new AbortController() }
}

async function deliver(stream: Duplex, { sessions, streams, end }: Supplier): Promise<void> {
  addAbortSignal(end.signal, stream)
  // Its end is the stream's: nothing is left to be done then.
  const release = await streams.acquire(1, { signal: end.signal })
  try {
    for await (const bytes of readMessages(stream)) {
      const { payload = [], blockPresences = [] } = Message.decode(boundedReader(bytes))
      for (const { data = EMPTY_BYTES } of payload) {
        const key = bytesKey(cidOf(data).bytes)
        for (const session of sessions) session.take(key, data)
      }
      for (const { cid = EMPTY_BYTES, type } of blockPresences) {
        if (type === DONT_HAVE) for (const session of sessions) session.lacks(bytesKey(cid))
      }
    }
  } finally {
    release()
    // The peer has ended its side only.
    stream.destroy()
  }
}

interface Awaited extends PromiseWithResolvers<Uint8Array> {
  readonly cid: CID
}

class Session implements BlockSession {
  readonly #stream: Duplex
  readonly #peer: PeerId
  /** By `bytesKey` of the CID. */
  readonly #awaited = new Map<string, Awaited>()
  readonly #patience: NodeJS.Timeout
  readonly #openedAt = performance.now()
  #taken = 0
  #attempts = 0
  #fault: ThreadsError | undefined

  constructor(stream: Duplex, peer: PeerId) {
    this.#stream = stream
    this.#peer = peer
    this.#patience = setInterval(() => this.#askAgain(), PATIENCE_MS)
    const onEnd = (): void => this.#end(this.#unreachable('the connection ended'))
    stream.on('error', () => {})
    stream.once('end', onEnd).once('close', onEnd)
    // Nothing comes this way but its end.
    stream.resume()
  }

  async fetch(cids: readonly CID[]): Promise<Uint8Array[]> {
    this.#leaveTheSlow()
    if (this.#fault !== undefined) throw this.#fault
    const blocks = cids.map((cid) => this.#await(cid))
    this.#ask(cids)
    this.#heard()
    return Promise.all(blocks)
  }

  /** Takes a block if it is one of those asked for. */
  take(key: string, block: Uint8Array): void {
    // A copy: a view would keep the whole message in memory.
    this.#awaited.get(key)?.resolve(copyBytes(block))
    if (!this.#awaited.delete(key)) return
    this.#taken++
    this.#heard()
  }

  /** Others wait for their turn. */
  #leaveTheSlow(): void {
    const seconds = (performance.now() - this.#openedAt) / 1_000
    if (seconds > FIRST_SECONDS + this.#taken / MIN_BLOCKS_PER_SECOND) this.#end(this.#unreachable('it is too slow'))
  }

  lacks(key: string): void {
    this.#awaited.get(key)?.reject(new ThreadsError('RECORD_NOT_FOUND', `peer ${this.#peer} lacks a block of a log`))
    this.#awaited.delete(key)
  }

  close(): void {
    this.#end(new ThreadsError('CLOSED', 'the session is closed'))
  }

  #await(cid: CID): Promise<Uint8Array> {
    const key = bytesKey(cid.bytes)
    const awaited = this.#awaited.get(key) ?? { cid, ...Promise.withResolvers<Uint8Array>() }
    this.#awaited.set(key, awaited)
    return awaited.promise
  }

  #ask(cids: readonly CID[]): void {
    const entries = cids.map((cid) => ({ block: cid.bytes, priority: 1, sendDontHave: true }))
    const message = Message.encode({ wantlist: { entries } }).finish()
    this.#stream.write(joinBytes([encodeVarint(message.length), message]))
  }

  #heard(): void {
    this.#attempts = 1
    this.#patience.refresh()
  }

  #askAgain(): void {
    if (this.#awaited.size === 0) return
    if (this.#attempts++ < MAX_ATTEMPTS) this.#ask([...this.#awaited.values()].map(({ cid }) => cid))
    else this.#end(this.#unreachable('it sends no blocks'))
  }

  #unreachable(reason: string): ThreadsError {
    return new ThreadsError('PEER_UNREACHABLE', `peer ${this.#peer} cannot be reached: ${reason}`)
  }

  #end(fault: ThreadsError): void {
    if (this.#fault !== undefined) return
    this.#fault = fault
    clearInterval(this.#patience)
    this.#stream.destroy()
    for (const { reject } of this.#awaited.values()) reject(fault)
    this.#awaited.clear()
  }
}

/** The messages of a stream, each after its length as a varint. Throws TOO_LARGE, and Error if the stream breaks. */
async function* readMessages(stream: Duplex): AsyncGenerator<Uint8Array> {
  let chunks: Uint8Array[] = []
  let held = 0
  let needed = 1
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    chunks.push(chunk)
    held += chunk.length
    while (held >= needed) {
      const [first = EMPTY_BYTES] = chunks
      const bytes = chunks.length > 1 ? joinBytes(chunks) : first
      const end = endOfMessage(bytes)
      chunks = [bytes]
      needed = end === undefined ? held + 1 : end.message
      if (end === undefined || held < end.message) break
      yield bytes.subarray(end.length, end.message)
      chunks = [bytes.subarray(end.message)]
      held -= end.message
      needed = 1
    }
  }
}

/** Where the length of the first message ends, and the message. `undefined` while that cannot be told. */
function endOfMessage(bytes: Uint8Array): { length: number; message: number } | undefined {
  const length = readVarint(bytes, 0)
  if (length === 'short') return undefined
  if (length === 'long' || length.value > BigInt(MAX_MESSAGE_BYTES)) {
    throw new ThreadsError('TOO_LARGE', `a message of more than ${MAX_MESSAGE_BYTES} bytes is not taken`)
  }
  return { length: length.end, message: length.end + Number(length.value) }
}
