/**
 * The calls of exchange.json, in their order, answered by hosts of ours. What each host holds is set up from what the Go
 * host of the same name is seen to send and to get.
 */
import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { peerAddress } from '../../src/core/address.ts'
import { fromHex, toHex } from '../../src/core/bytes.ts'
import { systemClock } from '../../src/core/clock.ts'
import { decodePrivateKey } from '../../src/core/keys.ts'
import { type LogId, type PeerId, peerIdFromBytes, publicKeyOfPeer } from '../../src/core/peer-id.ts'
import { type ThreadId, threadIdFromBytes, threadIdToBytes } from '../../src/core/thread-id.ts'
import type { AheadHint } from '../../src/net/protocol/handlers/context.ts'
import { createHandlers, type Handlers } from '../../src/net/protocol/handlers/handlers.ts'
import type { ExchangeEdgesReply, GetLogsReply, GetRecordsReply, LogRecords } from '../../src/net/protocol/messages.ts'
import { type Method, type MethodName, methods } from '../../src/net/protocol/methods.ts'
import { readRequest } from '../../src/net/protocol/server.ts'
import { Status, statusOf } from '../../src/net/protocol/status.ts'
import type { PeerLog } from '../../src/net/replica.ts'
import { FakeReplica } from '../support/fake-replica.ts'
import { VectorCase } from '../support/vectors.ts'
import { EXCHANGE } from './differences.ts'

const FOLDER = new URL('vectors/', import.meta.url)
const head = new VectorCase(JSON.parse(readFileSync(new URL('exchange.json', FOLDER), 'utf8')))
const cases = head.list('cases')
const threadId = threadIdFromBytes(head.bytes('threadID'))
const serviceKey = head.bytes('serviceKey')

/** Texts made by Go's libraries, which nobody compares: only the code must be the same. */
const TEXT_OF_A_LIBRARY: ReadonlySet<string> = new Set([
  'PushLog: empty public key on the wire',
  'PushRecord: empty record',
  'PushRecord: nodes not CBOR',
])

const someLog = member(head, 'logs', 'A').bytes('logID')

/** Requests that Go could not read, made as their scenes say: the file does not have them. */
const UNREADABLE_REQUESTS: { readonly [scene: string]: string } = {
  'GetLogs: empty service key on the wire': `1226${field(0x0a, threadIdToBytes(threadId))}1200`,
  'GetLogs: service key of 31 bytes': `1245${field(0x0a, threadIdToBytes(threadId))}${field(0x12, serviceKey.slice(1))}`,
  'GetLogs: empty thread id on the wire': `12240a00${field(0x12, serviceKey)}`,
  'GetLogs: thread id of version 2': `12260a220255${toHex(threadIdToBytes(threadId).slice(2))}1200`,
  'GetLogs: not protobuf': '1246',
  'PushLog: empty public key on the wire': `1252${field(0x0a, threadIdToBytes(threadId))}222c${field(0x0a, someLog)}12002200`,
}

function field(tag: number, content: Uint8Array): string {
  return toHex(Uint8Array.of(tag, content.length, ...content))
}

/** From here on go-threads holds another first record as the fourth of this log (8.3-19), and ours does not. */
const FORKED_FROM = 83

interface Host {
  readonly id: PeerId
  readonly replica: FakeReplica
  readonly handlers: Handlers
  readonly hints: AheadHint[]
}

function newHost(name: string): Host {
  const id = peerIdFromBytes(member(head, 'hosts', name).bytes('peerID'))
  const replica = new FakeReplica(id)
  const hints: AheadHint[] = []
  const sink = { seen: () => {}, has: () => {}, ahead: (hint: AheadHint) => void hints.push(hint) }
  return {
    id,
    replica,
    hints,
    handlers: createHandlers({ replica, hints: sink, clock: systemClock, pullRecords: 10_000 }),
  }
}

function member(of: VectorCase, ...path: string[]): VectorCase {
  return path.reduce((inner, name) => new VectorCase(inner.value(name) as Record<string, unknown>), of)
}

const hosts = new Map(['A', 'B', 'C', 'D', 'raw'].map((name) => [name, newHost(name)]))

function hostOf(name: string): Host {
  const host = hosts.get(name === 'a daemon that knows the thread' ? 'A' : name)
  if (host === undefined) throw new Error(`no host ${name}`)
  return host
}

function caseAt(index: number): VectorCase {
  const one = cases[index]
  if (one === undefined) throw new Error(`no case ${index}`)
  return one
}

/** The log that PushRecord: a second first record… is about. */
const forkedLog = methods.pushRecord.request.decode(caseAt(FORKED_FROM).bytes('request')).logId

