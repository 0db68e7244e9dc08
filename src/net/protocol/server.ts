import type { Duplex } from 'node:stream'
import {
  type handleUnaryCall,
  type MethodDefinition,
  type handleBidiStreamingCall,
  type sendUnaryData,
  Server,
  ServerCredentials,
  type ServerInterceptor,
  type ServiceDefinition,
} from '@grpc/grpc-js'
import { ThreadsError } from '../../core/errors.ts'
import type { Logger } from '../../core/logger.ts'
import type { PeerId } from '../../core/peer-id.ts'
import type { PeerHost } from '../host/libp2p-host.ts'
import { Budget } from './budget.ts'
import { type CallRooms, LimitedCall, type Room } from './call-limits.ts'
import { MAX_HOST_BYTES, MAX_HOST_CALLS, MAX_MESSAGE_BYTES, MAX_PEER_BYTES } from './constants.ts'
import { MAX_PEER_CALLS, MAX_PEER_SESSIONS, PROTOCOL, SYNC_PATH } from './constants.ts'
import type { FrameStream } from './frame-stream.ts'
import type { Handlers } from './handlers/handlers.ts'
import { type Method, type MethodName, methods } from './methods.ts'
import { SessionSocket } from './session-socket.ts'
import { Status, StatusError, statusOf } from './status.ts'
import { AcceptedStream, SyncCall, SyncSlot } from './sync-call.ts'

export interface PeerServerComponents {
  readonly host: Pick<PeerHost, 'handle'>
  readonly handlers: Handlers
  readonly logger: Logger
  /** Takes the streams of Sync that peers open. Without it there is no Sync. */
  readonly onSync?: ((this: void, stream: FrameStream, peer: PeerId) => void) | undefined
}

type RawMethod = MethodDefinition<Uint8Array, Uint8Array>
type RawService = { readonly [M in MethodName]: RawMethod }

/** Calls whose replies may be as large as a message. */
const LARGE_REPLIES: ReadonlySet<string> = new Set(
  Object.values(methods).flatMap(({ path, maxReplyBytes }) => (maxReplyBytes === MAX_MESSAGE_BYTES ? path : [])),
)

/** A peer with sessions. */
interface Visitor extends Room {
  /** What ends each of its sessions, the oldest first. */
  readonly sessions: Set<() => void>
}

/** Answers the calls of peers. Each stream has a server of its own, so that handlers know who calls. */
export function servePeers(components: PeerServerComponents): void {
  const { host, handlers, logger, onSync } = components
  const hostRoom = { bytes: new Budget(MAX_HOST_BYTES), calls: new Budget(MAX_HOST_CALLS) }
  const visitors = new Map<PeerId, Visitor>()
  host.handle(PROTOCOL, (duplex, peer) => {
    const visitor = visitors.get(peer) ?? newVisitor()
    visitors.set(peer, visitor)
    const rooms = { peer: visitor, host: hostRoom }
    const implementation = implementationOf(handlers, { peer, logger })
    const end = serveStream(duplex, { rooms, implementation, onSync: onSync && ((stream) => onSync(stream, peer)) })
    visitor.sessions.add(end)
    duplex.once('close', () => {
      visitor.sessions.delete(end)
      if (visitor.sessions.size === 0 && visitors.get(peer) === visitor) visitors.delete(peer)
    })
    const [oldest] = visitor.sessions
    if (visitor.sessions.size > MAX_PEER_SESSIONS) oldest?.()
  })
}

function newVisitor(): Visitor {
  return { bytes: new Budget(MAX_PEER_BYTES), calls: new Budget(MAX_PEER_CALLS), sessions: new Set() }
}

