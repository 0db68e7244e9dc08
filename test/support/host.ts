import { randomBytes } from 'node:crypto'
import { parseAddress } from '../../src/core/address.ts'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { generateKey, type PrivateKey } from '../../src/core/keys.ts'
import { silentLogger } from '../../src/core/logger.ts'
import { createDb, type Databases, type DbOptions } from '../../src/db/index.ts'
import type { Sandbox } from '../../src/db/sandbox/index.ts'
import { createNet, type Net, type NetOptions } from '../../src/net/index.ts'
import { openMemoryStore } from '../../src/store/memory-store.ts'
import { type HostStore, openHostStore } from '../../src/store/host-store.ts'
import type { OrderedStore } from '../../src/store/ordered-store.ts'
import { freePorts } from './daemon.ts'
import { FaultyStore } from './faulty-store.ts'

/** A whole host in this process, with real sockets. */
export interface TestHost extends AsyncDisposable {
  readonly net: Net
  readonly databases: Databases
  readonly store: HostStore
  /** Stops the host and starts it again on the same key and store; the new host replaces this one. */
  restart(whileDown?: () => Promise<void>): Promise<TestHost>
}

export interface TestHostOptions {
  net?: NetOptions
  db?: DbOptions
  /** Default: the system's. Sockets live on the system's in any case. */
  clock?: Clock
  /** Default: a new one of the host. */
  sandbox?: Sandbox
  /** Bytes of commits that listeners can go back. Default: that of the store. */
  feedBytes?: number
  privateKey?: PrivateKey
  /** Backend that outlives restarts. Default: a new one in memory. */
  backend?: OrderedStore
  /** Of the loopback, kept over restarts. Default: a free one. */
  port?: number
}

/** Pull intervals short enough for tests. */
const QUICK: NetOptions = { pullStartAfterMs: 50, pullInitialIntervalMs: 100, pullIntervalMs: 200 }

export async function startHost(options: TestHostOptions = {}): Promise<TestHost> {
  const { privateKey = generateKey(randomBytes), backend = await openMemoryStore() } = options
  const port = options.port ?? (await freePorts(1))[0] ?? 0
  const listen = [parseAddress(`/ip4/127.0.0.1/tcp/${port}`)]
  const { clock = systemClock, sandbox, feedBytes } = options
  const shared = { clock, random: randomBytes, logger: silentLogger }
  const open = backend instanceof FaultyStore ? backend.open : async () => keptOpen(backend)
  const store = await openHostStore({ open, ...(feedBytes === undefined ? {} : { feedBytes }), ...shared })
  const net = await createNet({ store, privateKey, ...shared }, { ...QUICK, listen, ...options.net })
  const databases = await createDb({ net, store, ...shared, ...(sandbox === undefined ? {} : { sandbox }) }, options.db)
  await net.start()
  const stop = async (): Promise<void> => {
    await databases.close()
    await net.stop()
    await store.close()
  }
  return {
    net,
    databases,
    store,
    async restart(whileDown) {
      await stop()
      await whileDown?.()
      return startHost({ ...options, privateKey, backend, port })
    },
    [Symbol.asyncDispose]: stop,
  }
}

/** A backend in memory that loses nothing when its host closes it. */
function keptOpen(backend: OrderedStore): OrderedStore {
  return {
    get: (key) => backend.get(key),
    getMany: (keys) => backend.getMany(keys),
    entries: (range) => backend.entries(range),
    batch: (operations, options) => backend.batch(operations, options),
    snapshot: () => backend.snapshot(),
    close: async () => {},
  }
}
