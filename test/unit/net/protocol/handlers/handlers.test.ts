import { beforeEach, describe, expect, it } from 'vitest'
import { peerAddress } from '../../../../../src/core/address.ts'
import type { LogId, PeerId } from '../../../../../src/core/peer-id.ts'
import type { RecordBlocks } from '../../../../../src/core/record.ts'
import type { ThreadId } from '../../../../../src/core/thread-id.ts'
import { MAX_MESSAGE_BYTES } from '../../../../../src/net/protocol/constants.ts'
import type { AheadHint } from '../../../../../src/net/protocol/handlers/context.ts'
import { createHandlers, type Handlers } from '../../../../../src/net/protocol/handlers/handlers.ts'
import { getRecordsReply, type LogOffset } from '../../../../../src/net/protocol/messages.ts'
import type { PeerLog, ReceivedRun } from '../../../../../src/net/replica.ts'
import { FakeClock } from '../../../../support/fake-clock.ts'
import { FakeReplica, newPeer } from '../../../../support/fake-replica.ts'

const MIB = 1024 * 1024
const stranger = newPeer().id
const member = newPeer().id

const clock = new FakeClock()
let replica: FakeReplica
let handlers: Handlers
let hints: AheadHint[]
let told: { peer: PeerId; id: LogId; counter: number }[]
let threadId: ThreadId
let logId: LogId

beforeEach(() => {
  replica = new FakeReplica()
  hints = []
  told = []
  handlers = createHandlers({
    replica,
    hints: {
      seen: () => {},
      ahead: (hint) => void hints.push(hint),
      has: (peer, _thread, log) => void told.push({ peer, ...log }),
    },
    clock,
    pullRecords: 100,
  })
  threadId = replica.addThread()
  logId = replica.addOwnLog(threadId)
  replica.prove(threadId, member)
})

function serviceKey(): Uint8Array {
  const key = replica.serviceKey(threadId)
  if (key === undefined) throw new Error('no such thread')
  return key
}

function recordAt(counter: number): RecordBlocks {
  const blocks = replica.threads.get(threadId)?.logs.get(logId)?.records[counter - 1]?.blocks
  if (blocks === undefined) throw new Error('no such record')
  return blocks
}

function newLog(): PeerLog {
  const { id, key } = newPeer()
  return { id, publicKey: key.publicKey, addresses: [peerAddress(member)], head: undefined, counter: 0 }
}

function askedFor(logs: readonly LogOffset[] = [], caller: PeerId = member) {
  return handlers.getRecords({ threadId, serviceKey: serviceKey(), logs }, caller)
}

function offset(counter: number, limit = 1000): LogOffset {
  const head = replica.threads.get(threadId)?.logs.get(logId)?.records[counter - 1]?.cid
  return { logId, offset: head, counter, limit }
}

/** Another host with the same thread, which has the records up to `counter`. */
async function follower(counter: number): Promise<{ replica: FakeReplica; handlers: Handlers }> {
  const other = new FakeReplica()
  other.addThread({ id: threadId, service: serviceKey() })
  await other.addLogs(
    threadId,
    replica.logs(threadId).map((log) => ({ ...log, addresses: [] })),
  )
  const records = Array.from({ length: counter }, (_, index) => recordAt(index + 1))
  if (counter > 0) await other.receive({ threadId, logId, records, from: replica.hostId })
  const sink = { seen: () => {}, has: () => {}, ahead: (hint: AheadHint) => void hints.push(hint) }
  return { replica: other, handlers: createHandlers({ replica: other, hints: sink, clock, pullRecords: 100 }) }
}

