/** The peer service as go-threads has it on the wire: raw messages, read as strictly as Go reads them. */
import {
  type handleUnaryCall,
  type MethodDefinition,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import type { PeerId } from '../../src/core/peer-id.ts'
import type { PeerHost } from '../../src/net/host/libp2p-host.ts'
import { MAX_MESSAGE_BYTES, PROTOCOL } from '../../src/net/protocol/constants.ts'
import { type Method, type MethodName, methods, type ReplyOf, type RequestOf } from '../../src/net/protocol/methods.ts'
import * as pb from '../../src/net/protocol/pb/net.ts'
import { addressFromBytes } from '../../src/core/address.ts'
import { Status, StatusError } from '../../src/net/protocol/status.ts'

/** Answers a call with the bytes of a reply; throws StatusError. */
export type AnswerRaw = (method: MethodName, request: Uint8Array, caller: PeerId) => Promise<Uint8Array>

type RawMethod = MethodDefinition<Uint8Array, Uint8Array>

/** Serves the peer service on a host that is not started, with the limits of grpc-go and no others. */
export function serveRaw(host: Pick<PeerHost, 'handle'>, answer: AnswerRaw): void {
  host.handle(PROTOCOL, (duplex, caller) => {
    const server = new Server({
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': -1,
      'grpc.enable_channelz': 0,
    })
    server.addService(...serviceFor(answer, caller))
    const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
    duplex.on('error', () => {})
    duplex.once('close', () => {
      injector.destroy()
      server.forceShutdown()
    })
    injector.injectConnection(duplex)
  })
}

function serviceFor(
  answer: AnswerRaw,
  caller: PeerId,
): [ServiceDefinition, { [name: string]: handleUnaryCall<Uint8Array, Uint8Array> }] {
  const names = Object.keys(methods) as MethodName[]
  const implementation = names.map((name): [string, handleUnaryCall<Uint8Array, Uint8Array>] => [
    name,
    ({ request }, callback) => void respond(answer(name, new Uint8Array(request), caller), callback),
  ])
  return [Object.fromEntries(names.map((name) => [name, rawMethod(methods[name])])), Object.fromEntries(implementation)]
}

async function respond(reply: Promise<Uint8Array>, callback: sendUnaryData<Uint8Array>): Promise<void> {
  const [outcome] = await Promise.allSettled([reply])
  if (outcome.status === 'fulfilled') callback(null, outcome.value)
  else if (outcome.reason instanceof StatusError) callback(outcome.reason)
  else callback(new StatusError(Status.unknown, String(outcome.reason)))
}

function rawMethod({ path }: { path: string }): RawMethod {
  const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
  return {
    path,
    requestStream: false,
    responseStream: false,
    requestSerialize: asBuffer,
    requestDeserialize: asBuffer,
    responseSerialize: asBuffer,
    responseDeserialize: asBuffer,
  }
}

/** What ends the process of a go-threads host. */
export class GoPanic extends Error {}

/** Reads a request as Go does. Throws GoPanic where Go would use a field that is not there. */
export function readRequestAsGo<M extends MethodName>(name: M, bytes: Uint8Array): RequestOf<M> {
  REQUEST_NEEDS[name](bytes)
  return (methods[name] as Method<RequestOf<M>, ReplyOf<M>>).request.decode(bytes)
}

/** The same of a reply. */
export function readReplyAsGo<M extends MethodName>(name: M, bytes: Uint8Array): ReplyOf<M> {
  REPLY_NEEDS[name](bytes)
  return (methods[name] as Method<RequestOf<M>, ReplyOf<M>>).reply.decode(bytes)
}

type Needs = { readonly [M in MethodName]: (bytes: Uint8Array) => void }

const REQUEST_NEEDS: Needs = {
  getLogs: (bytes) => {
    const body = there(pb.GetLogsRequest.decode(bytes).body, 'body')
    there(body.threadID, 'threadID')
    key(body.serviceKey)
  },
  pushLog: (bytes) => {
    const body = there(pb.PushLogRequest.decode(bytes).body, 'body')
    there(body.threadID, 'threadID')
    key(body.serviceKey)
    key(body.readKey)
    wholeLog(body.log)
  },
  getRecords: (bytes) => {
    const body = there(pb.GetRecordsRequest.decode(bytes).body, 'body')
    there(body.threadID, 'threadID')
    key(body.serviceKey)
    for (const { logID, offset } of body.logs ?? []) {
      there(logID, 'logID')
      there(offset, 'offset')
    }
  },
  pushRecord: (bytes) => {
    const body = there(pb.PushRecordRequest.decode(bytes).body, 'body')
    there(body.threadID, 'threadID')
    there(body.logID, 'logID')
    wholeRecord(body.record)
  },
  exchangeEdges: (bytes) => {
    const body = there(pb.ExchangeEdgesRequest.decode(bytes).body, 'body')
    for (const { threadID } of body.threads ?? []) there(threadID, 'threadID')
  },
}

const REPLY_NEEDS: Needs = {
  getLogs: (bytes) => {
    for (const log of pb.GetLogsReply.decode(bytes).logs ?? []) wholeLog(log)
  },
  pushLog: () => {},
  getRecords: (bytes) => {
    for (const { logID, log, records } of pb.GetRecordsReply.decode(bytes).logs ?? []) {
      there(logID, 'logID')
      wholeLog(log)
      for (const record of records ?? []) wholeRecord(record)
    }
  },
  pushRecord: () => {},
  exchangeEdges: (bytes) => {
    for (const { threadID } of pb.ExchangeEdgesReply.decode(bytes).edges ?? []) there(threadID, 'threadID')
  },
}

function there<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new GoPanic(`${name} is nil`)
  return value
}

/** Go marshals no empty key, and cannot read one. */
function key(bytes: Uint8Array | undefined): void {
  if (bytes !== undefined && bytes.length !== 32) throw new GoPanic('a key of another length than 32')
}

function wholeLog(log: pb.Log | undefined): void {
  const { ID, pubKey, head, addrs = [] } = there(log, 'log')
  there(ID, 'log ID')
  there(pubKey, 'log public key')
  there(head, 'log head')
  // Go hosts name logs by peer only; transports of later years they could not even read.
  for (const address of addrs) {
    if (!/^\/p2p\/[^/]+$/.test(addressFromBytes(address))) throw new GoPanic('an address Go hosts do not send')
  }
}

function wholeRecord(record: pb.Log_Record | undefined): void {
  const { recordNode, eventNode, headerNode, bodyNode } = there(record, 'record')
  for (const node of [recordNode, eventNode, headerNode, bodyNode]) there(node, 'a node of a record')
}
