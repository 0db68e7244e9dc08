/** What a codec writes it reads back: `decode(encode(x)) = x` for any x. A new codec is one more entry. */
import * as fc from 'fast-check'
import { CID } from 'multiformats/cid'
import { expect, test } from 'vitest'
import { fromBase64 } from '../../src/api/grpc-web.ts'
import { FrameReader, messageFrame } from '../../src/api/frames.ts'
import { APIDefinition as DbApi } from '../../src/api/gen/threads.ts'
import { APIDefinition as NetApi } from '../../src/api/gen/threadsnet.ts'
import { parseHeaders } from '../../src/api/websocket.ts'
import { addressFromBytes, addressToBytes, parseAddress } from '../../src/core/address.ts'
import { fromHex, toHex } from '../../src/core/bytes.ts'
import { canonicalise, cidOf, decode, encode } from '../../src/core/cbor.ts'
import { openBody, sealEvent } from '../../src/core/event-block.ts'
import { decodeEvents, encodeEvents } from '../../src/core/events.ts'
import { keyFromSeed } from '../../src/core/keys.ts'
import { parsePeerId, peerIdFromBytes, peerIdOf, peerIdToBytes } from '../../src/core/peer-id.ts'
import { open, seal } from '../../src/core/symmetric.ts'
import { newThreadId, parseThreadId, threadIdFromBytes, threadIdToBytes } from '../../src/core/thread-id.ts'
import { parseThreadKey, threadKeyFromBytes, threadKeyToBytes, threadKeyToString } from '../../src/core/thread-key.ts'
import { identityOf } from '../../src/core/identity.ts'
import { encodeVarint, readVarint } from '../../src/core/varint.ts'
import { REASONS } from '../../src/db/fold/reasons.ts'
import { documentBytes, parseDocument } from '../../src/db/json.ts'
import { decodeToken, encodeToken } from '../../src/db/resume-token.ts'
import * as rows from '../../src/db/rows.ts'
import * as messages from '../../src/net/protocol/messages.ts'
import { decodeFrame, encodeFrame, type Frame } from '../../src/net/sync/frames.ts'
import { decodeRecordRow, encodeRecordRow, readRecordKey, recordRowKey } from '../../src/net/rows.ts'
import { decodeJournalRow, encodeJournalRow } from '../../src/store/journal-row.ts'
import { parseKey, rowKey } from '../../src/store/key-codec.ts'
import { hostileBytes } from '../support/mutations.ts'

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 200)
const OPTIONS = { timeout: 10_000 + 50 * RUNS }

const bytes = (length?: number) =>
  fc.uint8Array(length === undefined ? { maxLength: 100 } : { minLength: length, maxLength: length })
const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const count = fc.nat(2 ** 31)
const TOKEN_STATE = { store: new Uint8Array(16).fill(2), thread: 3, generation: 4 }
const time = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n })
const key = bytes(32).map((seed) => keyFromSeed(seed))
const peer = key.map(({ publicKey }) => peerIdOf(publicKey))
const identity = key.map(({ publicKey }) => identityOf(publicKey))
const threadId = fc
  .tuple(fc.constantFrom('raw' as const, 'access-controlled' as const), bytes(32))
  // Reserved: see thread-id.ts.
  .map(([variant, random]) => newThreadId(variant, () => random))
const threadKey = fc
  .tuple(bytes(32), fc.option(bytes(32)))
  .map(([service, read]) => ({ service, ...(read && { read }) }))
const cid = bytes().map((block) => cidOf(block))
const address = fc.oneof(
  fc.tuple(fc.ipV4(), fc.nat(65_535), peer).map(([ip, port, id]) => parseAddress(`/ip4/${ip}/tcp/${port}/p2p/${id}`)),
  fc.tuple(fc.domain(), fc.nat(65_535)).map(([name, port]) => parseAddress(`/dns4/${name}/tcp/${port}/wss`)),
  threadId.map((id) => parseAddress(`/thread/${id}`)),
)
const plain: fc.Arbitrary<unknown> = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom(null, true, false),
    fc.maxSafeInteger(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).filter((number) => !Number.isInteger(number)),
    text,
    bytes(),
    cid,
    fc.array(tie('value'), { maxLength: 5 }),
    fc.dictionary(
      text.filter((name) => name !== '__proto__'),
      tie('value'),
      { maxKeys: 5, noNullPrototype: true },
    ),
  ),
})).value
const document = fc
  .dictionary(
    text.filter((name) => name !== '__proto__'),
    fc.jsonValue({ maxDepth: 3, noUnicodeString: false }),
    { noNullPrototype: true },
  )
  .map((value) => parseDocument(JSON.stringify(value)))
