/** What goes over a stream of Sync, as values and on the wire; docs/sync.md says what it is for. */
import type { LogId } from '../../core/peer-id.ts'
import { peerIdToBytes } from '../../core/peer-id.ts'
import { ThreadsError } from '../../core/errors.ts'
import type { RecordBlocks } from '../../core/record.ts'
import { type ThreadId, threadIdToBytes } from '../../core/thread-id.ts'
import {
  readAttestation,
  readCounter,
  readLog,
  readLogId,
  readRecord,
  readThreadId,
  required,
  writeCounter,
  writeLog,
  writeRecord,
} from '../protocol/fields.ts'
import {
  type ChainRecords,
  type GetRecordsReply,
  type LogOffset,
  parse,
  readChain,
  readEach,
  readOffset,
  readReply,
  writeChain,
  writeOffset,
  writeReply,
} from '../protocol/messages.ts'
import * as pb from '../protocol/pb/net.ts'
import type { PeerLog } from '../replica.ts'
import { NONCE_BYTES } from './proof.ts'
import { checkRanges, DIGEST_BYTES, type Range } from './ranges.ts'

/** Many small frames of HTTP/2 look like an attack: small frames of ours are filled up. */
const MIN_FRAME_BYTES = 64
/** Of the id of a journal. */
const MAX_ID_BYTES = 64
const EMPTY = new Uint8Array(0)

export interface Hello {
  readonly version: number
  readonly features: readonly string[]
  /** Commits are counted within it. Another one after each start. */
  readonly journalId: Uint8Array
  readonly seq: number
  /** Up to where, and of which journal, the sender has all that it was told of; an empty id for nothing. */
  readonly seen: { readonly journalId: Uint8Array; readonly seq: number }
  readonly clockMs: number
  readonly nonce: Uint8Array
  /** Bytes of frames with records that the receiver may send at first. */
  readonly credit: number
}

export interface NamedThread {
  readonly id: ThreadId
  /** See `proof.ts`. */
  readonly proof: Uint8Array
}

export interface HeadsEntry {
  readonly log: PeerLog
  /** Chains besides the one of `log`, without records. */
  readonly branches: readonly ChainRecords[]
}

export interface Heads {
  readonly thread: NamedThread
  readonly logs: readonly HeadsEntry[]
  /** The sender wants to hear of all logs of the thread in turn. */
  readonly ask: boolean
}

export interface Want {
  readonly id: number
  readonly thread: NamedThread
  readonly logs: readonly LogOffset[]
}

export interface RecordsPart {
  readonly id: number
  readonly reply: GetRecordsReply
}

export interface Push {
  readonly id: number
  readonly thread: NamedThread
  readonly logId: LogId
  /** Of the first record. */
  readonly counter: number
  readonly records: readonly RecordBlocks[]
  /** Of the last record. */
  readonly attestation: Uint8Array | undefined
}

export interface Ack {
  readonly id: number
  /** Status code of gRPC. */
  readonly status: number
  readonly message: string
}

/** A frame has any of these parts, mostly one. */
export interface Frame {
  readonly hello?: Hello
  readonly credit?: number
  readonly ack?: Ack
  readonly heads?: Heads
  readonly ranges?: readonly Range[]
  readonly want?: Want
  readonly records?: RecordsPart
  readonly push?: Push
  readonly told?: number
  readonly ping?: boolean
  readonly pong?: boolean
}

export function encodeFrame(frame: Frame): Uint8Array {
  const { hello, credit, ack, heads, ranges, want, records, push, told, ping, pong } = frame
  const message: pb.SyncFrame = {
    hello: hello && writeHello(hello),
    credit: credit === undefined ? undefined : BigInt(credit),
    ack: ack && { id: BigInt(ack.id), status: ack.status, message: ack.message },
    heads: heads && writeHeads(heads),
    ranges: ranges && { ranges: ranges.map(writeRange) },
    want: want && { id: BigInt(want.id), thread: writeThread(want.thread), logs: want.logs.map(writeOffset) },
    records: records && { id: BigInt(records.id), reply: writeReply(records.reply) },
    push: push && writePush(push),
    told: told === undefined ? undefined : BigInt(told),
    ping: ping || undefined,
    pong: pong || undefined,
  }
  const bytes = pb.SyncFrame.encode(message).finish()
  const missing = MIN_FRAME_BYTES - bytes.length
  return missing <= 0 ? bytes : pb.SyncFrame.encode({ ...message, padding: new Uint8Array(missing) }).finish()
}

