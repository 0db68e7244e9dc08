/** Every reader of bytes or text, with something good for it to read. A new one is one more line. */
import { fromBase64 } from '../../src/api/grpc-web.ts'
import * as request from '../../src/api/decode.ts'
import { FrameReader, headersFrame, messageFrame } from '../../src/api/frames.ts'
import { APIDefinition as DbApi, CollectionConfig } from '../../src/api/gen/threads.ts'
import { APIDefinition as NetApi } from '../../src/api/gen/threadsnet.ts'
import { type RpcContext, unary } from '../../src/api/service.ts'
import { parseHeaders } from '../../src/api/websocket.ts'
import { parseIdentityKey } from '../../src/client/index.ts'
import { FrameReader as ResponseReader } from '../../src/client/web/frames.ts'
import { addressFromBytes, addressToBytes, parseAddress } from '../../src/core/address.ts'
import { fromHex, textOfUtf8, utf8 } from '../../src/core/bytes.ts'
import { canonicalise, cidFromBytes, cidOf, decode, encode } from '../../src/core/cbor.ts'
import { decodeEvent, openBody, sealEvent } from '../../src/core/event-block.ts'
import { decodeEvents, encodeEvents, validatorView } from '../../src/core/events.ts'
import { identityOf, parseIdentity, publicKeyOfIdentity } from '../../src/core/identity.ts'
import { decodePrivateKey, decodePublicKey, keyFromSeed } from '../../src/core/keys.ts'
import { decodeBase64Url, decodeMultibase, encodeBase32 } from '../../src/core/multibase.ts'
import { parsePeerId, peerIdFromBytes, peerIdOf, peerIdToBytes, publicKeyOfPeer } from '../../src/core/peer-id.ts'
import { canonicalBlocks, checkLinks, openRecord, sealRecord } from '../../src/core/record.ts'
import { open, seal } from '../../src/core/symmetric.ts'
import { newThreadId, parseThreadId, threadIdFromBytes, threadIdToBytes } from '../../src/core/thread-id.ts'
import { newThreadKey, parseThreadKey, threadKeyFromBytes, threadKeyToString } from '../../src/core/thread-key.ts'
import { issueToken, verifyToken } from '../../src/core/token.ts'
import { readVarint } from '../../src/core/varint.ts'
import { REASONS } from '../../src/db/fold/reasons.ts'
import { readContent } from '../../src/db/fold/well-formed.ts'
import { ENTRY_ENCODING, type IndexDefinition } from '../../src/db/indexes/definition.ts'
import { entryKey, indexPrefix, readEntry } from '../../src/db/indexes/entry.ts'
import { parseInstance } from '../../src/db/instance-input.ts'
import { parseDocument } from '../../src/db/json.ts'
import { applyPatch, parsePatch } from '../../src/db/json-patch.ts'
import { parseQuery } from '../../src/db/query/parse.ts'
import { decodeToken, encodeToken } from '../../src/db/resume-token.ts'
import * as rows from '../../src/db/rows.ts'
import { compileSchema } from '../../src/db/schema/index.ts'
import { decodeKnown } from '../../src/net/peer-addresses.ts'
import { boundedReader } from '../../src/net/protocol/bounded-reader.ts'
import { decodeFrame, encodeFrame, type Frame } from '../../src/net/sync/frames.ts'
import * as messages from '../../src/net/protocol/messages.ts'
import { Message as BitswapMessage } from '../../src/net/protocol/pb/bitswap.ts'
import { openMessage } from '../../src/net/replication/gossip-message.ts'
import * as netRows from '../../src/net/rows.ts'
import { decodeJournalRow, encodeJournalRow } from '../../src/store/journal-row.ts'
import { parseKey, rowKey } from '../../src/store/key-codec.ts'
import { fixedRandom } from './api-server.ts'