const event = fc.record({
  id: text,
  type: fc.constantFrom('create' as const, 'save' as const, 'delete' as const),
  patch: bytes(),
  timestamp: time,
  collection: text,
  instanceId: text,
})
const blocks = fc.record({ recordNode: bytes(), eventNode: bytes(), headerNode: bytes(), bodyNode: bytes() })
const record = fc.tuple(bytes(), bytes(), bytes()).map(([recordNode, body, random]) => ({
  recordNode: encode(recordNode),
  ...blocksOf(
    sealEvent(encode(body), new Uint8Array(32), (length) => Uint8Array.from({ length }, (_, i) => random[i] ?? i)),
  ),
}))
const log = fc
  .record({
    publicKey: key,
    addresses: fc.array(address, { maxLength: 4 }),
    head: cid,
    counter: fc.integer({ min: 1, max: 2 ** 31 }),
  })
  .map(({ publicKey, ...rest }) => ({ id: peerIdOf(publicKey.publicKey), publicKey: publicKey.publicKey, ...rest }))
const edges = fc.record({
  addresses: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  heads: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
})
const named = fc.record({ id: threadId, proof: bytes(32) })
const range = fc.record({ items: fc.array(fc.record({ id: bytes(), digest: bytes(16) }), { maxLength: 3 }) })
const syncFrame: fc.Arbitrary<Frame> = fc.record(
  {
    hello: fc.record({
      version: count,
      features: fc.array(text, { maxLength: 3 }),
      journalId: bytes(16),
      seq: count,
      seen: fc.record({ journalId: bytes(16), seq: count }),
      clockMs: count,
      nonce: bytes(32),
      credit: count,
    }),
    credit: count,
    ack: fc.record({ id: count, status: fc.nat(16), message: text }),
    heads: fc.record({
      thread: named,
      logs: fc.array(fc.record({ log, branches: fc.constant([]) }), { maxLength: 3 }),
      ask: fc.boolean(),
    }),
    ranges: range.map(({ items }) => [
      { from: new Uint8Array(0), to: undefined, count: items.length, items, answers: true },
    ]),
    want: fc.record({
      id: count,
      thread: named,
      logs: fc.array(
        fc.record({
          logId: peer,
          offset: cid,
          counter: count,
          limit: fc.nat(1000),
          held: fc.array(cid, { maxLength: 3 }),
          located: fc.boolean(),
        }),
        { maxLength: 3 },
      ),
    }),
    push: fc.record({
      id: count,
      thread: named,
      logId: peer,
      counter: count,
      records: fc.array(record, { maxLength: 3 }),
      attestation: bytes(),
    }),
    told: count,
    ping: fc.constant(true),
  },
  { requiredKeys: [] },
)
const position = fc.record({ time, logId: peer, counter: fc.maxSafeInteger().map(Math.abs), digest: bytes(32) })
const instanceKey = fc.record({ collection: text, id: text })
const reason = fc.constantFrom(...Object.values(REASONS))

function blocksOf({
  eventNode,
  headerNode,
  bodyNode,
}: {
  eventNode: Uint8Array
  headerNode: Uint8Array
  bodyNode: Uint8Array
}) {
  return { eventNode, headerNode, bodyNode }
}

interface Codec {
  readonly name: string
  /** Fails unless what is read is what was written. */
  check(): Promise<void>
}

function codec<T>(name: string, values: fc.Arbitrary<T>, again: (value: T) => unknown): Codec {
  const property = fc.asyncProperty(values, async (value) => {
    // Members that a reader adds are none that were written.
    expect({ value: plainly(await again(value)) }).toMatchObject({ value: plainly(value) })
  })
  return { name, check: () => fc.assert(property, { numRuns: RUNS }) }
}