/** Answers what ends the session. */
function serveStream(duplex: Duplex, { rooms, implementation, onSync }: Served): () => void {
  const endSession = (): void => socket.abandon()
  const slot = new SyncSlot()
  const limit: ServerInterceptor = ({ path }, call) =>
    path === SYNC_PATH
      ? new SyncCall(call, slot)
      : new LimitedCall(call, { rooms, largeReply: LARGE_REPLIES.has(path), endSession })
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_concurrent_streams': MAX_PEER_CALLS,
    'grpc.enable_channelz': 0,
    interceptors: [limit],
  })
  server.addService(service, implementation)
  if (onSync !== undefined) {
    const sync: handleBidiStreamingCall<Uint8Array, Uint8Array> = (call) => onSync(new AcceptedStream(call, slot))
    server.addService(syncService, { sync })
  }
  const connections = server.createConnectionInjector(ServerCredentials.createInsecure())
  const onGone = (): void => {
    // Without channelz the server does not know of the session: its calls would never hear of their end.
    connections.drain(0)
    server.forceShutdown()
  }
  const socket = new SessionSocket(duplex, { isServer: true, onGone })
  connections.injectConnection(socket)
  return endSession
}

interface Served {
  readonly rooms: CallRooms
  readonly implementation: Implementation
  readonly onSync: ((this: void, stream: FrameStream) => void) | undefined
}

type Implementation = { readonly [M in MethodName]: handleUnaryCall<Uint8Array, Uint8Array> }

function implementationOf(handlers: Handlers, caller: Caller): Implementation {
  return {
    getLogs: unary(methods.getLogs, handlers.getLogs, caller),
    pushLog: unary(methods.pushLog, handlers.pushLog, caller),
    getRecords: unary(methods.getRecords, handlers.getRecords, caller),
    pushRecord: unary(methods.pushRecord, handlers.pushRecord, caller),
    exchangeEdges: unary(methods.exchangeEdges, handlers.exchangeEdges, caller),
  }
}

interface Caller {
  readonly peer: PeerId
  readonly logger: Logger
}

function unary<Request, Reply>(
  method: Method<Request, Reply>,
  handler: (request: Request, caller: PeerId) => Promise<Reply>,
  { peer, logger }: Caller,
): handleUnaryCall<Uint8Array, Uint8Array> {
  const answer = async (bytes: Uint8Array): Promise<Answer> => {
    try {
      return { reply: method.reply.encode(await handler(readRequest(method, bytes), peer)) }
    } catch (error) {
      const status = statusOf(error)
      if (status === undefined) logger.error({ peer, path: method.path, error }, 'could not answer a peer')
      else logger.debug({ peer, path: method.path, code: status.code, reason: status.message }, 'refused a call')
      return { refusal: status ?? new StatusError(Status.internal, 'internal error') }
    }
  }
  const respond = async (bytes: Uint8Array, callback: sendUnaryData<Uint8Array>): Promise<void> => {
    const { reply, refusal } = await answer(bytes)
    if (refusal === undefined) callback(null, reply)
    else callback(refusal)
  }
  return ({ request }, callback) => void respond(request, callback)
}

interface Answer {
  readonly reply?: Uint8Array
  readonly refusal?: StatusError
}

/** What lacks a field is refused as an argument; what cannot be read, in the words of grpc-go. */
export function readRequest<Request>(method: Method<Request, unknown>, bytes: Uint8Array): Request {
  try {
    return method.request.decode(bytes)
  } catch (error) {
    if (!(error instanceof ThreadsError)) throw error
    if (error.code === 'TOO_LARGE') throw error
    if (error.code === 'BAD_MESSAGE') throw new StatusError(Status.invalidArgument, error.message)
    throw new StatusError(Status.internal, `grpc: error unmarshalling request: ${error.message}`)
  }
}

/** Messages stay bytes here: they are read in the handlers, whose errors have texts that peers know. */
function rawMethod({ path }: { path: string }, streams = false): RawMethod {
  return {
    path,
    requestStream: streams,
    responseStream: streams,
    requestSerialize: asBuffer,
    requestDeserialize: asBuffer,
    responseSerialize: asBuffer,
    responseDeserialize: asBuffer,
  }
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

const service: RawService & ServiceDefinition = {
  getLogs: rawMethod(methods.getLogs),
  pushLog: rawMethod(methods.pushLog),
  getRecords: rawMethod(methods.getRecords),
  pushRecord: rawMethod(methods.pushRecord),
  exchangeEdges: rawMethod(methods.exchangeEdges),
}

const syncService: ServiceDefinition = { sync: rawMethod({ path: SYNC_PATH }, true) }