const KEY = keyFromSeed(new Uint8Array(32).fill(3))
const PEER = peerIdOf(KEY.publicKey)
const IDENTITY = identityOf(KEY.publicKey)
const THREAD = newThreadId('raw', fixedRandom)
const THREAD_KEY = newThreadKey(fixedRandom)
const SERVICE = THREAD_KEY.service
const ADDRESS = parseAddress(`/dns4/example.com/tcp/443/wss/p2p/${PEER}/thread/${THREAD}`)
const DOCUMENT = utf8('{"_id":"x","n":[1,2.5,null,{"ä":"\\u00e4"}]}')
const BODY = encodeEvents([
  { id: 'x', type: 'create', patch: DOCUMENT, timestamp: 5n, collection: 'Dog', instanceId: 'x' },
])
const EVENT = sealEvent(BODY, SERVICE, fixedRandom)
const SEALED = sealRecord({
  event: EVENT.eventCid,
  prev: cidOf(BODY),
  logKey: KEY,
  author: KEY.publicKey,
  serviceKey: SERVICE,
  random: fixedRandom,
})
const RECORD = { recordNode: SEALED.recordNode, ...EVENT }
const PLAIN_RECORD = encode({
  sig: new Uint8Array(64),
  prev: cidOf(BODY),
  block: cidOf(BODY),
  pubKey: KEY.publicKey.encoded,
})
const LOG = { id: PEER, publicKey: KEY.publicKey, addresses: [ADDRESS], head: cidOf(BODY), counter: 2 }
const POSITION = { time: 5n, logId: PEER, counter: 2, digest: cidOf(BODY).multihash.digest }
const HASH = new Uint8Array(16).fill(1)
const INSTANCE_KEY = { collection: 'Dog', id: 'x' }
const HISTORY_KEY = rows.historyKey(1, 1, INSTANCE_KEY, POSITION)
const REFUSAL_KEY = rows.refusalKey(1, 1, POSITION)
const QUERY = utf8(
  '{"ands":[{"fieldPath":"a.b","operation":2,"value":{"float":1.5}}],"ors":[{"ands":[{"fieldPath":"c","value":{"string":"x"}}]}],"sort":{"fieldPath":"d","desc":true},"limit":3,"skip":1}',
)
const PATCH = utf8(
  '[{"op":"test","path":"/a/b","value":1},{"op":"copy","from":"/a","path":"/list/-"},{"op":"move","from":"/list/0","path":"/c~1"},{"op":"remove","path":"/a"}]',
)
const SCHEMA = utf8(
  '{"$schema":"http://json-schema.org/draft-04/schema#","$ref":"#/definitions/d","definitions":{"d":{"required":["_id"],"properties":{"_id":{"type":"string"},"a":{"items":{"type":"integer","minimum":1}},"b":{"pattern":"^a+$"}},"additionalProperties":true,"type":"object"}}}',
)
const PLACE = { thread: 1, generation: 1 }
const INDEX: IndexDefinition = {
  number: 1,
  fields: [
    { path: 'a', desc: false },
    { path: 'b', desc: true },
  ],
  unique: false,
  encoding: ENTRY_ENCODING,
  ready: true,
}

/** What one reads, and what it reads it with. It may be asynchronous. */
export type Reader = readonly [name: string, good: Uint8Array, read: (bytes: Uint8Array) => unknown]

const sealed = (plaintext: Uint8Array): Uint8Array => encode(seal(SERVICE, plaintext, fixedRandom))
const ofText = (parse: (text: string) => unknown) => (bytes: Uint8Array) => parse(Buffer.from(bytes).toString('latin1'))
const threadRow: netRows.ThreadRow = {
  number: 1,
  id: THREAD,
  key: THREAD_KEY,
  phase: 'live',
  unsolicited: false,
  keptFor: PEER,
  writers: new Map([[IDENTITY, PEER]]),
  followers: [PEER],
  appData: { kind: 'db' },
  stale: false,
  row: {},
}
const logRow = {
  ...netRows.emptyLog(1, KEY.publicKey),
  privateKey: KEY,
  addresses: [ADDRESS],
  head: { cid: LOG.head, counter: 2 },
}
const COMMIT = {
  thread: 1,
  heads: [{ log: 1, from: 0, to: 2 }],
  changes: [{ collection: 'Dog', id: 'x', kind: 'saved' as const }],
}