/** Parts that are not known are passed over. Throws BAD_MESSAGE, and other ThreadsErrors for what cannot be read. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const message = parse(pb.SyncFrame, bytes)
  const { hello, credit, ack, heads, ranges, want, records, push, told, ping, pong } = message
  return {
    ...(hello && { hello: readHello(hello) }),
    ...(credit !== undefined && { credit: readCounter(credit) }),
    ...(ack && { ack: { id: readCounter(ack.id), status: ack.status ?? 0, message: ack.message ?? '' } }),
    ...(heads && { heads: readHeads(heads) }),
    ...(ranges && { ranges: checkRanges((ranges.ranges ?? []).map(readRange)) }),
    ...(want && { want: readWant(want) }),
    ...(records && { records: { id: readCounter(records.id), reply: readReply(records.reply ?? {}) } }),
    ...(push && { push: readPush(push) }),
    ...(told !== undefined && { told: readCounter(told) }),
    ...(ping === true && { ping }),
    ...(pong === true && { pong }),
  }
}

function writeHello(hello: Hello): pb.SyncHello {
  const { version, features, journalId, seq, seen, clockMs, nonce, credit } = hello
  return {
    version,
    features: [...features],
    journalID: journalId,
    seq: BigInt(seq),
    seenJournalID: seen.journalId,
    seen: BigInt(seen.seq),
    clockMs: BigInt(Math.max(0, Math.floor(clockMs))),
    nonce,
    credit: BigInt(credit),
  }
}

function readHello(hello: pb.SyncHello): Hello {
  return {
    version: hello.version ?? 0,
    features: hello.features ?? [],
    journalId: readId(hello.journalID),
    seq: readCounter(hello.seq),
    seen: { journalId: readId(hello.seenJournalID), seq: readCounter(hello.seen) },
    clockMs: readCounter(hello.clockMs),
    nonce: readExactly(NONCE_BYTES, hello.nonce, 'nonce'),
    credit: readCounter(hello.credit),
  }
}

/** Copied: a part of a message would keep all of it. */
function readId(bytes: Uint8Array = EMPTY): Uint8Array {
  if (bytes.length > MAX_ID_BYTES) throw new ThreadsError('BAD_MESSAGE', 'the id of the journal is too long')
  return bytes.slice()
}

function readExactly(length: number, bytes: Uint8Array | undefined, name: string): Uint8Array {
  const value = required(bytes, name)
  if (value.length !== length) throw new ThreadsError('BAD_MESSAGE', `${name} must have ${length} bytes`)
  return value.slice()
}

function writeThread({ id, proof }: NamedThread): pb.SyncThread {
  return { ID: threadIdToBytes(id), proof }
}

function readThread(thread: pb.SyncThread | undefined): NamedThread {
  const { ID, proof = EMPTY } = required(thread, 'thread')
  return { id: readThreadId(ID), proof: proof.slice() }
}

function writeHeads({ thread, logs, ask }: Heads): pb.SyncHeads {
  return {
    thread: writeThread(thread),
    logs: logs.map(({ log, branches }) => ({ log: writeLog(log), branches: branches.map(writeChain) })),
    ask: ask || undefined,
  }
}

/** Logs that cannot be read are left out, so that they harm no other. */
function readHeads({ thread, logs = [], ask = false }: pb.SyncHeads): Heads {
  const entries = readEach(logs, ({ log, branches = [] }): HeadsEntry => {
    return { log: readLog(required(log, 'log')), branches: readEach(branches, readChain) }
  })
  return { thread: readThread(thread), logs: entries, ask }
}

function readWant({ id, thread, logs = [] }: pb.SyncWant): Want {
  return { id: readCounter(id), thread: readThread(thread), logs: logs.map(readOffset) }
}

function writePush({ id, thread, logId, counter, records, attestation }: Push): pb.SyncPush {
  return {
    id: BigInt(id),
    thread: writeThread(thread),
    logID: peerIdToBytes(logId),
    counter: writeCounter(counter),
    records: records.map(writeRecord),
    attestation,
  }
}

function readPush({ id, thread, logID, counter, records = [], attestation }: pb.SyncPush): Push {
  return {
    id: readCounter(id),
    thread: readThread(thread),
    logId: readLogId(logID),
    counter: readCounter(counter),
    records: records.map(readRecord),
    attestation: readAttestation(attestation).attestation,
  }
}

function writeRange({ from, to, count, hash, items, answers }: Range): pb.SyncRanges_Range {
  return {
    from,
    to: to ?? EMPTY,
    count,
    hash,
    items: (items ?? []).map(({ id, digest }) => ({ threadID: id, digest })),
    answers: answers || undefined,
  }
}

function readRange({ from = EMPTY, to = EMPTY, count = 0, hash, items = [], answers }: pb.SyncRanges_Range): Range {
  const bounds = { from: from.slice(), to: to.length === 0 ? undefined : to.slice() }
  if (hash !== undefined) return { ...bounds, count, hash: readExactly(DIGEST_BYTES, hash, 'hash'), answers: false }
  const list = items.map(({ threadID, digest }) => ({
    id: required(threadID, 'threadID').slice(),
    digest: readExactly(DIGEST_BYTES, digest, 'digest'),
  }))
  return { ...bounds, count: list.length, items: list, answers: answers ?? false }
}