describe('a stranger', () => {
  it('hears that the thread is unknown when it pushes a log without the key', async () => {
    const pushed = handlers.pushLog({ threadId, serviceKey: undefined, readKey: undefined, log: newLog() }, stranger)
    await expect(pushed).rejects.toMatchObject({ code: 'THREAD_NOT_FOUND', message: 'thread not found' })
    expect(replica.logs(threadId)).toHaveLength(1)
  })

  it('hears that the log is unknown when it pushes a record that the service key does not open', async () => {
    const other = new FakeReplica()
    other.addThread({ id: threadId })
    const foreign = other.addOwnLog(threadId)
    other.append(threadId, foreign)
    const record = other.threads.get(threadId)?.logs.get(foreign)?.records[0]?.blocks as RecordBlocks
    const pushed = handlers.pushRecord({ threadId, logId, record, counter: 1 }, stranger)
    await expect(pushed).rejects.toMatchObject({ code: 'LOG_NOT_FOUND', message: 'log not found' })
    expect(replica.isProven(threadId, stranger)).toBe(false)
  })

  it('is told of no edges', async () => {
    replica.append(threadId, logId)
    const edges = { addresses: 5n, heads: 6n }
    const reply = await handlers.exchangeEdges({ threads: [{ threadId, edges }] }, stranger)
    expect(reply.threads).toEqual([{ threadId, exists: false, edges: { addresses: 0n, heads: 0n } }])
    expect(hints).toEqual([])
  })

  it('belongs to the thread once it showed the service key', async () => {
    await handlers.getLogs({ threadId, serviceKey: serviceKey() }, stranger)
    expect(replica.isProven(threadId, stranger)).toBe(true)
  })

  it('does not belong to it by a record, which is taken: it may have come by it otherwise', async () => {
    replica.append(threadId, logId)
    const other = await follower(0)
    await other.handlers.pushRecord({ threadId, logId, record: recordAt(1), counter: 1 }, stranger)
    expect(other.replica.counter(threadId, logId)).toBe(1)
    expect(other.replica.isProven(threadId, stranger)).toBe(false)
  })

  it('is told to ask, and no more, once it sent a record of a log that is not here', async () => {
    replica.append(threadId, logId)
    const other = new FakeReplica()
    other.addThread({ id: threadId, service: serviceKey() })
    const sink = { seen: () => {}, has: () => {}, ahead: (hint: AheadHint) => void hints.push(hint) }
    const asked = createHandlers({ replica: other, hints: sink, clock, pullRecords: 100 })
    const edges = replica.edges(threadId)
    const pushed = asked.pushRecord({ threadId, logId, record: recordAt(1), counter: 1 }, stranger)
    await expect(pushed).rejects.toMatchObject({ code: 'LOG_NOT_FOUND' })
    const { threads } = await asked.exchangeEdges({ threads: [{ threadId, edges }] }, stranger)
    expect(threads).toEqual([{ threadId, exists: true, edges: { addresses: 1n, heads: 1n } }])
    expect(threads[0]?.edges).not.toEqual(other.edges(threadId))
    expect(hints).toEqual([])
    // What it asks with shows the key, and what it has.
    await asked.getRecords({ threadId, serviceKey: serviceKey(), logs: [offset(1)] }, stranger)
    expect(other.isProven(threadId, stranger)).toBe(true)
    expect(hints).toMatchObject([{ peer: stranger, logs: true, records: true }])
  })

  it('does not belong to it after a wrong key', async () => {
    const wrong = new Uint8Array(32)
    await expect(handlers.getLogs({ threadId, serviceKey: wrong }, stranger)).rejects.toThrow('invalid service-key')
    const log = newLog()
    const pushed = handlers.pushLog({ threadId, serviceKey: wrong, readKey: undefined, log }, stranger)
    await expect(pushed).rejects.toThrow('invalid service-key')
    expect(replica.isProven(threadId, stranger)).toBe(false)
  })
})