const core: Reader[] = [
  ['thread id', threadIdToBytes(THREAD), threadIdFromBytes],
  ['text of a thread id', utf8(THREAD), ofText(parseThreadId)],
  ['peer id', peerIdToBytes(PEER), (bytes) => publicKeyOfPeer(peerIdFromBytes(bytes))],
  ['text of a peer id', utf8(PEER), ofText(parsePeerId)],
  ['address', addressToBytes(ADDRESS), addressFromBytes],
  ['text of an address', utf8(ADDRESS), ofText(parseAddress)],
  ['public key', KEY.publicKey.encoded, (bytes) => decodePublicKey(bytes).verify(BODY, new Uint8Array(64))],
  ['private key', KEY.encoded, (bytes) => decodePrivateKey(bytes).sign(BODY)],
  ['thread key', SERVICE, threadKeyFromBytes],
  ['text of a thread key', utf8(threadKeyToString(THREAD_KEY)), ofText(parseThreadKey)],
  ['identity', utf8(IDENTITY), ofText((text) => publicKeyOfIdentity(parseIdentity(text)))],
  ['token', utf8(issueToken(KEY, IDENTITY, 1)), ofText((text) => verifyToken(KEY.publicKey, text, 2))],
  ['multibase', utf8(THREAD), ofText((text) => decodeMultibase(text, 'INVALID_ID'))],
  ['base64url', utf8('YWJj'), ofText(decodeBase64Url)],
  ['hexadecimal text', utf8('00ff'), ofText(fromHex)],
  ['UTF-8', utf8('aä€😀'), textOfUtf8],
  ['varint', Uint8Array.of(0x80, 0x01), (bytes) => readVarint(bytes, 0)],
  ['CID', cidOf(BODY).bytes, cidFromBytes],
  ['CBOR', PLAIN_RECORD, canonicalise],
  ['dag-cbor', PLAIN_RECORD, decode],
  ['record', PLAIN_RECORD, (bytes) => openRecord(sealed(bytes), SERVICE)],
  ['envelope', SEALED.recordNode, (bytes) => openRecord(bytes, SERVICE)],
  ['ciphertext', seal(SERVICE, BODY, fixedRandom), (bytes) => open(SERVICE, bytes)],
  ['event block', EVENT.eventNode, decodeEvent],
  [
    'links',
    EVENT.eventNode,
    (bytes) => checkLinks(openRecord(SEALED.recordNode, SERVICE), { ...EVENT, eventNode: bytes }),
  ],
  ['blocks', EVENT.bodyNode, (bytes) => canonicalBlocks({ ...RECORD, bodyNode: bytes })],
  [
    'header',
    encode({ key: SERVICE }),
    (bytes) => openBody({ headerNode: sealed(bytes), bodyNode: sealed(BODY) }, SERVICE),
  ],
  ['events', BODY, (bytes) => decodeEvents(bytes).map(validatorView)],
]

const PUSHED = messages.pushRecordRequest.encode({ threadId: THREAD, logId: PEER, record: RECORD, counter: 2 })
const EDGES = { addresses: 1n, heads: 2n }
const ROOM = new Uint8Array(32)
const NAMED = { id: THREAD, proof: ROOM }
const FRAME: Frame = {
  hello: {
    version: 1,
    features: ['more'],
    journalId: ROOM,
    seq: 7,
    seen: { journalId: ROOM, seq: 5 },
    clockMs: 1_800_000_000_000,
    nonce: ROOM,
    credit: 1_000,
  },
  ack: { id: 1, status: 5, message: 'not here' },
  heads: { thread: NAMED, logs: [{ log: LOG, branches: [] }], ask: true },
  ranges: [{ from: ROOM, to: undefined, count: 1, items: [{ id: ROOM, digest: ROOM.subarray(16) }], answers: true }],
  want: { id: 2, thread: NAMED, logs: [{ logId: PEER, offset: undefined, counter: 0, limit: 10 }] },
  records: { id: 2, reply: { logs: [{ logId: PEER, records: [RECORD], log: LOG }], unreadable: 0 } },
  push: { id: 3, thread: NAMED, logId: PEER, counter: 1, records: [RECORD], attestation: ROOM },
  told: 7,
}
const peers: Reader[] = [
  [
    'GetLogsRequest',
    messages.getLogsRequest.encode({ threadId: THREAD, serviceKey: SERVICE }),
    messages.getLogsRequest.decode,
  ],
  ['GetLogsReply', messages.getLogsReply.encode({ logs: [LOG], unreadable: 0 }), messages.getLogsReply.decode],
  [
    'PushLogRequest',
    messages.pushLogRequest.encode({ threadId: THREAD, serviceKey: SERVICE, readKey: SERVICE, log: LOG }),
    messages.pushLogRequest.decode,
  ],
  [
    'GetRecordsRequest',
    messages.getRecordsRequest.encode({
      threadId: THREAD,
      serviceKey: SERVICE,
      logs: [{ logId: PEER, offset: cidOf(BODY), counter: 2, limit: 3 }],
    }),
    messages.getRecordsRequest.decode,
  ],
  [
    'GetRecordsReply',
    messages.getRecordsReply.encode({ logs: [{ logId: PEER, records: [RECORD], log: LOG }], unreadable: 0 }),
    messages.getRecordsReply.decode,
  ],
  ['PushRecordRequest', PUSHED, messages.pushRecordRequest.decode],
  [
    'ExchangeEdgesRequest',
    messages.exchangeEdgesRequest.encode({ threads: [{ threadId: THREAD, edges: EDGES }] }),
    messages.exchangeEdgesRequest.decode,
  ],
  [
    'ExchangeEdgesReply',
    messages.exchangeEdgesReply.encode({ threads: [{ threadId: THREAD, edges: EDGES, exists: true }] }),
    messages.exchangeEdgesReply.decode,
  ],
  ['empty reply', new Uint8Array(0), messages.emptyReply.decode],
  ['frame of Sync', encodeFrame(FRAME), decodeFrame],
  ['message of a topic', PUSHED, (bytes) => openMessage(bytes, { threadId: THREAD, serviceKey: SERVICE })],
]

