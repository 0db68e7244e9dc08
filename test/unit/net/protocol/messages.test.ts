import { expect, it } from 'vitest'
import { decodePublicKey } from '../../../../src/core/keys.ts'
import { newThreadId } from '../../../../src/core/thread-id.ts'
import {
  exchangeEdgesRequest,
  getLogsReply,
  getRecordsReply,
  getRecordsRequest,
  pushRecordRequest,
} from '../../../../src/net/protocol/messages.ts'
import { LogMaker, random } from '../../../support/log-maker.ts'

const log = new LogMaker()
log.next(3)
const [first, second, third] = log.records
if (first === undefined || second === undefined || third === undefined) throw new Error('there are no records')
// Keys are equal if they are one: those that are read are kept.
const plain = { ...log.asPeerLog(), publicKey: decodePublicKey(log.key.publicKey.encoded) }
const threadId = newThreadId('raw', random)
const attestation = random(64)

it('a request names all chains that are held, and says that the caller takes all', () => {
  const entry = {
    logId: log.id,
    offset: third.cid,
    counter: 3,
    limit: 10,
    held: [first.cid, second.cid],
    located: true,
  }
  const request = { threadId, serviceKey: random(32), logs: [entry], chains: true }
  expect(getRecordsRequest.decode(getRecordsRequest.encode(request))).toEqual(request)
})

it('a request without chains is that of peers that know none', () => {
  const entry = { logId: log.id, offset: third.cid, counter: 3, limit: 10 }
  const request = { threadId, serviceKey: random(32), logs: [entry] }
  const bytes = getRecordsRequest.encode(request)
  expect(getRecordsRequest.decode(bytes)).toMatchObject({ chains: false, logs: [{ held: [], located: false }] })
  const empty = { ...request, chains: false, logs: [{ ...entry, held: [], located: false }] }
  expect(getRecordsRequest.encode(empty)).toEqual(bytes)
})

it('a reply holds the records of several chains, and what vouches for their heads', () => {
  const told = { ...plain, attestation }
  const chains = [
    { head: third.cid, counter: 3, attestation, records: [third.blocks] },
    { head: second.cid, counter: 2, records: [] },
  ]
  const reply = { logs: [{ logId: log.id, records: [first.blocks], log: told, chains }], unreadable: 0 }
  expect(getRecordsReply.decode(getRecordsReply.encode(reply))).toEqual(reply)
})

it('a chain that cannot be read is left out of a reply, and harms nothing else', () => {
  const chain = { head: third.cid, counter: 3, records: [], attestation: random(600) }
  const good = { head: second.cid, counter: 2, records: [] }
  const reply = {
    logs: [{ logId: log.id, records: [first.blocks], log: undefined, chains: [chain, good] }],
    unreadable: 0,
  }
  const read = getRecordsReply.decode(getRecordsReply.encode(reply))
  expect(read.logs[0]?.records).toHaveLength(1)
  expect(read.logs[0]?.chains).toEqual([good])
})

it('logs and pushed records carry an attestation, or none', () => {
  for (const each of [plain, { ...plain, attestation }]) {
    expect(getLogsReply.decode(getLogsReply.encode({ logs: [each], unreadable: 0 })).logs).toEqual([each])
  }
  const push = { threadId, logId: log.id, record: first.blocks, counter: 1 }
  for (const each of [push, { ...push, attestation }]) {
    expect(pushRecordRequest.decode(pushRecordRequest.encode(each))).toEqual(each)
  }
})

it('an edge over all chains is told beside the others', () => {
  const edges = { addresses: 1n, heads: 2n, chains: 3n }
  const request = { threads: [{ threadId, edges }] }
  expect(exchangeEdgesRequest.decode(exchangeEdgesRequest.encode(request))).toEqual(request)
  const older = { threads: [{ threadId, edges: { addresses: 1n, heads: 2n } }] }
  expect(exchangeEdgesRequest.decode(exchangeEdgesRequest.encode(older))).toEqual(older)
})