beforeAll(async () => {
  const keys = { service: serviceKey, read: head.bytes('readKey') }
  const [a, b, d] = [hostOf('A'), hostOf('B'), hostOf('D')]
  for (const { replica } of [a, b, d]) replica.addThread({ id: threadId, ...keys })
  b.replica.addOwnLog(threadId, decodePrivateKey(member(head, 'logs', 'B').bytes('privKey')))
  await d.replica.addLogs(threadId, [emptyLog(logOfD(), d.id)])
  await learnRecords(a, threadId, methods.getRecords.reply.decode(caseAt(1).bytes('reply')))
  // The thread without records.
  const { threadId: without } = methods.getLogs.request.decode(caseAt(56).bytes('request'))
  a.replica.addThread({ id: without, ...keys })
  await a.replica.addLogs(without, methods.getLogs.reply.decode(caseAt(56).bytes('reply')).logs)
  a.replica.prove(without, hostOf('raw').id)
})

/** The log that D made when it joined: among those it has, the one that A does not know. */
function logOfD(): LogId {
  const known = new Set(methods.getLogs.reply.decode(caseAt(85).bytes('reply')).logs.map(({ id }) => id))
  const { logs } = methods.getRecords.request.decode(caseAt(93).bytes('request'))
  const own = logs.find(({ logId }) => !known.has(logId))
  if (own === undefined) throw new Error('D has no log of its own')
  return own.logId
}

function emptyLog(id: LogId, host: PeerId): PeerLog {
  return { id, publicKey: publicKeyOfPeer(id), addresses: [peerAddress(host)], head: undefined, counter: 0 }
}

async function learnRecords({ replica, id }: Host, thread: ThreadId, { logs }: GetRecordsReply): Promise<void> {
  for (const { logId, records, log } of logs) {
    if (log !== undefined) await replica.addLogs(thread, [log])
    await replica.receive({ threadId: thread, logId, records, from: id })
  }
}

/** What the sender must hold to send this. */
async function setUpSender(sender: Host, method: string, request: Uint8Array): Promise<void> {
  if (method === 'PushRecord') {
    const { threadId: thread, logId, record } = methods.pushRecord.request.decode(request)
    await sender.replica.receive({ threadId: thread, logId, records: [record], from: sender.id })
  }
  if (method === 'PushLog') {
    const { threadId: thread, log } = methods.pushLog.request.decode(request)
    await sender.replica.addLogs(thread, [log])
  }
}

/** What the sender does with the reply. */
async function setUpAfterReply(sender: Host, method: string, one: VectorCase): Promise<void> {
  if (method === 'GetLogs') {
    const { threadId: thread } = methods.getLogs.request.decode(one.bytes('request'))
    await sender.replica.addLogs(thread, methods.getLogs.reply.decode(one.bytes('reply')).logs)
  }
  if (method === 'GetRecords') {
    const { threadId: thread } = methods.getRecords.request.decode(one.bytes('request'))
    await learnRecords(sender, thread, methods.getRecords.reply.decode(one.bytes('reply')))
  }
}

const NAMES: { readonly [method: string]: MethodName } = {
  GetLogs: 'getLogs',
  PushLog: 'pushLog',
  GetRecords: 'getRecords',
  PushRecord: 'pushRecord',
  ExchangeEdges: 'exchangeEdges',
}

function methodOf(one: VectorCase): { name: MethodName; method: Method<unknown, unknown> } {
  const name = NAMES[one.string('method')]
  if (name === undefined) throw new Error(`no method ${one.string('method')}`)
  return { name, method: methods[name] }
}

interface Answer {
  readonly code: number
  readonly text: string
  readonly reply: unknown
}

function byText(a: string, b: string): number {
  return a < b ? -1 : 1
}

function requestOf(one: VectorCase): Uint8Array {
  const made = UNREADABLE_REQUESTS[one.string('scene')]
  return made === undefined ? one.bytes('request') : fromHex(made)
}

async function answer(one: VectorCase): Promise<Answer> {
  const { name, method } = methodOf(one)
  const receiver = hostOf(one.string('to'))
  const handler = receiver.handlers[name] as (request: unknown, caller: PeerId) => Promise<unknown>
  try {
    const reply = await handler(readRequest(method, requestOf(one)), hostOf(one.string('from')).id)
    return { code: Status.ok, text: '', reply: method.reply.decode(method.reply.encode(reply)) }
  } catch (error) {
    const status = statusOf(error)
    if (status === undefined) throw error
    return { code: status.code, text: status.message, reply: undefined }
  }
}