/** What a block source reads: whatever fails ends its stream, so a failure of the parser itself is one of the peer. */
export const bitswap: Reader = [
  'bitswap message',
  BitswapMessage.encode({ payload: [{ data: BODY }], blockPresences: [{ cid: cidOf(BODY).bytes, type: 1 }] }).finish(),
  (bytes) => BitswapMessage.decode(boundedReader(bytes)),
]

async function readFrames(chunks: readonly Uint8Array[]): Promise<Uint8Array[]> {
  const reader = new FrameReader(1024)
  const frames = chunks.flatMap((chunk) => reader.push(chunk))
  reader.end()
  return frames
}

async function* eachByte(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += 7) yield bytes.subarray(at, at + 7)
}

const FRAMES = Buffer.concat([messageFrame(BODY), messageFrame(new Uint8Array(0))])
const CONFIG = { name: 'Dog', schema: SCHEMA, indexes: [{ path: 'a', unique: true }], writeValidator: 'return true' }
const api: Reader[] = [
  ['frames of gRPC-Web', FRAMES, (bytes) => readFrames([bytes])],
  ['frames of gRPC-Web in pieces', FRAMES, async (bytes) => readFrames(await Array.fromAsync(eachByte(bytes)))],
  [
    'text of gRPC-Web',
    utf8(`${FRAMES.subarray(0, 5).toString('base64')}${FRAMES.subarray(5).toString('base64')}`),
    async (bytes) => readFrames(await Array.fromAsync(fromBase64(eachByte(bytes)))),
  ],
  ['headers of a websocket', utf8('content-type: a\r\nauthorization: bearer b\r\n'), parseHeaders],
  ['thread id of a request', threadIdToBytes(THREAD), request.threadIdOf],
  ['peer id of a request', peerIdToBytes(PEER), request.optionalPeerIdOf],
  ['CID of a request', cidOf(BODY).bytes, request.cidOf],
  ['address of a request', addressToBytes(ADDRESS), request.addressOf],
  ['thread key of a request', SERVICE, request.optionalThreadKeyOf],
  ['log key of a request', KEY.encoded, request.logKeyOf],
  [
    'schema of a request',
    SCHEMA,
    (bytes) => request.collectionConfigOf(CollectionConfig.fromPartial({ ...CONFIG, schema: bytes })),
  ],
  ...Object.values({ ...DbApi.methods }).map((method) => ofMethod('threads.pb', method)),
  ...Object.values({ ...NetApi.methods }).map((method) => ofMethod('threads.net.pb', method)),
]

interface MessageType {
  decode(input: Uint8Array): unknown
  encode(message: never): { finish(): Uint8Array }
  fromPartial(members: object): unknown
}

/** The request of a method, as the service reads it. */
function ofMethod(service: string, { name, requestType }: { name: string; requestType: MessageType }): Reader {
  const members = {
    dbID: threadIdToBytes(THREAD),
    threadID: threadIdToBytes(THREAD),
    collectionName: 'Dog',
    name: 'Dog',
    config: CONFIG,
    collections: [CONFIG],
    instances: [DOCUMENT],
    instanceIDs: ['x', 'ä'],
    queryJSON: QUERY,
    filters: [{ collectionName: 'Dog', action: 1 }],
    option: { $case: 'createRequest', value: { instances: [DOCUMENT] } },
    payload: { $case: 'key', value: IDENTITY },
  }
  const good = requestType.encode(requestType.fromPartial(members) as never).finish()
  const codec = {
    decode: (input: never) => requestType.decode(input),
    encode: () => ({ finish: () => new Uint8Array(0) }),
  }
  const method = unary({ name, requestType: codec, responseType: codec }, async (message) => message)
  const context = { hold: () => {} } as Partial<RpcContext> as RpcContext
  const read = (bytes: Uint8Array): Promise<unknown> => method.answer(bytes, context)
  return [`${service} ${name}`, good, read]
}