describe('PushLog', () => {
  it('makes a host keep a thread it does not have, and pull it', async () => {
    const host = new FakeReplica()
    const kept = createHandlers({
      replica: host,
      hints: { seen: () => {}, has: () => {}, ahead: (hint) => void hints.push(hint) },
      clock,
      pullRecords: 100,
    })
    await kept.pushLog({ threadId, serviceKey: serviceKey(), readKey: undefined, log: newLog() }, stranger)
    expect(host.logs(threadId)).toHaveLength(1)
    expect(hints).toMatchObject([{ peer: stranger, threadId, records: true, cause: { kind: 'push' } }])
  })

  it('is refused by a host that keeps nothing for others', async () => {
    const host = new FakeReplica()
    host.refuseStrangers = true
    const refusing = createHandlers({
      replica: host,
      hints: { seen: () => {}, has: () => {}, ahead: () => {} },
      clock,
      pullRecords: 100,
    })
    const pushed = refusing.pushLog({ threadId, serviceKey: serviceKey(), readKey: undefined, log: newLog() }, stranger)
    await expect(pushed).rejects.toThrow('thread not found')
  })

  it('brings a read key that was missing', async () => {
    const other = await follower(0)
    const held = other.replica.threads.get(threadId)
    if (held === undefined) throw new Error('no such thread')
    held.read = undefined
    const readKey = new Uint8Array(32).fill(3)
    await other.handlers.pushLog({ threadId, serviceKey: serviceKey(), readKey, log: newLog() }, stranger)
    expect(held.read).toEqual(readKey)
  })
})

describe('GetRecords', () => {
  it('sends the records directly after the offset, oldest first', async () => {
    for (let count = 0; count < 5; count++) replica.append(threadId, logId)
    const { logs } = await askedFor([offset(2, 2)])
    expect(logs).toMatchObject([{ logId, records: [recordAt(3), recordAt(4)], log: { id: logId, counter: 5 } }])
  })

  it('sends no more records than the host allows, over all logs', async () => {
    const second = replica.addOwnLog(threadId)
    for (let count = 0; count < 150; count++) {
      replica.append(threadId, logId)
      replica.append(threadId, second)
    }
    const { logs } = await askedFor()
    expect(logs.map(({ records }) => records.length)).toEqual([50, 50])
  })

  it('gives a short log all and a long one what is left', async () => {
    const short = replica.addOwnLog(threadId)
    for (let count = 0; count < 150; count++) replica.append(threadId, logId)
    for (let count = 0; count < 3; count++) replica.append(threadId, short)
    const { logs } = await askedFor()
    expect(new Map(logs.map((entry) => [entry.logId, entry.records.length]))).toEqual(
      new Map([
        [short, 3],
        [logId, 97],
      ]),
    )
  })

  it('keeps replies of many large records at 3 MiB and fills them with each log', async () => {
    const second = replica.addOwnLog(threadId)
    for (let count = 0; count < 10; count++) {
      replica.append(threadId, logId, MIB / 2)
      replica.append(threadId, second, MIB / 2)
    }
    const reply = await askedFor()
    expect(new Set(reply.logs.map((entry) => entry.logId))).toEqual(new Set([logId, second]))
    const bytes = getRecordsReply.encode(reply).length
    expect(bytes).toBeGreaterThan(2 * MIB)
    expect(bytes).toBeLessThan(3.1 * MIB)
  })

  it('keeps replies of many logs with many addresses below the size of a message', async () => {
    const addresses = Array.from({ length: 16 }, () => peerAddress(newPeer().id))
    for (let count = 0; count < 2000; count++) {
      const id = replica.addOwnLog(threadId)
      replica.append(threadId, id, 1500)
      const log = replica.threads.get(threadId)?.logs.get(id)
      if (log !== undefined) log.addresses = addresses
    }
    const deaf = { seen: () => {}, ahead: () => {}, has: () => {} }
    const roomy = createHandlers({ replica, hints: deaf, clock, pullRecords: 10_000 })
    const reply = await roomy.getRecords({ threadId, serviceKey: serviceKey(), logs: [] }, member)
    expect(getRecordsReply.encode(reply).length).toBeLessThan(MAX_MESSAGE_BYTES)
    expect(reply.logs.length).toBeGreaterThan(1000)
  })

  it('sends less to a caller that asks the same again, and more to one that went on', async () => {
    for (let count = 0; count < 40; count++) replica.append(threadId, logId, 0.1 * MIB)
    const page = async (counter: number) => (await askedFor([offset(counter)])).logs[0]?.records.length
    const sizes = [await page(1), await page(1), await page(1), await page(8), await page(23), await page(23)]
    expect(sizes).toEqual([29, 14, 6, 12, 17, 8])
    for (let again = 0; again < 10; again++) await page(1)
    expect(await page(1)).toBe(1)
  })

  it('sends a record larger than that alone', async () => {
    const second = replica.addOwnLog(threadId)
    replica.append(threadId, second, 3.4 * MIB)
    replica.append(threadId, logId, 3.4 * MIB)
    const { logs } = await askedFor()
    expect(logs.map(({ records }) => records.length)).toEqual([1])
  })

  it('leaves a record that does not fit any more to the next reply', async () => {
    const second = replica.addOwnLog(threadId)
    replica.append(threadId, second, 3.4 * MIB)
    for (let count = 0; count < 2; count++) replica.append(threadId, logId, MIB / 2)
    const first = await askedFor()
    expect(first.logs.map((entry) => [entry.logId, entry.records.length])).toEqual([[second, 1]])
    replica.append(threadId, second, 10)
    replica.append(threadId, second, 10)
    const next = await askedFor([], newPeer().id)
    expect(next.logs.map((entry) => [entry.logId, entry.records.length])).toEqual([[logId, 2]])
  })

  it('says what the caller has, and that it has more than we', async () => {
    for (let count = 0; count < 3; count++) replica.append(threadId, logId)
    await askedFor([offset(2)])
    expect(told).toEqual([{ peer: member, id: logId, counter: 2 }])
    expect(hints).toEqual([])
    await askedFor([{ ...offset(3), counter: 9 }])
    expect(hints).toMatchObject([{ peer: member, logs: false, records: true, cause: { kind: 'request' } }])
    await askedFor([{ ...offset(3), logId: newPeer().id }])
    expect(hints.at(-1)).toMatchObject({ logs: true, records: true })
  })
})

