/** Hosts that fold what they receive and pull from each other in memory, through the real handlers and messages. */
import { textOfUtf8 } from '../../src/core/bytes.ts'
import { silentLogger } from '../../src/core/logger.ts'
import type { ThreadId } from '../../src/core/thread-id.ts'
import type { ThreadKey } from '../../src/core/thread-key.ts'
import { type DatabaseDefinition, newDefinition } from '../../src/db/definition.ts'
import { Folder } from '../../src/db/folder.ts'
import { decodeInstance, instanceRange, readInstanceKey } from '../../src/db/rows.ts'
import type { Sandbox } from '../../src/db/sandbox/index.ts'
import { replay } from '../../src/db/replay.ts'
import type { App, ChainKey, RecordPlace, ThreadRecord } from '../../src/net/index.ts'
import type { LogState } from '../../src/net/rows.ts'
import type { Operation } from '../../src/store/ordered-store.ts'
import type { PeerClient } from '../../src/net/protocol/client.ts'
import { createHandlers, type Handlers } from '../../src/net/protocol/handlers/handlers.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from '../../src/net/protocol/methods.ts'
import { RecordReader } from '../../src/net/record-reader.ts'
import { PeerBook } from '../../src/net/replication/peer-book.ts'
import { planExchange } from '../../src/net/replication/plan.ts'
import { addLogs, RecordPull } from '../../src/net/replication/record-pull.ts'
import type { PlainJudge } from './fold-oracle.ts'
import { CountingJudge } from './fold-world.ts'
import { random } from './log-maker.ts'
import { type NetCore, openCore } from './net-core.ts'

/** Small, so that most chains come in several replies. */
const PULL_RECORDS = 3
const COLLECTIONS = ['Dog', 'Cat-2']

export interface ForkHost {
  readonly core: NetCore
  readonly handlers: Handlers
}

export async function openForkHost(thread: { id: ThreadId; key: ThreadKey }, judge: PlainJudge): Promise<ForkHost> {
  const core = await openCore()
  await core.membership.create(thread.id, { key: thread.key })
  core.entry(thread.id).app = foldingApp(core, thread.id, judge)
  const hints = { seen: () => {}, ahead: () => {}, has: () => {} }
  const handlers = createHandlers({ replica: core.replica, hints, clock: core.clock, pullRecords: PULL_RECORDS })
  return { core, handlers }
}

/** The documents are folded as those of a database are, with a validator for dogs. */
function foldingApp(core: NetCore, id: ThreadId, judge: PlainJudge): App {
  const counting = new CountingJudge(judge)
  const sandbox: Sandbox = {
    checkFunction: async () => {},
    judge: (requests) => counting.judge(requests),
    filter: async (_source, _reader, documents) => [...documents],
    close: async () => {},
  }
  const entry = core.entry(id)
  const folder = new Folder({
    sandbox,
    clock: core.clock,
    thread: entry.number,
    maxClockDriftMs: 600_000,
    record: (place, view) => new RecordReader(view).recordOf(entry.prepared, place),
    holdsBack: () => false,
  })
  return { fold: (records, context) => folder.fold(records, context, DEFINITION) }
}

const DEFINITION: DatabaseDefinition = {
  ...newDefinition('forks'),
  validators: [{ collection: 'Dog', list: [{ since: 0n, validator: 'lax', judge: 'v1' }] }],
}

/** Folds all records anew, into a generation of its own. */
export async function refold({ core }: ForkHost, id: ThreadId, judge: PlainJudge): Promise<number> {
  const { writer, store } = core
  const entry = core.entry(id)
  const logs = [...entry.stored.logs.values()]
  const reader = new RecordReader(store.reads)
  const source = {
    thread: entry.number,
    chains: new Map(logs.map(({ chain, cursor }) => [chain, cursor.counter])),
    branches: new Map(logs.flatMap(({ chain, branch }) => (branch === undefined ? [] : [[chain, branch]]))),
    record: (chain: ChainKey, counter: number): Promise<ThreadRecord> =>
      reader.at(entry.stored, entry.stored.logs.get(chain) as LogState, counter),
    recordOf: (place: RecordPlace): Promise<ThreadRecord> => reader.recordOf(entry.stored, place),
  }
  const target = {
    view: store.reads,
    async store(operations: readonly Operation[]): Promise<void> {
      const { stored } = await writer.write(entry, async (draft) => draft.operations(operations))
      await stored
    },
  }
  const generation = DEFINITION.generation + 1
  await replay(source, target, { definition: { ...DEFINITION, generation }, judge: new CountingJudge(judge) })
  return generation
}

/** Documents by `collection/id`, with who created them. */
export async function documentsOf({ core }: ForkHost, id: ThreadId, generation = 1): Promise<Map<string, object>> {
  const documents = new Map<string, object>()
  const { number } = core.entry(id)
  for (const collection of COLLECTIONS) {
    for await (const [key, row] of core.store.reads.entries(instanceRange(number, generation, collection))) {
      const { document, creator } = decodeInstance(row)
      if (document === undefined) continue
      documents.set(`${collection}/${readInstanceKey(key).id}`, { text: textOfUtf8(document), creator })
    }
  }
  return documents
}

export function wantsRecords(from: ForkHost, of: ForkHost, id: ThreadId): boolean {
  return planExchange(from.core.replica.edges(id), of.core.replica.edges(id)).records
}

/** One host pulls from another until that has nothing new. Answers how many calls it took. */
export async function pull(host: ForkHost, from: ForkHost, id: ThreadId): Promise<number> {
  const { clock, replica } = host.core
  let calls = 0
  const client: PeerClient = {
    call: async (_peer, name, request) => {
      calls++
      return call(from.handlers, host, { name, request })
    },
    close: () => {},
  }
  const peer = from.core.hostId
  const serviceKey = replica.serviceKey(id)
  if (serviceKey === undefined) throw new Error('the thread is not here')
  const book = new PeerBook({ clock, random, onReached: () => {} })
  const { signal } = new AbortController()
  const components = { replica, client, book, clock, logger: silentLogger, signal }
  await addLogs(components, { peer, threadId: id }, from.core.replica.logs(id))
  await new RecordPull(components, { peer, threadId: id, serviceKey }).run({ limit: PULL_RECORDS })
  return calls
}

async function call<M extends MethodName>(
  handlers: Handlers,
  { core }: ForkHost,
  { name, request }: { name: M; request: RequestOf<M> },
): Promise<ReplyOf<M>> {
  const method = methods[name] as Method<RequestOf<M>, ReplyOf<M>>
  const handler = handlers[name] as (request: RequestOf<M>, caller: typeof core.hostId) => Promise<ReplyOf<M>>
  const reply = await handler(method.request.decode(method.request.encode(request)), core.hostId)
  return method.reply.decode(method.reply.encode(reply))
}