/** A reply in a form that does not depend on the order of logs and addresses, without the log that is forked in Go. */
function comparable(reply: unknown, index: number): unknown {
  const { logs, threads } = reply as Partial<GetLogsReply & GetRecordsReply & ExchangeEdgesReply>
  if (threads !== undefined) {
    return threads.map(({ edges, ...rest }) => ({ ...rest, edges: index < FORKED_FROM ? edges : edges.addresses }))
  }
  const entries = (logs ?? []).flatMap((entry: PeerLog | LogRecords) => {
    const { log, records } = 'logId' in entry ? entry : { log: entry, records: [] }
    if (log === undefined || (index >= FORKED_FROM && log.id === forkedLog)) return []
    const nodes = records.map(({ recordNode }) => toHex(recordNode))
    const { id, publicKey, addresses, counter } = log
    const key = publicKey?.encoded
    return { id, key, addresses: addresses.toSorted(byText), head: log.head?.toString(), counter, nodes }
  })
  return entries.toSorted((a, b) => byText(a.id, b.id))
}

/** What ours answers where it is not the same, by place in the file. */
const OTHER_ANSWERS: ReadonlyMap<number, (answered: Answer) => void | Promise<void>> = new Map([
  [41, ({ reply }) => expect(countersSent(reply)).toEqual([1, 2])],
  [42, ({ reply }) => expect(countersSent(reply)).toEqual([3])],
  [
    60,
    async ({ code, text }) => {
      expect({ code, text }).toEqual({ code: Status.unauthenticated, text: 'invalid service-key' })
      const { log } = methods.pushLog.request.decode(caseAt(60).bytes('request'))
      await hostOf('A').replica.addLogs(threadId, [log])
    },
  ],
  [
    79,
    // Nobody waits for the second record: it is pulled.
    ({ code }) => {
      expect(code).toBe(Status.ok)
      expect(hostOf('A').hints.at(-1)).toMatchObject({ peer: hostOf('raw').id, records: true, cause: { kind: 'push' } })
    },
  ],
  [
    FORKED_FROM,
    ({ code }) => {
      expect(code).toBe(Status.internal)
      expect(hostOf('A').replica.counter(threadId, forkedLog)).toBe(3)
    },
  ],
  // D has shown the service key to A only: the others tell it nothing.
  [87, ({ reply }) => expect(reply).toMatchObject({ threads: [{ exists: false, edges: { heads: 0n } }] })],
  [89, ({ reply }) => expect(reply).toMatchObject({ threads: [{ exists: false, edges: { heads: 0n } }] })],
])

/** Positions of the records in a reply, in the log of A. */
function countersSent(reply: unknown): number[] {
  const { logs } = reply as GetRecordsReply
  const all = methods.getRecords.reply.decode(caseAt(29).bytes('reply')).logs
  return logs.flatMap(({ logId, records }) => {
    const nodes = all.find((entry) => entry.logId === logId)?.records.map(({ recordNode }) => toHex(recordNode))
    return records.map(({ recordNode }) => 1 + (nodes?.indexOf(toHex(recordNode)) ?? -1))
  })
}

async function checkAsGo(one: VectorCase, index: number, { code, text, reply }: Answer): Promise<void> {
  expect(code).toBe(one.number('code'))
  if (code !== Status.ok) {
    if (!TEXT_OF_A_LIBRARY.has(one.string('scene'))) expect(text).toBe(one.string('message'))
    return
  }
  const expected = methodOf(one).method.reply.decode(one.bytes('reply'))
  expect(comparable(reply, index)).toEqual(comparable(expected, index))
}

describe('vectors of exchange.json', () => {
  for (const [index, one] of cases.entries()) {
    const method = one.string('method')
    test(`${index} ${method}: ${one.string('scene')}`, async () => {
      const sender = one.string('from') === 'raw' ? undefined : hostOf(one.string('from'))
      if (sender !== undefined) await setUpSender(sender, method, one.bytes('request'))
      const answered = await answer(one)
      const other = OTHER_ANSWERS.get(index)
      if (one.has('crash')) {
        expect(answered).toMatchObject({ code: Status.invalidArgument, text: expect.stringMatching(/ is missing$/) })
      } else if (other === undefined) await checkAsGo(one, index, answered)
      else await other(answered)
      if (sender !== undefined && one.has('reply')) await setUpAfterReply(sender, method, one)
    })
  }
})

test('every answer that is not the same is a difference with a reason', () => {
  expect([...OTHER_ANSWERS.keys()]).toEqual(EXCHANGE.flatMap((difference) => difference.cases))
})

describe('the messages of exchange.json', () => {
  test('sent by Go are written as they were read', () => {
    for (const one of cases) {
      const { method } = methodOf(one)
      const request = one.bytes('request')
      if (one.string('from') !== 'raw') {
        expect(toHex(method.request.encode(method.request.decode(request)))).toBe(toHex(request))
      }
      if (!one.has('reply')) continue
      const reply = one.bytes('reply')
      expect(toHex(method.reply.encode(method.reply.decode(reply)))).toBe(toHex(reply))
    }
  })
})