const stored: Reader[] = [
  ['journal row', encodeJournalRow(7, COMMIT), (bytes) => decodeJournalRow(1, bytes)],
  ['thread row', netRows.encodeThreadRow(threadRow), (bytes) => netRows.decodeThreadRow(1, bytes)],
  ['log row', netRows.encodeLogRow(logRow), (bytes) => netRows.decodeLogRow(1, bytes)],
  ['record row', netRows.encodeRecordRow(RECORD, 5, 6), netRows.decodeRecordRow],
  ['sequence of a record row', netRows.encodeRecordRow(RECORD, 5, 6), netRows.recordRowSeq],
  ['key of a record', netRows.recordRowKey(1, 2, 3), netRows.readRecordKey],
  ['key of a record id', netRows.recordIdKey(cidOf(BODY), 1, 2, 3), netRows.readRecordIdKey],
  ['addresses of a peer', encode({ given: [addressToBytes(ADDRESS)], told: [] }), decodeKnown],
  [
    'instance row',
    rows.encodeInstance({ document: DOCUMENT, position: POSITION, hash: HASH, creator: IDENTITY, sinceKept: 1 }),
    rows.decodeInstance,
  ],
  [
    'document of an instance row',
    rows.encodeInstance({ document: DOCUMENT, position: POSITION, hash: HASH, creator: IDENTITY, sinceKept: 1 }),
    rows.documentOfInstance,
  ],
  ['key of an instance', rows.instanceKey(1, 1, INSTANCE_KEY), rows.readInstanceKey],
  [
    'history row',
    rows.encodeHistoryEntry({
      position: POSITION,
      reason: REASONS.badId,
      hash: HASH,
      created: true,
      kept: { document: DOCUMENT, creator: IDENTITY },
    }),
    (bytes) => rows.decodeHistoryEntry(HISTORY_KEY, bytes),
  ],
  ['key of a history', HISTORY_KEY, rows.readHistoryPosition],
  [
    'refusal row',
    rows.encodeRefusal({ position: POSITION, reason: REASONS.badId, message: 'm', keys: [INSTANCE_KEY] }),
    (bytes) => rows.decodeRefusal(REFUSAL_KEY, bytes),
  ],
  ['key of a refusal', REFUSAL_KEY, (bytes) => rows.decodeRefusal(bytes, utf8('{"reason":1,"message":"","keys":[]}'))],
  [
    'index entry',
    entryKey(PLACE, INDEX, { id: 'x', document: { a: 'b\0', b: 2.5 } }),
    (bytes) => readEntry(bytes, indexPrefix(PLACE, INDEX).length, INDEX),
  ],
  [
    'key',
    rowKey('r', 1, 2n ** 60n, 'a\0b'),
    (bytes) => {
      const key = parseKey(bytes)
      return [key.bigint(), key.bigint(), key.text(), key.rest()]
    },
  ],
]

const documents: Reader[] = [
  ['query', QUERY, parseQuery],
  ['document', DOCUMENT, parseDocument],
  ['instance', DOCUMENT, parseInstance],
  ['JSON patch', PATCH, (bytes) => applyPatch({ a: { b: 1 }, list: [1] }, parsePatch(bytes))],
  ['content of a record', BODY, readContent],
  ['schema', SCHEMA, ofText((text) => compileSchema(text).validate(parseDocument('{"_id":"x","a":[1],"b":"a"}')))],
  ['document of a schema', DOCUMENT, (bytes) => compileSchema(textOfUtf8(SCHEMA)).validate(parseDocument(bytes))],
]

const STATE = { store: new Uint8Array(16).fill(2), thread: 3, generation: 4 }
const client: Reader[] = [
  ['resume token', encodeToken(STATE, { seq: 2 ** 40, changes: 5 }), (bytes) => decodeToken(bytes, STATE)],
  ['secret of an identity', utf8(encodeBase32(KEY.encoded)), ofText(parseIdentityKey)],
  ['frames of a response', Buffer.concat([FRAMES, headersFrame({ 'grpc-status': '0' })]), readResponse],
]

function readResponse(bytes: Uint8Array): unknown {
  const reader = new ResponseReader()
  return [reader.push(bytes), reader.outcome]
}

export const readers: readonly Reader[] = [...core, ...peers, ...api, ...stored, ...documents, ...client]