describe('PushRecord', () => {
  it('stores the next record', async () => {
    for (let count = 0; count < 2; count++) replica.append(threadId, logId)
    const other = await follower(1)
    await other.handlers.pushRecord({ threadId, logId, record: recordAt(2), counter: 2 }, replica.hostId)
    expect(other.replica.counter(threadId, logId)).toBe(2)
  })

  it('accepts a record that is here, told with its position or without', async () => {
    replica.append(threadId, logId)
    for (const counter of [0, 1]) {
      await expect(handlers.pushRecord({ threadId, logId, record: recordAt(1), counter }, member)).resolves.toEqual({})
    }
  })

  it('looks at another record in the place of the head, and at one that comes with an attestation', async () => {
    for (let count = 0; count < 2; count++) replica.append(threadId, logId)
    const received: ReceivedRun[] = []
    replica.receive = async (run) => {
      received.push(run)
      return { stored: 0, counter: 2, gap: false }
    }
    const push = (counter: number, at: number, attestation?: Uint8Array): Promise<unknown> =>
      handlers.pushRecord({ threadId, logId, record: recordAt(at), counter, attestation }, member)
    replica.prove(threadId, member)
    await push(1, 1)
    await push(1, 2)
    await push(1, 1, new Uint8Array(64))
    await push(2, 2)
    expect(received).toEqual([])
    await push(2, 1)
    await push(2, 2, new Uint8Array(64))
    const head = replica.log(threadId, logId)?.head
    expect(received.map(({ attestation }) => attestation?.head.equals(head))).toEqual([undefined, true])
  })

  it('has what lies between pulled after a gap', async () => {
    for (let count = 0; count < 3; count++) replica.append(threadId, logId)
    const other = await follower(1)
    const pushed = { threadId, logId, record: recordAt(3), counter: 3 }
    await expect(other.handlers.pushRecord(pushed, member)).resolves.toEqual({})
    expect(other.replica.counter(threadId, logId)).toBe(1)
    expect(hints).toMatchObject([{ peer: member, records: true, cause: { kind: 'push' } }])
  })
})

