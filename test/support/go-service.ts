/** What a go-threads host answers to the calls of its peers. */
import { equalBytes } from '../../src/core/bytes.ts'
import type { LogId, PeerId } from '../../src/core/peer-id.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { ThreadRequest } from '../../src/net/protocol/messages.ts'
import type { MethodName, ReplyOf, RequestOf } from '../../src/net/protocol/methods.ts'
import { Status, StatusError } from '../../src/net/protocol/status.ts'
import type { Edges } from '../../src/net/replica.ts'
import { type GoRecord, GoThread } from './go-thread.ts'

/** What differs from one go-threads host to another. */
export interface GoScript {
  /** `netPullingLimit`. */
  pullLimit: number
  /** Whether it hands out single blocks. */
  bitswap: boolean
  /** Hosts from before edges answer that they do not know the call. */
  edges: boolean
  /** Time a pushed record waits for the one before it. */
  waitMs: number
  /** Answers why a record is refused, as a write validator would. */
  refuse: (record: GoRecord) => string | undefined
  /** In-memory stores have it, after a restart, for a thread without heads: the hash of nothing in place of 0. */
  hashOfNothing: boolean
  /** Bytes of the largest reply that comes in time. */
  bytesInTime: number
  /** Logs of which GetRecords waits for a block that nobody has: after a record that could not be applied. */
  hangs: (logId: LogId) => boolean
}

export const GO_SCRIPT: GoScript = {
  pullLimit: 10_000,
  bitswap: true,
  edges: true,
  waitMs: 10_000,
  refuse: () => undefined,
  hashOfNothing: false,
  bytesInTime: Number.POSITIVE_INFINITY,
  hangs: () => false,
}

const HASH_OF_NOTHING = 14695981039346656037n

export interface GoServiceComponents {
  readonly threads: Map<ThreadId, GoThread>
  readonly script: GoScript
  /** Fetches logs or records from the caller, after the answer. */
  schedule(kind: 'logs' | 'records', peer: PeerId, threadId: ThreadId): void
}

type Answers = { readonly [M in MethodName]: (request: RequestOf<M>, caller: PeerId) => Promise<ReplyOf<M>> }

export class GoService {
  readonly #components: GoServiceComponents
  readonly #answers: Answers = {
    getLogs: (request) => this.#getLogs(request),
    pushLog: (request, caller) => this.#pushLog(request, caller),
    getRecords: (request) => this.#getRecords(request),
    pushRecord: (request) => this.#pushRecord(request),
    exchangeEdges: (request, caller) => this.#exchangeEdges(request, caller),
  }

  constructor(components: GoServiceComponents) {
    this.#components = components
  }

  /** Throws StatusError. */
  answer(method: MethodName, request: unknown, caller: PeerId): Promise<unknown> {
    const answer = this.#answers[method] as (request: unknown, caller: PeerId) => Promise<unknown>
    return answer(request, caller)
  }

  /** As it reports them. */
  edges(threadId: ThreadId): Edges {
    const { threads, script } = this.#components
    const edges = threads.get(threadId)?.edges ?? { addresses: 0n, heads: 0n }
    const replaced = script.hashOfNothing && edges.addresses !== 0n && edges.heads === 0n
    return replaced ? { ...edges, heads: HASH_OF_NOTHING } : edges
  }

  #checkServiceKey({ threadId, serviceKey }: ThreadRequest): GoThread {
    if (serviceKey === undefined) {
      throw new StatusError(Status.unauthenticated, 'a service-key is required to get logs')
    }
    const thread = this.#components.threads.get(threadId)
    if (thread === undefined) throw new StatusError(Status.notFound, 'thread not found')
    if (!equalBytes(thread.service, serviceKey)) throw new StatusError(Status.unauthenticated, 'invalid service-key')
    return thread
  }

  async #getLogs(request: RequestOf<'getLogs'>): Promise<ReplyOf<'getLogs'>> {
    const thread = this.#checkServiceKey(request)
    return { logs: [...thread.logs.values()].map((log) => thread.describe(log)), unreadable: 0 }
  }

  /** The service key is not compared with that of a thread that is known. */
  async #pushLog(request: RequestOf<'pushLog'>, caller: PeerId): Promise<ReplyOf<'pushLog'>> {
    const { threads, schedule } = this.#components
    const { threadId, serviceKey, readKey, log } = request
    const known = threads.get(threadId)
    if (known === undefined && serviceKey === undefined) throw new StatusError(Status.notFound, 'thread not found')
    const thread = known ?? new GoThread(threadId, { service: serviceKey ?? new Uint8Array() })
    threads.set(threadId, thread)
    thread.read ??= readKey
    thread.addLog(log)
    schedule('records', caller, threadId)
    return {}
  }

  async #getRecords(request: RequestOf<'getRecords'>): Promise<ReplyOf<'getRecords'>> {
    const { script } = this.#components
    const thread = this.#checkServiceKey(request)
    const logs = thread.newest(request.logs, script.pullLimit)
    if (logs.some(({ logId }) => script.hangs(logId))) await new Promise(() => {})
    return { logs, unreadable: 0 }
  }

  async #pushRecord({ threadId, logId, record, counter }: RequestOf<'pushRecord'>): Promise<ReplyOf<'pushRecord'>> {
    const { threads, script } = this.#components
    const thread = threads.get(threadId)
    if (thread === undefined) throw new StatusError(Status.notFound, 'log not found')
    const refusal = script.refuse(thread.open(record))
    if (refusal !== undefined) throw new StatusError(Status.internal, refusal)
    await thread.receive(logId, [record], { counter, waitMs: script.waitMs })
    return {}
  }

  async #exchangeEdges({ threads }: RequestOf<'exchangeEdges'>, caller: PeerId): Promise<ReplyOf<'exchangeEdges'>> {
    const { script, schedule } = this.#components
    if (!script.edges) throw new StatusError(Status.unimplemented, 'unknown method ExchangeEdges')
    return {
      threads: threads.map(({ threadId, edges: remote }) => {
        const local = this.edges(threadId)
        if (remote.addresses !== 0n && remote.addresses !== local.addresses) schedule('logs', caller, threadId)
        if (remote.heads !== 0n && remote.heads !== local.heads) schedule('records', caller, threadId)
        return { threadId, exists: local.addresses !== 0n && local.heads !== 0n, edges: local }
      }),
    }
  }
}
