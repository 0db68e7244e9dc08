import { type Api, type ApiOptions, createApi } from '../../src/api/index.ts'
import { type Clock, type Random, systemClock } from '../../src/core/clock.ts'
import type { Caller } from '../../src/core/caller.ts'
import { type Identity, identityOf } from '../../src/core/identity.ts'
import { keyFromSeed, type PrivateKey } from '../../src/core/keys.ts'
import { type Logger, silentLogger } from '../../src/core/logger.ts'
import type { Net } from '../../src/net/index.ts'
import { FakeDatabases } from './fake-databases.ts'
import { fakeNet } from './fake-net.ts'
import { grpcTransport, type Transport } from './grpc-client.ts'
import { grpcWebTransport, webSocketTransport } from './web-client.ts'

export interface TestApi extends AsyncDisposable {
  readonly databases: FakeDatabases
  readonly net: Net
  readonly grpcAddress: string
  readonly webUrl: string
  readonly renewTls: Api['renewTls']
}

export interface TestApiOptions extends ApiOptions {
  readonly databases?: FakeDatabases
  readonly net?: Net
  readonly clock?: Clock
  readonly logger?: Logger
}

export const callerKey: PrivateKey = keyFromSeed(new Uint8Array(32).fill(9))
export const callerIdentity: Identity = identityOf(callerKey.publicKey)
export const caller: Caller = { identity: callerIdentity }

/** Not random: tokens and challenges are the same in every run. */
export const fixedRandom: Random = (length) => new Uint8Array(length).fill(5)

/** The API on free ports, over stand-ins for databases and net. */
export async function startApi(given: TestApiOptions = {}): Promise<TestApi> {
  const { databases = new FakeDatabases(), clock = systemClock, logger = silentLogger, ...options } = given
  const net = given.net ?? fakeNet(clock)
  const free = { host: '127.0.0.1', port: 0 }
  const api = createApi({
    net,
    databases,
    clock,
    random: fixedRandom,
    logger,
    options: { grpc: free, web: free, stopTimeoutMs: 1_000, ...options },
  })
  const { grpc, web } = await api.start()
  return {
    databases,
    net,
    grpcAddress: `${grpc.host}:${grpc.port}`,
    webUrl: `http://${web.host}:${web.port}`,
    renewTls: (identity) => api.renewTls(identity),
    [Symbol.asyncDispose]: () => api.stop(),
  }
}

/** Every way a client can call. */
export const TRANSPORTS: readonly { name: string; streams: boolean; connect(api: TestApi): Transport }[] = [
  { name: 'gRPC', streams: true, connect: (api) => grpcTransport(api.grpcAddress) },
  { name: 'grpc-websockets', streams: true, connect: (api) => webSocketTransport(api.webUrl) },
  { name: 'gRPC-Web', streams: false, connect: (api) => grpcWebTransport(api.webUrl) },
  { name: 'gRPC-Web text', streams: false, connect: (api) => grpcWebTransport(api.webUrl, 'text') },
]