/** Buffers are bytes, keys what they are encoded as. */
function plainly(value: unknown): unknown {
  if (value instanceof Uint8Array) return `bytes ${toHex(value)}`
  if (typeof value !== 'object' || value === null) return Object.is(value, -0) ? 0 : value
  if (Array.isArray(value)) return value.map(plainly)
  if ('encoded' in value) return plainly(value.encoded)
  if (value instanceof CID) return value.toString()
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, member]) => (member === undefined ? [] : [[name, plainly(member)]])),
  )
}

function message<T>(name: string, { encode: write, decode: read }: messages.Codec<T>, values: fc.Arbitrary<T>): Codec {
  return codec(name, values, (value) => read(write(value)))
}

const codecs: readonly Codec[] = [
  codec('thread id', threadId, (id) => threadIdFromBytes(threadIdToBytes(parseThreadId(id)))),
  codec('peer id', peer, (id) => peerIdFromBytes(peerIdToBytes(parsePeerId(id)))),
  codec('thread key', threadKey, (value) =>
    threadKeyFromBytes(threadKeyToBytes(parseThreadKey(threadKeyToString(value)))),
  ),
  codec('address', address, (value) => addressFromBytes(addressToBytes(parseAddress(value)))),
  codec('hexadecimal text', bytes(), (value) => fromHex(toHex(value))),
  codec('varint', fc.nat(2 ** 31), (value) => {
    const read = readVarint(encodeVarint(value), 0)
    return typeof read === 'string' ? read : Number(read.value)
  }),
  codec('dag-cbor', plain, (value) => decode(encode(value))),
  codec('canonical CBOR', plain.map(encode), canonicalise),
  codec('ciphertext', bytes(), (value) =>
    open(
      new Uint8Array(32),
      seal(new Uint8Array(32), value, (length) => new Uint8Array(length)),
    ),
  ),
  codec('body of an event', plain.map(encode), (body) =>
    openBody(
      sealEvent(body, new Uint8Array(32), (length) => new Uint8Array(length)),
      new Uint8Array(32),
    ),
  ),
  codec('events', fc.array(event, { minLength: 1, maxLength: 4 }), (events) => decodeEvents(encodeEvents(events))),
  codec('document', document, (value) => parseDocument(documentBytes(value))),
  message('getLogsRequest', messages.getLogsRequest, fc.record({ threadId, serviceKey: bytes(32) })),
  message(
    'getLogsReply',
    messages.getLogsReply,
    fc.record({ logs: fc.array(log, { maxLength: 3 }), unreadable: fc.constant(0) }),
  ),
  message(
    'pushLogRequest',
    messages.pushLogRequest,
    fc.record({ threadId, serviceKey: bytes(32), readKey: bytes(32), log }),
  ),
  message(
    'getRecordsRequest',
    messages.getRecordsRequest,
    fc.record({
      threadId,
      serviceKey: bytes(32),
      logs: fc.array(fc.record({ logId: peer, offset: cid, counter: count, limit: fc.nat(10_000) }), { maxLength: 3 }),
    }),
  ),
  message(
    'getRecordsReply',
    messages.getRecordsReply,
    fc.record({
      logs: fc.array(fc.record({ logId: peer, records: fc.array(record, { maxLength: 3 }), log }), { maxLength: 3 }),
      unreadable: fc.constant(0),
    }),
  ),
  message(
    'pushRecordRequest',
    messages.pushRecordRequest,
    fc.record({ threadId, logId: peer, record, counter: count }),
  ),
  message(
    'exchangeEdgesRequest',
    messages.exchangeEdgesRequest,
    fc.record({ threads: fc.array(fc.record({ threadId, edges }), { maxLength: 4 }) }),
  ),
  message(
    'exchangeEdgesReply',
    messages.exchangeEdgesReply,
    fc.record({ threads: fc.array(fc.record({ threadId, edges, exists: fc.boolean() }), { maxLength: 4 }) }),
  ),
  codec('frame of Sync', syncFrame, (frame) => decodeFrame(encodeFrame(frame))),
  codec('frames', fc.array(bytes(), { maxLength: 5 }), (list) =>
    new FrameReader(1024).push(Buffer.concat(list.map(messageFrame))),
  ),
  codec(
    'text of base64',
    fc.array(bytes(), { maxLength: 5 }).map((list) => Buffer.concat(list)),
    async (value) => {
      const cut = Math.floor(value.length / 3)
      const encoded = [value.subarray(0, cut), value.subarray(cut)].map((part) => part.toString('base64')).join('')
      const chunks = (async function* () {
        for (let at = 0; at < encoded.length; at += 5) yield Buffer.from(encoded.slice(at, at + 5))
      })()
      return Buffer.concat(await Array.fromAsync(fromBase64(chunks)))
    },
  ),
  codec(
    'headers',
    fc.dictionary(fc.stringMatching(/^[a-z-]{1,9}$/), fc.stringMatching(/^[!-~][ -~]{0,20}$/), {
      noNullPrototype: true,
    }),
    (headers) => {
      const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
      return Object.fromEntries(parseHeaders(Buffer.from(lines.join(''))))
    },
  ),
  codec('resume token', fc.record({ seq: fc.maxSafeNat(), changes: count }), (place) =>
    decodeToken(encodeToken(TOKEN_STATE, place), TOKEN_STATE),
  ),
  codec(
    'journal row',
    fc.record({
      seq: fc.constant(1),
      thread: count,
      heads: fc.array(fc.record({ log: count, from: count, to: count }), { maxLength: 4 }),
      changes: fc.array(
        fc.record({
          collection: text,
          id: text,
          kind: fc.constantFrom('created' as const, 'saved' as const, 'deleted' as const),
        }),
      ),
    }),
    (commit) => decodeJournalRow(1, encodeJournalRow(7, commit)).commit,
  ),
  codec('record row', blocks, (value) => decodeRecordRow(encodeRecordRow(value, 1, 2))),
  codec(
    'key of a record',
    fc.record({ thread: count, log: count, counter: fc.maxSafeInteger().map(Math.abs) }),
    ({ thread, log: number, counter }) => readRecordKey(recordRowKey(thread, number, counter)),
  ),
  codec('key', fc.tuple(fc.maxSafeInteger().map(Math.abs), bytes(), text), ([number, part, name]) => {
    const parts = parseKey(rowKey('r', number, part, name))
    return [parts.number(), parts.bytes(), parts.text()]
  }),
  codec('key of an instance', instanceKey, (value) => rows.readInstanceKey(rows.instanceKey(1, 1, value))),
  codec('key of a history', position, (value) =>
    rows.readHistoryPosition(rows.historyKey(1, 1, { collection: 'Dog', id: 'x' }, value)),
  ),
  codec(
    'instance row',
    fc.record({
      document: fc.option(bytes(), { nil: undefined }),
      position,
      hash: bytes(16),
      creator: fc.option(identity, { nil: undefined }),
      sinceKept: fc.nat(255),
    }),
    (value) => rows.decodeInstance(rows.encodeInstance(value)),
  ),
  codec(
    'history row',
    fc.record({
      position,
      reason,
      hash: bytes(16),
      created: fc.boolean(),
      kept: fc.record({
        document: fc.option(bytes(), { nil: undefined }),
        creator: fc.option(identity, { nil: undefined }),
      }),
    }),
    (value) =>
      rows.decodeHistoryEntry(
        rows.historyKey(1, 1, { collection: 'Dog', id: 'x' }, value.position),
        rows.encodeHistoryEntry(value),
      ),
  ),
  codec(
    'refusal row',
    fc.record({ position, reason, message: text, keys: fc.array(instanceKey, { maxLength: 3 }) }),
    (value) => rows.decodeRefusal(rows.refusalKey(1, 1, value.position), rows.encodeRefusal(value)),
  ),
]

test.each(codecs)('$name', OPTIONS, ({ check }) => check())

interface MessageType {
  decode(input: Uint8Array): object
  encode(message: never): { finish(): Uint8Array }
}

const types = [...Object.values(DbApi.methods), ...Object.values(NetApi.methods)].flatMap(
  ({ name, requestType, responseType }) => [
    [`${name}Request`, requestType as MessageType] as const,
    [`${name}Reply`, responseType as MessageType] as const,
  ],
)

test.each(types)('whatever is read as a %s is written and read alike', OPTIONS, (_name, type) => {
  const good = Uint8Array.of(0x0a, 2, 0x61, 0x62, 0x12, 1, 0x63, 0x1a, 0, 0x20, 1)
  fc.assert(
    fc.property(hostileBytes(good), (input) => {
      let read: object
      try {
        read = type.decode(input)
      } catch {
        return
      }
      expect(plainly(type.decode(type.encode(read as never).finish()))).toEqual(plainly(read))
    }),
    { numRuns: RUNS },
  )
})