describe('records that are not valid', () => {
  it('are refused unheard above ten in a second, from that peer only', async () => {
    for (let count = 0; count < 2; count++) replica.append(threadId, logId)
    const other = await follower(1)
    other.replica.prove(threadId, member)
    const bad = { threadId, logId, record: { ...recordAt(2), bodyNode: recordAt(1).bodyNode }, counter: 2 }
    for (let count = 0; count < 10; count++) {
      await expect(other.handlers.pushRecord(bad, member)).rejects.toMatchObject({ code: 'INVALID_RECORD' })
    }
    const good = { ...bad, record: recordAt(2) }
    await expect(other.handlers.pushRecord(good, member)).rejects.toThrow('too many records that are not valid')
    clock.advance(1_000)
    await other.handlers.pushRecord(good, member)
    expect(other.replica.counter(threadId, logId)).toBe(2)
  })
})

describe('records of strangers that the service key does not open', () => {
  it('count as records that are not valid: to find that out is work', async () => {
    replica.append(threadId, logId)
    const record = { ...recordAt(1), recordNode: recordAt(1).bodyNode }
    const push = () => handlers.pushRecord({ threadId, logId, record, counter: 2 }, stranger)
    for (let count = 0; count < 10; count++) await expect(push()).rejects.toMatchObject({ code: 'LOG_NOT_FOUND' })
    await expect(push()).rejects.toThrow('too many records that are not valid')
    clock.advance(1_000)
  })
})

describe('a peer that goes on with records that are not valid', () => {
  const shut: PeerId[] = []
  let push: () => Promise<unknown>

  beforeEach(async () => {
    shut.length = 0
    const sink = { seen: () => {}, has: () => {}, ahead: () => {} }
    const shutOut = (peer: PeerId): void => void shut.push(peer)
    const limited = createHandlers({ replica, hints: sink, clock, pullRecords: 100, shutOut })
    for (let count = 0; count < 2; count++) replica.append(threadId, logId)
    const bad = { ...recordAt(2), bodyNode: recordAt(1).bodyNode }
    push = () => limited.pushRecord({ threadId, logId, record: bad, counter: 3 }, member).catch(() => {})
  })

  async function misbehave(seconds: number, everyMs: number): Promise<void> {
    for (let second = 0; second < seconds; second++) {
      for (let count = 0; count < 15; count++) await push()
      clock.advance(everyMs)
    }
  }

  it('is shut out once it was over the limit for five seconds', async () => {
    await misbehave(5, 1_000)
    expect(shut).toEqual([])
    await push()
    expect(shut).toEqual([member])
  })

  it('is not if it stops for a minute', async () => {
    await misbehave(20, 62_000)
    expect(shut).toEqual([])
  })

  it('is not if it keeps to the limit', async () => {
    for (let count = 0; count < 100; count++) {
      await push()
      clock.advance(150)
    }
    expect(shut).toEqual([])
  })
})

describe('ExchangeEdges', () => {
  it('has logs and records pulled where the edges of the caller differ', async () => {
    replica.append(threadId, logId)
    const local = replica.edges(threadId)
    const edges = { addresses: local.addresses, heads: local.heads + 1n }
    const reply = await handlers.exchangeEdges({ threads: [{ threadId, edges }] }, member)
    expect(reply.threads).toEqual([{ threadId, exists: true, edges: local }])
    expect(hints).toMatchObject([{ logs: false, records: true, cause: { kind: 'edges', edges } }])
  })

  it('refuses more threads than it compares at once', async () => {
    const edges = { addresses: 0n, heads: 0n }
    const threads = Array.from({ length: 1001 }, () => ({ threadId, edges }))
    await expect(handlers.exchangeEdges({ threads }, member)).rejects.toThrow('1001 threads')
  })
})
