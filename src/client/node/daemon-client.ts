import { APIDefinition as DB, type CollectionConfig } from '../../api/gen/threads.ts'
import { type BackupChain, type BackupReply, type LogInfo, APIDefinition as NET } from '../../api/gen/threadsnet.ts'
import { EMPTY_BYTES, toHex } from '../../core/bytes.ts'
import { hasCode } from '../../core/errors.ts'
import { type LogId, type PeerId, peerIdFromBytes } from '../../core/peer-id.ts'
import { type ThreadId, threadIdFromBytes, threadIdToBytes } from '../../core/thread-id.ts'
import { readVarint } from '../../core/varint.ts'
import { callReplies, callUnary, type Method, type Service } from '../rpc.ts'
import { GrpcTransport } from './grpc-transport.ts'

export type { CollectionConfig } from '../../api/gen/threads.ts'

export interface LogHead {
  readonly id: LogId
  /** CID of the newest record, in hex; empty for an empty log. */
  readonly head: string
  /** Number of records; 0 also if the daemon does not know it. */
  readonly counter: number
}

/** What a daemon tells of a thread. */
export interface ThreadState {
  /** Binary, with the read key if the daemon has it. */
  readonly key: Uint8Array
  /** Binary thread addresses at which others can join. */
  readonly addresses: readonly Uint8Array[]
  readonly logs: readonly LogHead[]
}

/** What a daemon that is not open to all asks for. */
export interface DaemonAccess {
  /** Of the daemon, in PEM: TLS is spoken, with whoever shows this one. Default: no TLS. */
  readonly certificate?: string
  /** Says who calls. Default: nobody. */
  readonly token?: string
}

/** A daemon's API, as far as commands need it. Every call throws PEER_UNREACHABLE, and what the daemon says. */
export class DaemonClient implements Disposable {
  readonly #transport: GrpcTransport
  readonly #authorization: string

  /** @param address `host:port` of the gRPC port. Dialled by the first call. */
  constructor(address: string, { certificate, token }: DaemonAccess = {}) {
    this.#transport = new GrpcTransport(address, certificate)
    this.#authorization = token === undefined ? '' : `bearer ${token}`
  }

  async hostId(): Promise<PeerId> {
    const { peerID } = await this.#call(NET, NET.methods.getHostID, {})
    return peerIdFromBytes(peerID)
  }

  /** The names of all databases. */
  async databases(): Promise<Map<ThreadId, string>> {
    const { dbs } = await this.#call(DB, DB.methods.listDBs, {})
    return new Map(dbs.map(({ dbID, info }) => [threadIdFromBytes(dbID), info?.name ?? '']))
  }

  async collections(id: ThreadId): Promise<CollectionConfig[]> {
    const { collections } = await this.#call(DB, DB.methods.listCollections, { dbID: threadIdToBytes(id) })
    return collections
  }

  async addCollection(id: ThreadId, config: CollectionConfig): Promise<void> {
    await this.#call(DB, DB.methods.newCollection, { dbID: threadIdToBytes(id), config })
  }

  /** Joins a database. Its records follow in the background. */
  async joinDatabase(
    addr: Uint8Array,
    options: { key: Uint8Array; name: string; collections: CollectionConfig[] },
  ): Promise<void> {
    await this.#call(DB, DB.methods.newDBFromAddr, { addr, ...options })
  }

  /** Joins a thread. Its records follow in the background. */
  async joinThread(addr: Uint8Array, threadKey: Uint8Array): Promise<void> {
    await this.#call(NET, NET.methods.addThread, { addr, keys: { threadKey } })
  }

  /** `undefined` if the daemon does not have it. */
  async thread(id: ThreadId): Promise<ThreadState | undefined> {
    try {
      const request = { threadID: threadIdToBytes(id) }
      const { threadKey, addrs, logs } = await this.#call(NET, NET.methods.getThread, request)
      return { key: threadKey, addresses: addrs, logs: logs.map(logHead) }
    } catch (error) {
      if (hasCode(error, 'THREAD_NOT_FOUND')) return undefined
      // go-threads has no code for it.
      if (hasCode(error, 'PEER_REFUSED') && error.message === 'thread not found') return undefined
      throw error
    }
  }

  /** Fetches what the thread's peers have. */
  async pull(id: ThreadId): Promise<void> {
    await this.#call(NET, NET.methods.pullThread, { threadID: threadIdToBytes(id) })
  }

  /**
   * All that cannot be made again, or one thread of it. Of chains that are `known`, with their heads, what is behind. The
   * last frame is `end`.
   */
  async *backup(request: {
    thread: ThreadId | undefined
    known: readonly BackupChain[]
  }): AsyncGenerator<NonNullable<BackupReply['frame']>> {
    const threadID = request.thread === undefined ? EMPTY_BYTES : threadIdToBytes(request.thread)
    const members = { threadID, known: [...request.known] }
    const call = { service: NET, method: NET.methods.backup, members }
    const replies = callReplies(this.#transport, call, { authorization: this.#authorization })
    for await (const { frame } of replies) if (frame !== undefined) yield frame
  }

  [Symbol.dispose](): void {
    this.#transport[Symbol.dispose]()
  }

  #call<Request, Members, Reply>(
    service: Service,
    method: Method<Request, Members, Reply>,
    members: Members,
  ): Promise<Reply> {
    return callUnary(this.#transport, { service, method, members }, { authorization: this.#authorization })
  }
}

/** The counter is a zigzag varint of a number that is never negative. */
function logHead({ ID, head, counter }: LogInfo): LogHead {
  const varint = readVarint(counter, 0)
  const doubled = typeof varint === 'string' ? 0n : varint.value
  return { id: peerIdFromBytes(ID), head: toHex(head), counter: Number(doubled / 2n) }
}
