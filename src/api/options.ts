import type { Identity } from '../core/identity.ts'

/** Where a server listens. Port 0 takes a free one. */
export interface HostPort {
  host: string
  port: number
}

/** What clients know a server by: the certificate, with those that lead to a trusted one, and its private key, in PEM. */
export interface TlsIdentity {
  readonly cert: string
  readonly key: string
}

/** Connections that the system keeps until they are accepted: those beyond it wait for seconds. */
export const BACKLOG = 4_096

export interface ApiOptions {
  /** Where gRPC is served. Default 127.0.0.1:6006. */
  grpc?: HostPort
  /** Where gRPC-Web is served, over HTTP and over websockets. Default 127.0.0.1:6007. */
  web?: HostPort
  /**
   * Largest message taken from a client, in bytes; a larger one ends its call. Replies have no such limit, so that what
   * was stored in several messages can be found with one. From 1 KiB to 1 GiB. Default 4 MiB, which clients are used to.
   */
  maxMessageBytes?: number
  /**
   * Connections taken at once by each of the two servers; more are closed as they come. A limit below that of open files
   * keeps files for the store. From 1 to 100,000. Default 4,000, each with up to 100 KiB.
   */
  maxConnections?: number
  /**
   * Calls of all clients at once; beyond it a connection has one at a time. From 1 to 1,000,000. Default 10,000: an idle
   * listener takes about 20 KiB.
   */
  maxCalls?: number
  /**
   * Bytes that the calls of all clients may hold: requests that arrive or are being handled, replies that nobody takes.
   * Beyond it the client that holds most loses the call that holds most. A reply may not be larger. From 1 MiB up, and at
   * least 4 times `maxMessageBytes`. Default 256 MiB, or that if it is more.
   */
  maxHeldBytes?: number
  /** Both servers speak TLS, and nothing else. Default: none, which is for the loopback and behind proxies. */
  tls?: TlsIdentity | undefined
  /** Whose calls are answered: of anyone, also without a token, or of these and the host. Default anyone, as go-threads. */
  allowIdentities?: 'anyone' | readonly Identity[]
  /** Origins whose pages may call; `*` for any. Clients that are no browsers send no origin. Default any. */
  corsOrigins?: readonly string[]
  /** Time between two pings on a websocket, at least 1 s. Default 5 s: proxies close what is silent for longer. */
  keepAliveIntervalMs?: number
  /** How long `stop` waits for calls before it breaks them off. Default 5 s. */
  stopTimeoutMs?: number
}

export type ResolvedApiOptions = Required<Omit<ApiOptions, 'tls'>> & Pick<ApiOptions, 'tls'>

const DEFAULTS: ResolvedApiOptions = {
  grpc: { host: '127.0.0.1', port: 6006 },
  web: { host: '127.0.0.1', port: 6007 },
  maxMessageBytes: 4 * 1024 * 1024,
  maxConnections: 4_000,
  maxCalls: 10_000,
  maxHeldBytes: 256 * 1024 * 1024,
  allowIdentities: 'anyone',
  corsOrigins: ['*'],
  keepAliveIntervalMs: 5_000,
  stopTimeoutMs: 5_000,
}

/** Throws a TypeError for a value out of its bounds. */
export function resolveApiOptions(options: ApiOptions = {}): ResolvedApiOptions {
  const { maxMessageBytes = DEFAULTS.maxMessageBytes } = options
  const leastHeld = 4 * maxMessageBytes
  const resolved = { ...DEFAULTS, maxHeldBytes: Math.max(DEFAULTS.maxHeldBytes, leastHeld), ...options }
  checkRange('maxMessageBytes', maxMessageBytes, [1024, 1024 ** 3])
  checkRange('maxConnections', resolved.maxConnections, [1, 100_000])
  checkRange('maxCalls', resolved.maxCalls, [1, 1_000_000])
  checkRange('maxHeldBytes', resolved.maxHeldBytes, [Math.max(1024 ** 2, leastHeld), Number.MAX_SAFE_INTEGER])
  checkRange('keepAliveIntervalMs', resolved.keepAliveIntervalMs, [1000, 2 ** 31 - 1])
  checkRange('stopTimeoutMs', resolved.stopTimeoutMs, [0, 60_000])
  return resolved
}

function checkRange(name: string, value: number, [min, max]: readonly [number, number]): void {
  if (value >= min && value <= max) return
  throw new TypeError(`${name} must be from ${min} to ${max}, is ${value}`)
}
